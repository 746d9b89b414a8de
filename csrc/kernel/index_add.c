#include "kernel/index_add.h"

/* Positions of a map that one thread takes at a time: units may share a place, positions never do. */
enum { RUN = 1024 };

static bool is_inside(int64_t index, const sc_index_add_size *s) {
    return index >= 1 && (uint64_t)index <= s->units;
}

static void add_run(sc_real *y, const sc_real *x, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

/* For one run of positions of one sample, whole += part, or with `gather` part += whole. */
static void add_maps(sc_real *whole, sc_real *part, const int64_t *index, const sc_index_add_size *s, size_t first,
                     bool gather) {
    size_t count = s->positions - first < RUN ? s->positions - first : RUN;
    for (size_t u = 0; u < s->part; u++) {
        if (!is_inside(index[u], s))
            continue;
        sc_real *large = whole + ((size_t)index[u] - 1) * s->positions + first;
        sc_real *small = part + u * s->positions + first;
        if (gather)
            add_run(small, large, count);
        else
            add_run(large, small, count);
    }
}

static void add_row(sc_real *whole, const sc_real *part, const int64_t *index, const sc_index_add_size *s) {
    for (size_t u = 0; u < s->part; u++)
        if (is_inside(index[u], s))
            whole[index[u] - 1] += part[u];
}

static void gather_row(sc_real *part, const sc_real *whole, const int64_t *index, const sc_index_add_size *s) {
    for (size_t u = 0; u < s->part; u++)
        if (is_inside(index[u], s))
            part[u] += whole[index[u] - 1];
}

/* One of both is only read; which one, `gather` says. */
static void run(sc_real *whole, sc_real *part, const int64_t *index, const sc_index_add_size *s, bool gather) {
    size_t pieces = s->last_axis ? s->positions : (s->positions + RUN - 1) / RUN;
#pragma omp parallel for schedule(static) if (s->n * s->part * s->positions > 16384)
    for (size_t i = 0; i < s->n * pieces; i++) {
        size_t sample = i / pieces, piece = i % pieces;
        if (s->last_axis) {
            sc_real *large = whole + i * s->units, *small = part + i * s->part;
            if (gather)
                gather_row(small, large, index, s);
            else
                add_row(large, small, index, s);
        } else {
            add_maps(whole + sample * s->units * s->positions, part + sample * s->part * s->positions, index, s,
                     piece * RUN, gather);
        }
    }
}

void sc_index_add(sc_real *whole, const sc_real *part, const int64_t *index, const sc_index_add_size *s) {
    run(whole, (sc_real *)part, index, s, false);
}

void sc_index_gather(sc_real *part, const sc_real *whole, const int64_t *index, const sc_index_add_size *s) {
    run((sc_real *)whole, part, index, s, true);
}
