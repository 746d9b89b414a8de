#include "kernel/softmax.h"

#include "kernel/sums.h"
#include "kernel/vecmath.h"

enum { SMALL = 8192 };

SC_INLINE sc_real row_max(const sc_real *x, size_t d) {
    sc_real lane[SC_LANES];
    for (size_t j = 0; j < SC_LANES; j++)
        lane[j] = x[0];
    size_t first = 0;
    for (; first + SC_LANES <= d; first += SC_LANES)
        for (size_t j = 0; j < SC_LANES; j++)
            lane[j] = x[first + j] > lane[j] ? x[first + j] : lane[j];
    for (size_t i = first; i < d; i++)
        lane[i - first] = x[i] > lane[i - first] ? x[i] : lane[i - first];
    for (size_t half = SC_LANES / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] = lane[j + half] > lane[j] ? lane[j + half] : lane[j];
    return lane[0];
}

static void row_forward(sc_real *p, const sc_real *x, size_t d) {
    const sc_real top = row_max(x, d);
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        p[i] = sc_exp(x[i] - top);
    sc_real sum;
    SC_SUM(sum, d, i, p[i]);
    const sc_real scale = 1 / sum;
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        p[i] *= scale;
}

static void row_backward(sc_real *dx, const sc_real *p, const sc_real *dp, size_t d) {
    sc_real sum;
    SC_SUM(sum, d, i, p[i] * dp[i]);
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        dx[i] += p[i] * (dp[i] - sum);
}

static void row_relevance(sc_real *rx, const sc_real *x, const sc_real *p, const sc_real *rp, size_t d) {
    sc_real sum;
    SC_SUM(sum, d, i, rp[i]);
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        rx[i] += x[i] * (rp[i] - p[i] * sum);
}

void sc_softmax_forward(sc_real *p, const sc_real *x, size_t rows, size_t d) {
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
    for (size_t r = 0; r < rows; r++)
        row_forward(p + r * d, x + r * d, d);
}

void sc_softmax_backward(sc_real *dx, const sc_real *p, const sc_real *dp, size_t rows, size_t d) {
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
    for (size_t r = 0; r < rows; r++)
        row_backward(dx + r * d, p + r * d, dp + r * d, d);
}

void sc_softmax_relevance(sc_real *rx, const sc_real *x, const sc_real *p, const sc_real *rp, size_t rows, size_t d) {
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
    for (size_t r = 0; r < rows; r++)
        row_relevance(rx + r * d, x + r * d, p + r * d, rp + r * d, d);
}
