#include "kernel/reduce.h"

#include "base/size.h"

enum { SMALL = 65536, BLOCK = 64 };

sc_real sc_reduce_sum(const sc_real *x, size_t n) {
    sc_real sum;
    SC_REDUCE_SUM(sum, n, i, x[i]);
    return sum;
}

double sc_reduce_sum64(const sc_real *x, size_t n) {
    enum { LANES = 16 };
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += (double)x[i + j];
    for (; i < n; i++)
        lane[0] += (double)x[i];
    for (size_t j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

double sc_reduce_squares64(const sc_real *x, size_t n) {
    enum { LANES = 8 };
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    for (size_t j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

double sc_reduce_strided64(const sc_real *x, size_t n, size_t stride) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i * stride];
    return sum;
}

static void add_rows(sc_real *sum, const sc_real *x, size_t rows, size_t columns, size_t first, size_t last) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = first; c < last; c++)
            sum[c] += x[r * columns + c];
}

void sc_rows_sum(sc_real *sum, const sc_real *x, size_t rows, size_t columns) {
#pragma omp parallel for schedule(static) if (rows * columns > SMALL)
    for (size_t first = 0; first < columns; first += BLOCK)
        add_rows(sum, x, rows, columns, first, sc_min(first + BLOCK, columns));
}

void sc_channels_sum(sc_real *sum, const sc_real *x, size_t n, size_t c, size_t positions) {
#pragma omp parallel for schedule(static) if (n * c * positions > SMALL)
    for (size_t k = 0; k < c; k++)
        for (size_t i = 0; i < n; i++)
            sum[k] += sc_reduce_sum(x + (i * c + k) * positions, positions);
}
