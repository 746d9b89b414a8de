#include "kernel/product.h"

#include "base/hot.h"

SC_HOT static void add_product(sc_real *y, const sc_real *a, const sc_real *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] += a[i] * b[i];
}

void sc_add_product(sc_real *y, const sc_real *a, const sc_real *b, size_t count) {
    const size_t chunk = 1 << 14;
#pragma omp parallel for schedule(static) if (count > 4 * chunk)
    for (size_t first = 0; first < count; first += chunk)
        add_product(y + first, a + first, b + first, count - first < chunk ? count - first : chunk);
}
