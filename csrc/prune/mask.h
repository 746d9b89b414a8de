/* Pruning by zeroes: shapes stay, the units fall silent. */
#ifndef SC_PRUNE_MASK_H
#define SC_PRUNE_MASK_H

#include "graph/graph.h"

/* Units of one node, from 0. */
typedef struct sc_unit_list {
    size_t node;
    const size_t *units; /* [count] */
    size_t count;
} sc_unit_list;

/* The numbers that have to be zero for the listed units to be silent, see sc_graph_mask: *out gets *count ranges, which
 * the caller gives back with sc_memory_free. */
sc_status sc_mask_ranges(sc_param_range **out, size_t *count, const sc_graph *graph, const sc_unit_list *lists,
                         size_t list_count, sc_error *error);

/* A graph in which the listed units are exactly 0 before their activation: every weight that produces them is zero,
 * filter and bias, and so are scale and shift of each batch norm that the units reach as its own channels, directly or
 * through activations, pools and concatenations (a shift or a running mean would otherwise bring the unit back). A
 * residual sum ends this: behind it the channel is not the unit's alone. Parameters that change are cloned, whole; all
 * others are shared. Where nodes share rows of a parameter, the unit goes from all of them. Errors: a node that
 * produces no units, a unit out of range or listed twice. */
sc_status sc_graph_mask(sc_graph **out, const sc_graph *graph, const sc_unit_list *lists, size_t count,
                        sc_error *error);

#endif
