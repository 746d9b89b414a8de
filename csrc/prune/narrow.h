/* Parameters with fewer rows and columns: which places of an old parameter a node of the compact graph has. */
#ifndef SC_PRUNE_NARROW_H
#define SC_PRUNE_NARROW_H

#include "prune/unit_use.h"

/* Where the nodes of the compact graph find their parameters, one entry per node and slot of the old graph. */
typedef struct sc_narrow_binding {
    const char *name; /* of the old parameter; NULL: the node gets its own, under its own name */
    size_t first_row, total_rows;
} sc_narrow_binding;

/* *out gets [node_count x SC_MAX_PARAMS] bindings; the caller frees them with sc_memory_free. Uses of one parameter
 * stay together when their rows are disjoint or the same and all read the same columns. */
sc_status sc_narrow_bindings(sc_narrow_binding **out, const sc_graph *graph, const sc_unit_use *uses, sc_error *error);

/* Writes what is left of a node's parameter in one slot to the place that the compact graph's node has for it, and adds
 * what its fixed inputs make to the bias. */
sc_status sc_narrow_values(sc_graph *compact, size_t compact_node, const sc_graph *graph, size_t node,
                           const sc_unit_use *uses, sc_error *error);

/* Whether a producer reads fixed units that are not kept, so that it needs a bias. */
bool sc_narrow_needs_bias(const sc_graph *graph, size_t node, const sc_unit_use *uses);

#endif
