/* The gradients of a plan's parameters: tensors over one storage, so that those of several backward passes, or of
 * several processes, can be added and moved as one vector. */
#ifndef SC_GRAPH_PARAM_GRADS_H
#define SC_GRAPH_PARAM_GRADS_H

#include "graph/plan.h"

/* Makes plan->grads and, over it, plan->param_grads, all zero: for the parameters that are wanted [of the graph's
 * parameters]. Each begins at a cache line; the numbers between them stay zero. */
sc_status sc_param_grads_create(sc_plan *plan, const bool *wanted, sc_error *error);

/* Ends what sc_param_grads_create made. */
void sc_param_grads_release(sc_plan *plan);

/* plan->grads += grads, a vector of the same length; else an error. The order of the two changes no bit. */
sc_status sc_param_grads_add(sc_plan *plan, const sc_tensor *grads, sc_error *error);

/* Zeroes the gradients of the parameters. */
void sc_plan_clear_param_grads(sc_plan *plan);

#endif
