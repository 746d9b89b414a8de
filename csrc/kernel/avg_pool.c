#include "kernel/reduce.h"
#include "kernel/window.h"

enum { SMALL = 16384 };

static size_t divisor(const sc_pool_axis *down, const sc_pool_axis *across, sc_window rows, sc_window columns,
                      bool count_padding) {
    if (count_padding && down->kernel)
        return down->kernel * across->kernel;
    return (rows.last - rows.first) * (columns.last - columns.first);
}

static void run_add(sc_real *x, sc_real value, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] += value;
}

static sc_real window_sum(const sc_real *x, size_t width, sc_window rows, sc_window columns) {
    size_t n = columns.last - columns.first;
    const sc_real *start = x + rows.first * width + columns.first;
    if (n == width) /* whole rows are one run */
        return sc_reduce_sum(start, n * (rows.last - rows.first));
    sc_real sum = 0;
    for (size_t row = rows.first; row < rows.last; row++, start += width)
        for (size_t i = 0; i < n; i++)
            sum += start[i];
    return sum;
}

void sc_avg_pool_forward(sc_real *y, const sc_real *x, const sc_pool *pool, bool count_padding) {
    const sc_pool_axis *down = &pool->down, *across = &pool->across;
    size_t positions = down->out * across->out, inputs = down->in * across->in;
#pragma omp parallel for schedule(static) if (pool->planes * inputs > SMALL)
    for (size_t p = 0; p < pool->planes; p++)
        for (size_t o = 0; o < positions; o++) {
            sc_window rows = sc_window_at(down, o / across->out), columns = sc_window_at(across, o % across->out);
            y[p * positions + o] = window_sum(x + p * inputs, across->in, rows, columns) /
                                   (sc_real)divisor(down, across, rows, columns, count_padding);
        }
}

void sc_avg_pool_backward(sc_real *dx, const sc_real *dy, const sc_pool *pool, bool count_padding) {
    const sc_pool_axis *down = &pool->down, *across = &pool->across;
    size_t positions = down->out * across->out, inputs = down->in * across->in;
#pragma omp parallel for schedule(static) if (pool->planes * inputs > SMALL)
    for (size_t p = 0; p < pool->planes; p++)
        for (size_t o = 0; o < positions; o++) {
            sc_window rows = sc_window_at(down, o / across->out), columns = sc_window_at(across, o % across->out);
            sc_real share = dy[p * positions + o] / (sc_real)divisor(down, across, rows, columns, count_padding);
            for (size_t row = rows.first; row < rows.last; row++)
                run_add(dx + p * inputs + row * across->in + columns.first, share, columns.last - columns.first);
        }
}
