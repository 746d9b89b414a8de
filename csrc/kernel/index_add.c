#include "kernel/index_add.h"

#include <string.h>

#define NONE UINT32_MAX

/* The units of parts that go to each unit of the output, as lists in the order of the parts. */
typedef struct sources {
    uint32_t *first; /* [units] */
    uint32_t *next;  /* [units of all parts] */
} sources;

size_t sc_index_scratch(size_t units, size_t part_units) {
    return (units + part_units) * sizeof(uint32_t);
}

static size_t all_parts(const sc_index_sum *s) {
    size_t units = 0;
    for (int k = 0; k < s->count; k++)
        units += s->part_units[k];
    return units;
}

static bool is_inside(int64_t index, const sc_index_sum *s) {
    return index >= 1 && (uint64_t)index <= s->units;
}

/* Lists are built from the end, so that they are in order. */
static sources list_sources(const sc_index_sum *s) {
    sources out = {.first = s->scratch};
    out.next = out.first + s->units;
    for (size_t u = 0; u < s->units; u++)
        out.first[u] = NONE;
    for (size_t i = all_parts(s); i-- > 0;)
        if (is_inside(s->index[i], s)) {
            size_t unit = (size_t)s->index[i] - 1;
            out.next[i] = out.first[unit];
            out.first[unit] = (uint32_t)i;
        }
    return out;
}

static void add_run(sc_real *y, const sc_real *a, const sc_real *b, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

/* The map of one unit of a part. */
static const sc_real *map_of(const sc_index_sum *s, size_t sample, size_t source) {
    int k = 0;
    for (; source >= s->part_units[k]; k++)
        source -= s->part_units[k];
    return s->part[k] + (sample * s->part_units[k] + source) * s->positions;
}

static void add_maps(sc_real *y, const sc_index_sum *s, const sources *from, size_t sample, size_t unit) {
    size_t n = s->positions;
    uint32_t source = from->first[unit];
    const sc_real *sum = s->whole ? s->whole + (sample * s->units + unit) * n : NULL;
    if (!sum && source != NONE) {
        sum = map_of(s, sample, source);
        source = from->next[source];
    }
    if (!sum) {
        memset(y, 0, n * sizeof *y);
        return;
    }
    if (source == NONE && sum != y)
        memcpy(y, sum, n * sizeof *y);
    for (; source != NONE; source = from->next[source], sum = y)
        add_run(y, sum, map_of(s, sample, source), n);
}

static void sum_map(sc_real *y, const sc_index_sum *s, const sources *from, size_t sample, size_t unit) {
    add_maps(y, s, from, sample, unit);
    if (s->epilogue)
        sc_epilogue_apply(y, s->epilogue, unit, (sample * s->units + unit) * s->positions, s->positions);
}

static void sum_row(sc_real *y, const sc_index_sum *s, size_t row) {
    const int64_t *index = s->index;
    if (!s->whole)
        memset(y, 0, s->units * sizeof *y);
    else if (s->whole + row * s->units != y)
        memcpy(y, s->whole + row * s->units, s->units * sizeof *y);
    for (int k = 0; k < s->count; index += s->part_units[k++])
        for (size_t u = 0; u < s->part_units[k]; u++)
            if (is_inside(index[u], s))
                y[index[u] - 1] += s->part[k][row * s->part_units[k] + u];
    if (s->epilogue)
        sc_epilogue_apply_units(y, s->epilogue, 0, row * s->units, s->units);
}

void sc_index_add(sc_real *y, const sc_index_sum *s) {
    bool large = s->n * s->units * s->positions > 16384;
    if (s->last_axis) {
#pragma omp parallel for schedule(static) if (large)
        for (size_t row = 0; row < s->n * s->positions; row++)
            sum_row(y + row * s->units, s, row);
        return;
    }
    sources from = list_sources(s);
#pragma omp parallel for schedule(static) if (large)
    for (size_t i = 0; i < s->n * s->units; i++)
        sum_map(y + i * s->positions, s, &from, i / s->units, i % s->units);
}

void sc_index_gather(sc_real *part, const sc_real *whole, const int64_t *index, size_t units, const sc_index_sum *s) {
    size_t inner = s->last_axis ? 1 : s->positions, outer = s->last_axis ? s->n * s->positions : s->n;
#pragma omp parallel for schedule(static) if (outer * units * inner > 16384)
    for (size_t i = 0; i < outer; i++)
        for (size_t u = 0; u < units; u++)
            if (is_inside(index[u], s)) {
                sc_real *to = part + (i * units + u) * inner;
                add_run(to, to, whole + (i * s->units + (size_t)index[u] - 1) * inner, inner);
            }
}
