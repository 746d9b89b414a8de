/* Elementwise products. */
#ifndef SC_KERNEL_PRODUCT_H
#define SC_KERNEL_PRODUCT_H

#include "base/real.h"

#include <stddef.h>

/* y[count] += a[count] * b[count] */
void sc_add_product(sc_real *y, const sc_real *a, const sc_real *b, size_t count);

#endif
