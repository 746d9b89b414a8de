/* Pruning by removal: an equivalent graph without the units that compute nothing. */
#ifndef SC_PRUNE_COMPACT_H
#define SC_PRUNE_COMPACT_H

#include "graph/graph.h"

/* A smaller graph with the same output: the same sums, without terms that are zero, and with terms that are the same
 * for every image added up beforehand.
 *
 * Units that are zero or that nobody reads are gone with all that makes and reads them: rows and columns of weights,
 * channels of norms, features behind a flatten, features of queries, keys and values, whole heads. Fixed units that are
 * not zero go into the bias of their reader where that is exact: one value at all positions, read without zero padding.
 * A sum (residual stream) whose inputs have different units becomes index_add; one with a single input left, the input
 * itself. What is fixed as a whole becomes a `parameter`. Nodes keep their names, and parameters theirs with fewer
 * rows and columns; where nodes that share rows need different ones, each gets its own, named after the node.
 *
 * Errors: a graph whose output is the same for every image. The graph given stays as it is. */
sc_status sc_graph_compact(sc_graph **out, sc_graph *graph, sc_error *error);

#endif
