/* Runs the steps of a plan: the forward pass, and the backward pass with gradients or anything else that is propagated
 * from outputs to inputs. */
#ifndef SC_GRAPH_EXECUTOR_H
#define SC_GRAPH_EXECUTOR_H

#include "graph/plan.h"

/* Runs the graph on x [n x input shape], n <= plan->batch. The seed drives dropout. x is kept (shared) for the backward
 * pass and must not change before it. Ctrl-C ends it between nodes with SC_ERROR_INTERRUPTED. */
sc_status sc_plan_forward(sc_plan *plan, const sc_tensor *x, uint64_t seed, sc_error *error);

/* Runs a plan made with given nodes: values[k] [n x shape] is that of nodes[k], and every node that the plan has as
 * given must be among them; others are ignored. Those of inputs are kept (shared), the rest copied. */
sc_status sc_plan_forward_from(sc_plan *plan, const size_t *nodes, const sc_tensor *const *values, size_t count,
                               uint64_t seed, sc_error *error);

/* sc_plan_forward; seconds[plan->forward_count] gets the time that each step takes. NULL: nothing is measured. */
sc_status sc_plan_profile(sc_plan *plan, const sc_tensor *x, uint64_t seed, double *seconds, sc_error *error);

/* What happens at a node in the backward pass: read call->output_grad, add to call->input_grad (and call->param_grad);
 * where call->grad_uninitialised, write. */
typedef sc_status (*sc_backward_fn)(void *context, size_t node, const sc_op_call *call, sc_error *error);

/* Zeroes the gradients that hold nothing yet: for a visit that adds to them although the operation could write. */
void sc_call_zero_uninitialised(sc_op_call *call);

/* From output_grad [n x output shape] back through every node that the plan visits. Once per forward run, as
 * buffers of values are reused on the way; more often where the plan was made for that (repeatable). */
sc_status sc_plan_run_backward(sc_plan *plan, const sc_real *output_grad, sc_backward_fn visit, void *context,
                               sc_error *error);

/* sc_plan_run_backward with each operation's own backward. Gradients of parameters are added to. */
sc_status sc_plan_backward(sc_plan *plan, const sc_real *output_grad, sc_error *error);

/* The value of a node after forward, and its gradient after a backward pass: [current_batch x shape], inside the plan's
 * arena. NULL before, and when the plan does not keep it. The values of output and input are always kept. */
const sc_real *sc_plan_value(const sc_plan *plan, size_t node);
const sc_real *sc_plan_grad(const sc_plan *plan, size_t node);

#endif
