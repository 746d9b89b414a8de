#include "base/vector.h"

#include <string.h>

enum { CHUNK = 1 << 15 };

static size_t chunk_end(size_t first, size_t count) {
    return first + CHUNK < count ? CHUNK : count - first;
}

void sc_fill(sc_real *y, sc_real value, size_t count) {
#pragma omp parallel for schedule(static) if (count > 2 * CHUNK)
    for (size_t first = 0; first < count; first += CHUNK) {
        size_t n = chunk_end(first, count);
        if (value == 0)
            memset(y + first, 0, n * sizeof *y);
        else
            for (size_t i = 0; i < n; i++)
                y[first + i] = value;
    }
}

void sc_copy(sc_real *y, const sc_real *x, size_t count) {
#pragma omp parallel for schedule(static) if (count > 2 * CHUNK)
    for (size_t first = 0; first < count; first += CHUNK)
        memcpy(y + first, x + first, chunk_end(first, count) * sizeof *y);
}

static void add_scaled(sc_real *y, const sc_real *x, sc_real scale, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] += scale * x[i];
}

void sc_add_scaled(sc_real *y, const sc_real *x, sc_real scale, size_t count) {
#pragma omp parallel for schedule(static) if (count > 2 * CHUNK)
    for (size_t first = 0; first < count; first += CHUNK)
        add_scaled(y + first, x + first, scale, chunk_end(first, count));
}

static void multiply(sc_real *y, const sc_real *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] = y[i] * x[i] + 0;
}

void sc_multiply(sc_real *y, const sc_real *x, size_t count) {
#pragma omp parallel for schedule(static) if (count > 2 * CHUNK)
    for (size_t first = 0; first < count; first += CHUNK)
        multiply(y + first, x + first, chunk_end(first, count));
}

static void add_product(sc_real *y, const sc_real *a, const sc_real *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] += a[i] * b[i];
}

void sc_add_product(sc_real *y, const sc_real *a, const sc_real *b, size_t count) {
#pragma omp parallel for schedule(static) if (count > 2 * CHUNK)
    for (size_t first = 0; first < count; first += CHUNK)
        add_product(y + first, a + first, b + first, chunk_end(first, count));
}
