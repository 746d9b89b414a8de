#include "kernel/window.h"

enum { SMALL = 16384, TILE = 64 };

/* As in PyTorch: larger, or not a number, which must not vanish in the comparison. */
SC_INLINE bool exceeds(sc_real v, sc_real best) {
    return (v > best) | (v != v);
}

SC_INLINE void update_max_by(sc_real *best, const sc_real *x, size_t n, size_t stride) {
#pragma omp simd
    for (size_t j = 0; j < n; j++)
        best[j] = exceeds(x[j * stride], best[j]) ? x[j * stride] : best[j];
}

/* best[n] = the larger of best and x[0], x[stride], ...; known strides vectorise. */
static void update_max(sc_real *best, const sc_real *x, size_t n, size_t stride) {
    if (stride == 1)
        update_max_by(best, x, n, 1);
    else if (stride == 2)
        update_max_by(best, x, n, 2);
    else
        update_max_by(best, x, n, stride);
}

SC_INLINE void update_argmax_by(sc_real *best, int *where, const sc_real *x, int at, int n, int stride) {
#pragma omp simd
    for (int j = 0; j < n; j++) {
        bool larger = exceeds(x[j * stride], best[j]);
        best[j] = larger ? x[j * stride] : best[j];
        where[j] = larger ? at + j * stride : where[j];
    }
}

/* As update_max, with where[n] = the place of best, x[0] being place `at`. */
static void update_argmax(sc_real *best, int *where, const sc_real *x, int at, int n, int stride) {
    if (stride == 1)
        update_argmax_by(best, where, x, at, n, 1);
    else if (stride == 2)
        update_argmax_by(best, where, x, at, n, 2);
    else
        update_argmax_by(best, where, x, at, n, stride);
}

static void forward_row(sc_real *y, const sc_real *x, size_t o, const sc_pool_axis *down, const sc_pool_axis *across) {
    for (size_t j = 0; j < across->out; j++)
        y[j] = -INFINITY;
    sc_window rows = sc_window_at(down, o);
    for (size_t row = rows.first; row < rows.last; row++)
        for (size_t tap = 0; tap < across->kernel; tap++) {
            sc_window outs = sc_outputs_at(across, tap);
            if (outs.first < outs.last)
                update_max(y + outs.first, x + row * across->in + (outs.first * across->stride + tap - across->padding),
                           outs.last - outs.first, across->stride);
        }
}

void sc_max_pool_forward(sc_real *y, const sc_real *x, const sc_pool *pool) {
    const sc_pool_axis *down = &pool->down, *across = &pool->across;
    size_t positions = down->out * across->out, inputs = down->in * across->in;
#pragma omp parallel for schedule(static) if (pool->planes * positions > SMALL)
    for (size_t p = 0; p < pool->planes; p++)
        for (size_t o = 0; o < down->out; o++)
            forward_row(y + p * positions + o * across->out, x + p * inputs, o, down, across);
}

/* best and where of outputs first .. last - 1 of row o. */
static void row_argmax(sc_real best[TILE], int where[TILE], const sc_real *x, size_t o, size_t first, size_t last,
                       const sc_pool *pool) {
    const sc_pool_axis *down = &pool->down, *across = &pool->across;
    sc_window rows = sc_window_at(down, o);
    for (size_t j = first; j < last; j++) {
        best[j - first] = -INFINITY;
        where[j - first] = (int)(rows.first * across->in + sc_window_at(across, j).first);
    }
    for (size_t row = rows.first; row < rows.last; row++)
        for (size_t tap = 0; tap < across->kernel; tap++) {
            sc_window outs = sc_outputs_at(across, tap);
            size_t from = outs.first > first ? outs.first : first, to = outs.last < last ? outs.last : last;
            if (from >= to)
                continue;
            size_t at = row * across->in + (from * across->stride + tap - across->padding);
            update_argmax(best + (from - first), where + (from - first), x + at, (int)at, (int)(to - from),
                          (int)across->stride);
        }
}

static void share_among_ties(sc_real *rx, const sc_real *x, sc_real r, sc_real best, int where, size_t width,
                             sc_window rows, sc_window columns) {
    size_t ties = 0;
    for (size_t row = rows.first; row < rows.last; row++)
        for (size_t column = columns.first; column < columns.last; column++)
            ties += x[row * width + column] == best;
    if (ties <= 1) { /* 0: the maximum is not a number and equals nothing */
        rx[where] += r;
        return;
    }
    for (size_t row = rows.first; row < rows.last; row++)
        for (size_t column = columns.first; column < columns.last; column++)
            if (x[row * width + column] == best)
                rx[row * width + column] += r / (sc_real)ties;
}

/* Planes do not overlap, so threads never add to the same place. */
static void distribute(sc_real *dx, const sc_real *x, const sc_real *dy, const sc_pool *pool, bool ties) {
    const sc_pool_axis *down = &pool->down, *across = &pool->across;
    size_t positions = down->out * across->out, inputs = down->in * across->in;
#pragma omp parallel for schedule(static) if (pool->planes * positions > SMALL)
    for (size_t p = 0; p < pool->planes; p++)
        for (size_t o = 0; o < down->out; o++)
            for (size_t first = 0; first < across->out; first += TILE) {
                sc_real best[TILE], *to = dx + p * inputs;
                const sc_real *from = x + p * inputs, *grad = dy + p * positions + o * across->out;
                int where[TILE];
                size_t last = across->out - first < TILE ? across->out : first + TILE;
                row_argmax(best, where, from, o, first, last, pool);
                for (size_t j = first; j < last; j++)
                    if (ties)
                        share_among_ties(to, from, grad[j], best[j - first], where[j - first], across->in,
                                         sc_window_at(down, o), sc_window_at(across, j));
                    else
                        to[where[j - first]] += grad[j];
            }
}

void sc_max_pool_backward(sc_real *dx, const sc_real *x, const sc_real *dy, const sc_pool *pool) {
    distribute(dx, x, dy, pool, false);
}

void sc_max_pool_ties(sc_real *rx, const sc_real *x, const sc_real *ry, const sc_pool *pool) {
    distribute(rx, x, ry, pool, true);
}
