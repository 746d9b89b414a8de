/* What is done to the outputs of a product while they are in the cache: bias, a channel norm with given statistics, the
 * sum with another tensor, an activation, in this order. Each step rounds as the operation of its own does, so that
 * results are the same, to the bit, whether operations are fused or not. */
#ifndef SC_KERNEL_EPILOGUE_H
#define SC_KERNEL_EPILOGUE_H

#include "base/real.h"
#include "kernel/activation.h"

#include <stddef.h>

typedef struct sc_epilogue {
    const sc_real *bias;                 /* [units]; NULL: none */
    const sc_real *mean, *scale, *shift; /* [units] each, all or none: y = (y - mean) * scale + shift */
    const sc_real *residual;             /* laid out as the output, not the same memory; NULL: none */
    sc_activation activation;
} sc_epilogue;

/* y[count], which lies at `offset` in the output and belongs to one unit. */
void sc_epilogue_apply(sc_real *y, const sc_epilogue *e, size_t unit, size_t offset, size_t count);

/* y[count], which lies at `offset` in the output and belongs to the units first_unit, first_unit + 1, ... */
void sc_epilogue_apply_units(sc_real *y, const sc_epilogue *e, size_t first_unit, size_t offset, size_t count);

#endif
