#include "kernel/norm.h"

#include "kernel/reduce.h"

#include <string.h>

enum { SMALL = 32768 }; /* elements below which threads do not pay */

static sc_real plane_squares(const sc_real *x, sc_real mean, size_t n) {
    sc_real sum;
    SC_REDUCE_SUM(sum, n, i, (x[i] - mean) * (x[i] - mean));
    return sum;
}

/* The sum of g * (x - mean). */
static sc_real plane_products(const sc_real *g, const sc_real *x, sc_real mean, size_t n) {
    sc_real sum;
    SC_REDUCE_SUM(sum, n, i, g[i] * (x[i] - mean));
    return sum;
}

/* Two passes: the variance of channels with a large mean would drown in rounding otherwise. */
void sc_channel_statistics(sc_real *mean, sc_real *var, const sc_real *x, size_t n, size_t c, size_t positions) {
    double count = (double)n * (double)positions;
#pragma omp parallel for schedule(static) if (n * c * positions > SMALL)
    for (size_t k = 0; k < c; k++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)sc_reduce_sum(x + (i * c + k) * positions, positions);
        mean[k] = (sc_real)(sum / count);
        for (size_t i = 0; i < n; i++)
            squares += (double)plane_squares(x + (i * c + k) * positions, mean[k], positions);
        var[k] = (sc_real)(squares / count);
    }
}

static void plane_affine(sc_real *y, const sc_real *x, sc_real mean, sc_real scale, sc_real shift, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale + shift;
}

void sc_channel_norm_forward(sc_real *y, const sc_real *x, const sc_channel_norm *norm) {
    const size_t positions = norm->positions;
#pragma omp parallel for schedule(static) if (norm->n * norm->c * positions > SMALL)
    for (size_t p = 0; p < norm->n * norm->c; p++) {
        size_t k = p % norm->c;
        plane_affine(y + p * positions, x + p * positions, norm->mean[k], norm->rstd[k] * norm->weight[k],
                     norm->bias[k], positions);
    }
}

static void plane_scaled(sc_real *dx, const sc_real *dy, sc_real scale, bool add, size_t n) {
    if (add)
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            dx[i] += dy[i] * scale;
    else
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            dx[i] = dy[i] * scale;
}

/* dx += scale * (dy - offset - (x - mean) * slope) */
static void plane_centred(sc_real *dx, const sc_real *dy, const sc_real *x, sc_real scale, sc_real offset, sc_real mean,
                          sc_real slope, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        dx[i] += scale * (dy[i] - offset - (x[i] - mean) * slope);
}

void sc_channel_norm_backward(sc_real *dx, sc_real *dweight, sc_real *dbias, const sc_real *x, const sc_real *dy,
                              bool batch_statistics, bool add, const sc_channel_norm *norm) {
    const size_t n = norm->n, c = norm->c, positions = norm->positions;
    const sc_real *mean = norm->mean, *rstd = norm->rstd, *weight = norm->weight;
    double count = (double)n * (double)positions;
#pragma omp parallel for schedule(static) if (n * c * positions > SMALL)
    for (size_t k = 0; k < c; k++) {
        double sum = 0, products = 0; /* of dy, and of dy * (x - mean) */
        if (dbias || (dx && batch_statistics))
            for (size_t i = 0; i < n; i++)
                sum += (double)sc_reduce_sum(dy + (i * c + k) * positions, positions);
        if (dweight || (dx && batch_statistics))
            for (size_t i = 0, at = k * positions; i < n; i++, at += c * positions)
                products += (double)plane_products(dy + at, x + at, mean[k], positions);
        sc_real scale = weight[k] * rstd[k];
        sc_real slope = (sc_real)(products / count) * rstd[k] * rstd[k];
        for (size_t i = 0, at = k * positions; dx && i < n; i++, at += c * positions) {
            if (batch_statistics && !add)
                memset(dx + at, 0, positions * sizeof *dx);
            if (batch_statistics)
                plane_centred(dx + at, dy + at, x + at, scale, (sc_real)(sum / count), mean[k], slope, positions);
            else
                plane_scaled(dx + at, dy + at, scale, add, positions);
        }
        if (dweight)
            dweight[k] += (sc_real)products * rstd[k];
        if (dbias)
            dbias[k] += (sc_real)sum;
    }
}
