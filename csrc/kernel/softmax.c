#include "kernel/softmax.h"

#include "base/math64.h"
#include "kernel/reduce.h"
#include "kernel/vecmath.h"

#include <string.h>

enum { SMALL = 8192 };

/* Numbers beyond the last whole SC_REDUCE_LANES of a row get a place where loops over all lanes can have them: `fill`
 * changes nothing in those that are missing. */
SC_INLINE void copy_tail(sc_real tail[SC_REDUCE_LANES], const sc_real *x, size_t count, sc_real fill) {
    for (size_t j = 0; j < SC_REDUCE_LANES; j++)
        tail[j] = fill;
    memcpy(tail, x, count * sizeof *x);
}

SC_INLINE void max_lanes(sc_real lane[SC_REDUCE_LANES], const sc_real *x) {
    for (size_t j = 0; j < SC_REDUCE_LANES; j++)
        lane[j] = x[j] > lane[j] ? x[j] : lane[j];
}

SC_INLINE sc_real row_max(const sc_real *x, const sc_real *tail, size_t whole) {
    sc_real lane[SC_REDUCE_LANES];
    const sc_real first = whole ? x[0] : tail[0];
    for (size_t j = 0; j < SC_REDUCE_LANES; j++)
        lane[j] = first;
    for (size_t i = 0; i < whole; i += SC_REDUCE_LANES)
        max_lanes(lane, x + i);
    max_lanes(lane, tail);
    for (size_t half = SC_REDUCE_LANES / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++)
            lane[j] = lane[j + half] > lane[j] ? lane[j + half] : lane[j];
    return lane[0];
}

/* lane += p = exp(x - top) */
SC_INLINE void exp_lanes(sc_real lane[SC_REDUCE_LANES], sc_real *p, const sc_real *x, sc_real top) {
#pragma omp simd
    for (size_t j = 0; j < SC_REDUCE_LANES; j++) {
        p[j] = sc_exp(x[j] - top);
        lane[j] += p[j];
    }
}

static void row_forward(sc_real *p, const sc_real *x, size_t d) {
    const size_t whole = d / SC_REDUCE_LANES * SC_REDUCE_LANES, rest = d - whole;
    sc_real tail[SC_REDUCE_LANES], lane[SC_REDUCE_LANES] = {0};
    copy_tail(tail, x + whole, rest, x[0]);
    const sc_real top = row_max(x, tail, whole);
    for (size_t i = 0; i < whole; i += SC_REDUCE_LANES)
        exp_lanes(lane, p + i, x + i, top);
#pragma omp simd
    for (size_t j = 0; j < SC_REDUCE_LANES; j++) {
        tail[j] = sc_exp(tail[j] - top);
        lane[j] += j < rest ? tail[j] : 0;
    }
    const sc_real scale = 1 / sc_reduce_lanes(lane);
    for (size_t i = 0; i < whole; i += SC_REDUCE_LANES)
        for (size_t j = 0; j < SC_REDUCE_LANES; j++)
            p[i + j] *= scale;
    for (size_t j = 0; j < SC_REDUCE_LANES; j++)
        tail[j] *= scale;
    memcpy(p + whole, tail, rest * sizeof *p);
}

static void row_backward(sc_real *dx, const sc_real *p, const sc_real *dp, size_t d, bool add) {
    sc_real sum;
    SC_REDUCE_SUM(sum, d, i, p[i] * dp[i]);
    if (!add) {
#pragma omp simd
        for (size_t i = 0; i < d; i++)
            dx[i] = p[i] * (dp[i] - sum);
        return;
    }
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        dx[i] += p[i] * (dp[i] - sum);
}

static void row_relevance(sc_real *rx, const sc_real *x, const sc_real *p, const sc_real *rp, size_t d) {
    sc_real sum;
    SC_REDUCE_SUM(sum, d, i, rp[i]);
#pragma omp simd
    for (size_t i = 0; i < d; i++)
        rx[i] += x[i] * (rp[i] - p[i] * sum);
}

void sc_softmax_forward(sc_real *p, const sc_real *x, size_t rows, size_t d) {
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
    for (size_t r = 0; r < rows; r++)
        row_forward(p + r * d, x + r * d, d);
}

void sc_softmax_rows(sc_real *x, size_t ld, size_t rows, size_t d) {
    for (size_t r = 0; r < rows; r++)
        row_forward(x + r * ld, x + r * ld, d);
}

void sc_softmax_backward(sc_real *dx, const sc_real *p, const sc_real *dp, size_t rows, size_t d, bool add) {
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
    for (size_t r = 0; r < rows; r++)
        row_backward(dx + r * d, p + r * d, dp + r * d, d, add);
}

void sc_softmax_relevance(sc_real *rx, const sc_real *x, const sc_real *p, const sc_real *rp, size_t rows, size_t d) {
#pragma omp parallel for schedule(static) if (rows * d > SMALL)
    for (size_t r = 0; r < rows; r++)
        row_relevance(rx + r * d, x + r * d, p + r * d, rp + r * d, d);
}

/* ---- in double ---- */

sc_softmax64 sc_softmax64_of(const sc_real *z, size_t d) {
    sc_softmax64 s = {.max = (double)z[0]};
    for (size_t k = 1; k < d; k++)
        if ((double)z[k] > s.max || isnan(z[k]))
            s.max = (double)z[k];
    for (size_t k = 0; k < d; k++)
        s.sum += sc_exp64((double)z[k] - s.max);
    return s;
}

double sc_softmax64_probability(const sc_softmax64 *s, sc_real z) {
    return sc_exp64((double)z - s->max) / s->sum;
}

double sc_softmax64_loss(const sc_softmax64 *s, sc_real z) {
    return sc_log64(s->sum) + (s->max - (double)z);
}

void sc_softmax64_forward(sc_real *p, const sc_real *z, size_t rows, size_t d) {
    for (size_t r = 0; r < rows; r++, p += d, z += d) {
        sc_softmax64 s = sc_softmax64_of(z, d);
        for (size_t k = 0; k < d; k++)
            p[k] = (sc_real)sc_softmax64_probability(&s, z[k]);
    }
}
