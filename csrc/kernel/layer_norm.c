#include "kernel/norm.h"

#include "base/size.h"
#include "kernel/reduce.h"
#include "kernel/stabilise.h"

#include <math.h>

enum { SMALL = 32768, BLOCK = 64 };

static void row_forward(sc_real *y, const sc_real *x, const sc_layer_norm *norm, size_t row) {
    const sc_real *weight = norm->weight, *bias = norm->bias;
    const size_t d = norm->d;
    sc_real sum, squares;
    SC_REDUCE_SUM(sum, d, i, x[i]);
    const sc_real m = sum / (sc_real)d;
    SC_REDUCE_SUM(squares, d, i, (x[i] - m) * (x[i] - m));
    const sc_real r = (sc_real)(1 / sqrt((double)squares / (double)d + norm->eps));
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        y[i] = (x[i] - m) * r * weight[i] + bias[i];
    norm->mean[row] = m;
    norm->rstd[row] = r;
}

void sc_layer_norm_forward(sc_real *y, const sc_real *x, const sc_layer_norm *norm) {
#pragma omp parallel for schedule(static) if (norm->rows * norm->d > SMALL)
    for (size_t r = 0; r < norm->rows; r++)
        row_forward(y + r * norm->d, x + r * norm->d, norm, r);
}

/* With g = weight * dy and h = (x - mean) * rstd: dx += rstd * (g - mean(g) - h * mean(g * h)). */
static void row_backward(sc_real *dx, const sc_real *x, const sc_real *dy, sc_real mean, sc_real rstd,
                         const sc_real *weight, size_t d) {
    sc_real sum, products;
    SC_REDUCE_SUM(sum, d, i, weight[i] * dy[i]);
    SC_REDUCE_SUM(products, d, i, weight[i] * dy[i] * ((x[i] - mean) * rstd));
    const sc_real offset = sum / (sc_real)d, slope = products / (sc_real)d;
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        dx[i] += rstd * (weight[i] * dy[i] - offset - (x[i] - mean) * rstd * slope);
}

/* dweight of columns first .. last - 1. */
static void columns_backward(sc_real *dweight, const sc_real *x, const sc_real *dy, const sc_layer_norm *norm,
                             size_t first, size_t last) {
    const sc_real *mean = norm->mean, *rstd = norm->rstd;
    const size_t d = norm->d;
    for (size_t r = 0; r < norm->rows; r++)
        for (size_t i = first; i < last; i++)
            dweight[i] += dy[r * d + i] * ((x[r * d + i] - mean[r]) * rstd[r]);
}

void sc_layer_norm_backward(sc_real *dx, sc_real *dweight, sc_real *dbias, const sc_real *x, const sc_real *dy,
                            const sc_layer_norm *norm) {
    const size_t rows = norm->rows, d = norm->d;
    if (dx)
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
        for (size_t r = 0; r < rows; r++)
            row_backward(dx + r * d, x + r * d, dy + r * d, norm->mean[r], norm->rstd[r], norm->weight, d);
    if (dweight) /* a thread per block of columns, so that no sum is shared */
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
        for (size_t first = 0; first < d; first += BLOCK)
            columns_backward(dweight, x, dy, norm, first, sc_min(first + BLOCK, d));
    if (dbias)
        sc_rows_sum(dbias, dy, rows, d);
}

SC_INLINE sc_real share(sc_real x, sc_real ry, sc_real mean, sc_real rstd, sc_real weight, sc_real bias,
                        sc_real epsilon) {
    sc_real y = (x - mean) * rstd * weight + bias;
    return ry / sc_stabilise(y, epsilon) * weight * rstd;
}

static void row_relevance(sc_real *rx, const sc_real *x, const sc_real *ry, sc_real epsilon, const sc_layer_norm *norm,
                          size_t row) {
    const sc_real mean = norm->mean[row], rstd = norm->rstd[row], *weight = norm->weight, *bias = norm->bias;
    const size_t d = norm->d;
    sc_real sum;
    SC_REDUCE_SUM(sum, d, i, share(x[i], ry[i], mean, rstd, weight[i], bias[i], epsilon));
    const sc_real centre = sum / (sc_real)d;
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        rx[i] += x[i] * (share(x[i], ry[i], mean, rstd, weight[i], bias[i], epsilon) - centre);
}

void sc_layer_norm_relevance(sc_real *rx, const sc_real *x, const sc_real *ry, double epsilon,
                             const sc_layer_norm *norm) {
    const size_t d = norm->d;
#pragma omp parallel for schedule(static) if (norm->rows * d > SMALL)
    for (size_t r = 0; r < norm->rows; r++)
        row_relevance(rx + r * d, x + r * d, ry + r * d, (sc_real)epsilon, norm, r);
}
