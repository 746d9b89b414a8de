/* Sums over some of the units of a value. */
#ifndef SC_KERNEL_INDEX_ADD_H
#define SC_KERNEL_INDEX_ADD_H

#include "base/real.h"
#include "kernel/epilogue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SC_INDEX_MAX_PARTS = 16 };

/* The sum of values with the same positions, each with some of the units of the output: maps
 * [n x units x positions], or with last_axis rows [n x positions x units]. */
typedef struct sc_index_sum {
    size_t n, units, positions; /* units of the output */
    bool last_axis;
    const sc_real *whole; /* (optional) a summand with all units, in order; may be the output itself */
    int count;
    const sc_real *part[SC_INDEX_MAX_PARTS];
    size_t part_units[SC_INDEX_MAX_PARTS];
    const int64_t *index;        /* [sum of part_units] the place of each unit of each part, from 1; outside: nowhere */
    const sc_epilogue *epilogue; /* (optional) what else is done to each sum */
    void *scratch;               /* sc_index_scratch() bytes */
} sc_index_sum;

/* Bytes of scratch for an output of so many units, and so many units of all parts. */
size_t sc_index_scratch(size_t units, size_t part_units);

/* y = whole + each part in turn, unit by unit. */
void sc_index_add(sc_real *y, const sc_index_sum *s);

/* The transpose for one part with `units` units: part[u] += whole[index[u] - 1], whole [n x ...] of s->units. */
void sc_index_gather(sc_real *part, const sc_real *whole, const int64_t *index, size_t units, const sc_index_sum *s);

#endif
