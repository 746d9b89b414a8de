/* OpenBLAS: a reference for specs and benchmarks. Its bits depend on the processor, on threads and on the place of a
 * number in its matrix; results of Secateur must not come from it. */
#ifndef SC_KERNEL_BLAS_H
#define SC_KERNEL_BLAS_H

#include "base/real.h"

#include <stddef.h>

/* c[m x n] = a[m x k] b[k x n]; sizes must fit an int. */
void sc_blas_multiply(sc_real *c, const sc_real *a, const sc_real *b, size_t m, size_t n, size_t k);

#endif
