/* Which nodes are computed in one step: a product (convolution, linear layer) and the channel norm, the sum with
 * another value and the activation that follow it, as its epilogue; or an operation and those before it of which it
 * knows how to compute them along, as attention does. */
#ifndef SC_GRAPH_FUSION_H
#define SC_GRAPH_FUSION_H

#include "graph/plan.h"

/* Sets head and next_fused of all nodes. Reads needs, training and value_kept of the plan's nodes: a value that is
 * kept, that the backward pass needs or that more than one node reads is written, and ends its chain. */
void sc_fusion_find(sc_plan *plan);

#endif
