#include "kernel/elementwise.h"

#include "kernel/vecmath.h"

#include <stdbool.h>

enum { CHUNK = 16384, TILE = 256, SQUARE = 16 };

static size_t chunk_at(size_t first, size_t n) {
    return n - first < CHUNK ? n - first : CHUNK;
}

static void accumulate(sc_real *y, const sc_real *x, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

void sc_accumulate(sc_real *y, const sc_real *x, size_t n) {
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (size_t first = 0; first < n; first += CHUNK)
        accumulate(y + first, x + first, chunk_at(first, n));
}

static void add_pair(sc_real *y, const sc_real *a, const sc_real *b, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

/* Through a tile, because y may be an input that is still to be read. */
static void add_many(sc_real *y, const sc_real *const *x, int count, size_t first, size_t last) {
    sc_real tile[TILE];
    for (; first < last; first += TILE) {
        size_t n = last - first < TILE ? last - first : TILE;
        memcpy(tile, x[0] + first, n * sizeof *tile);
        for (int k = 1; k < count; k++)
            accumulate(tile, x[k] + first, n);
        memcpy(y + first, tile, n * sizeof *tile);
    }
}

void sc_add(sc_real *y, const sc_real *const *x, int count, size_t n) {
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (size_t first = 0; first < n; first += CHUNK) {
        size_t m = chunk_at(first, n);
        if (count == 2)
            add_pair(y + first, x[0] + first, x[1] + first, m);
        else
            add_many(y, x, count, first, first + m);
    }
}

/* The finaliser of MurmurHash3 (Appleby, public domain): every bit of the result depends on every bit of h. */
SC_INLINE uint32_t scramble(uint32_t h) {
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    return h ^ (h >> 16);
}

/* Keeps element i of the chunk when its hash reaches the threshold; the key is that of the chunk. */
SC_INLINE sc_real dropped(sc_real x, uint32_t i, uint64_t key, uint32_t threshold, sc_real scale) {
    uint32_t h = scramble(scramble(i ^ (uint32_t)key) + (uint32_t)(key >> 32));
    return h >= threshold ? x * scale : 0;
}

static void drop(sc_real *y, const sc_real *x, uint64_t key, uint32_t threshold, sc_real scale, uint32_t n) {
#pragma omp simd
    for (uint32_t i = 0; i < n; i++)
        y[i] = dropped(x[i], i, key, threshold, scale);
}

static void drop_backward(sc_real *dx, const sc_real *dy, uint64_t key, uint32_t threshold, sc_real scale, uint32_t n) {
#pragma omp simd
    for (uint32_t i = 0; i < n; i++)
        dx[i] += dropped(dy[i], i, key, threshold, scale);
}

static uint64_t chunk_key(uint64_t seed, size_t first) {
    uint64_t z = (seed ^ 0x9e3779b97f4a7c15u) + (uint64_t)first * 0xd1342543de82ef95u;
    z = (z ^ (z >> 32)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 29)) * 0x94d049bb133111ebu;
    return z ^ (z >> 32);
}

static void dropout(sc_real *out, const sc_real *in, double p, uint64_t seed, size_t n, bool backward) {
    const bool all = p >= 1;
    const uint32_t threshold = all ? 0 : (uint32_t)(p * 4294967296.0);
    const sc_real scale = all ? 0 : (sc_real)(1 / (1 - p));
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (size_t first = 0; first < n; first += CHUNK)
        (backward ? drop_backward : drop)(out + first, in + first, chunk_key(seed, first), threshold, scale,
                                          (uint32_t)chunk_at(first, n));
}

void sc_dropout_forward(sc_real *y, const sc_real *x, double p, uint64_t seed, size_t n) {
    dropout(y, x, p, seed, n, false);
}

void sc_dropout_backward(sc_real *dx, const sc_real *dy, double p, uint64_t seed, size_t n) {
    dropout(dx, dy, p, seed, n, true);
}

/* In squares, so that both sides stay in the cache. */
static void transpose(sc_real *y, const sc_real *x, size_t batch, size_t rows, size_t columns, bool add) {
    size_t strips = (rows + SQUARE - 1) / SQUARE;
#pragma omp parallel for schedule(static) if (batch * rows * columns > CHUNK)
    for (size_t s = 0; s < batch * strips; s++) {
        size_t r0 = s % strips * SQUARE, r1 = rows - r0 < SQUARE ? rows : r0 + SQUARE;
        const sc_real *from = x + s / strips * rows * columns;
        sc_real *to = y + s / strips * rows * columns;
        for (size_t c = 0; c < columns; c++)
            for (size_t r = r0; r < r1; r++)
                to[c * rows + r] = from[r * columns + c] + (add ? to[c * rows + r] : 0);
    }
}

void sc_transpose(sc_real *y, const sc_real *x, size_t batch, size_t rows, size_t columns) {
    transpose(y, x, batch, rows, columns, false);
}

void sc_transpose_accumulate(sc_real *y, const sc_real *x, size_t batch, size_t rows, size_t columns) {
    transpose(y, x, batch, rows, columns, true);
}
