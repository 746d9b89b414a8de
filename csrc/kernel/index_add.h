/* Sums over some of the units of a value. */
#ifndef SC_KERNEL_INDEX_ADD_H
#define SC_KERNEL_INDEX_ADD_H

#include "base/real.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Units of two values with the same positions: maps [n x units x positions], or with last_axis rows
 * [n x positions x units]. */
typedef struct sc_index_add_size {
    size_t n, units, positions; /* units of the larger value */
    size_t part;                /* units of the smaller one */
    bool last_axis;
} sc_index_add_size;

/* whole[index[u] - 1] += part[u] for each unit u of the part; an index outside 1..units is nowhere. */
void sc_index_add(sc_real *whole, const sc_real *part, const int64_t *index /* [part] */, const sc_index_add_size *s);

/* The transpose: part[u] += whole[index[u] - 1]. */
void sc_index_gather(sc_real *part, const sc_real *whole, const int64_t *index /* [part] */,
                     const sc_index_add_size *s);

#endif
