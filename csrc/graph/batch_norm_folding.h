/* Folding of batch norms into the layers before them. */
#ifndef SC_GRAPH_BATCH_NORM_FOLDING_H
#define SC_GRAPH_BATCH_NORM_FOLDING_H

#include "graph/graph.h"

/* A graph with the same outputs in inference, in which every batch norm that alone reads a convolution or linear layer
 * (one with parameters of its own) is part of it: W' = W g / sqrt(var + eps), b' = (b - mean) g / sqrt(var + eps) +
 * beta. The layer keeps its name, the norm's node is gone. All other parameters are shared. */
sc_status sc_graph_fold_batch_norm(sc_graph **out, const sc_graph *graph, sc_error *error);

#endif
