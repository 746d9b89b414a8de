/* Where the units of a node go: from its output onwards through the operations that keep units (activations, norms,
 * pools, sums) or move them (flatten, tokens, concat), up to those that produce new units or mix them. */
#ifndef SC_GRAPH_UNIT_WALK_H
#define SC_GRAPH_UNIT_WALK_H

#include "graph/graph.h"

/* A node whose value has the units. */
typedef struct sc_unit_place {
    size_t node;
    size_t from;       /* the node that they come from: the one that produces them, or of an earlier place */
    sc_unit_map units; /* where in the value */
} sc_unit_place;

/* *out gets all *count places of the units of `producer` (SC_CHANNELS_PRODUCE) but its own output, in the order of the
 * nodes; the caller frees them with sc_memory_free. A node has one place for each way in which a unit gets there: two
 * for concat(x, x). */
sc_status sc_unit_walk(sc_unit_place **out, size_t *count, const sc_graph *graph, size_t producer, sc_error *error);

#endif
