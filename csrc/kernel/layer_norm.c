#include "kernel/norm.h"
#include "kernel/sums.h"

enum { SMALL = 32768, BLOCK = 64 };

static void row_forward(sc_real *y, sc_real *mean, sc_real *rstd, const sc_real *x, const sc_real *weight,
                        const sc_real *bias, double eps, size_t d) {
    sc_real sum, squares;
    SC_SUM(sum, d, i, x[i]);
    const sc_real m = sum / (sc_real)d;
    SC_SUM(squares, d, i, (x[i] - m) * (x[i] - m));
    const sc_real r = (sc_real)(1 / sqrt((double)squares / (double)d + eps));
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        y[i] = (x[i] - m) * r * weight[i] + bias[i];
    *mean = m;
    *rstd = r;
}

void sc_layer_norm_forward(sc_real *y, sc_real *mean, sc_real *rstd, const sc_real *x, const sc_real *weight,
                           const sc_real *bias, double eps, size_t rows, size_t d) {
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
    for (size_t r = 0; r < rows; r++)
        row_forward(y + r * d, mean + r, rstd + r, x + r * d, weight, bias, eps, d);
}

/* With g = weight * dy and h = (x - mean) * rstd: dx += rstd * (g - mean(g) - h * mean(g * h)). */
static void row_backward(sc_real *dx, const sc_real *x, const sc_real *dy, sc_real mean, sc_real rstd,
                         const sc_real *weight, size_t d) {
    sc_real sum, products;
    SC_SUM(sum, d, i, weight[i] * dy[i]);
    SC_SUM(products, d, i, weight[i] * dy[i] * ((x[i] - mean) * rstd));
    const sc_real offset = sum / (sc_real)d, slope = products / (sc_real)d;
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        dx[i] += rstd * (weight[i] * dy[i] - offset - (x[i] - mean) * rstd * slope);
}

static void columns_backward(sc_real *dweight, const sc_real *x, const sc_real *dy, const sc_real *mean,
                             const sc_real *rstd, size_t rows, size_t d, size_t first, size_t last) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = first; i < last; i++)
            dweight[i] += dy[r * d + i] * ((x[r * d + i] - mean[r]) * rstd[r]);
}

static void columns_sum(sc_real *dbias, const sc_real *dy, size_t rows, size_t d, size_t first, size_t last) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = first; i < last; i++)
            dbias[i] += dy[r * d + i];
}

void sc_layer_norm_backward(sc_real *dx, sc_real *dweight, sc_real *dbias, const sc_real *x, const sc_real *dy,
                            const sc_real *mean, const sc_real *rstd, const sc_real *weight, size_t rows, size_t d) {
    if (dx)
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
        for (size_t r = 0; r < rows; r++)
            row_backward(dx + r * d, x + r * d, dy + r * d, mean[r], rstd[r], weight, d);
    if (dweight || dbias) /* a thread per block of columns, so that no sum is shared */
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
        for (size_t first = 0; first < d; first += BLOCK) {
            size_t last = d - first < BLOCK ? d : first + BLOCK;
            if (dweight)
                columns_backward(dweight, x, dy, mean, rstd, rows, d, first, last);
            if (dbias)
                columns_sum(dbias, dy, rows, d, first, last);
        }
}

SC_INLINE sc_real share(sc_real x, sc_real ry, sc_real mean, sc_real rstd, sc_real weight, sc_real bias,
                        sc_real epsilon) {
    sc_real y = (x - mean) * rstd * weight + bias;
    return ry / (y >= 0 ? y + epsilon : y - epsilon) * weight * rstd;
}

static void row_relevance(sc_real *rx, const sc_real *x, const sc_real *ry, sc_real mean, sc_real rstd,
                          const sc_real *weight, const sc_real *bias, sc_real epsilon, size_t d) {
    sc_real sum;
    SC_SUM(sum, d, i, share(x[i], ry[i], mean, rstd, weight[i], bias[i], epsilon));
    const sc_real centre = sum / (sc_real)d;
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        rx[i] += x[i] * (share(x[i], ry[i], mean, rstd, weight[i], bias[i], epsilon) - centre);
}

void sc_layer_norm_relevance(sc_real *rx, const sc_real *x, const sc_real *ry, const sc_real *mean, const sc_real *rstd,
                             const sc_real *weight, const sc_real *bias, double epsilon, size_t rows, size_t d) {
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
    for (size_t r = 0; r < rows; r++)
        row_relevance(rx + r * d, x + r * d, ry + r * d, mean[r], rstd[r], weight, bias, (sc_real)epsilon, d);
}
