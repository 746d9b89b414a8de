/* The optimiser Adam (Kingma and Ba, 2015), step for step as PyTorch's torch.optim.Adam. */
#ifndef SC_TRAIN_ADAM_H
#define SC_TRAIN_ADAM_H

#include "graph/plan.h"

typedef struct sc_adam_options {
    double beta1, beta2; /* of the running means of g and g^2; in [0, 1) */
    double eps;          /* added to the root of the second */
    double weight_decay; /* times the parameter, added to g */
} sc_adam_options;

/* 0.9, 0.999, 1e-8, 0 */
extern const sc_adam_options sc_adam_defaults;

/* The moments of a graph's trainable parameters. */
typedef struct sc_adam {
    sc_graph *graph; /* shared; must get no new parameters */
    sc_adam_options options;
    size_t steps;       /* taken so far */
    size_t count;       /* of the graph's parameters */
    sc_tensor *moments; /* [2 * count]: first moments, then second; zeroed structs where not trainable */
} sc_adam;

/* All moments zero. */
sc_status sc_adam_create(sc_adam **out, sc_graph *graph, const sc_adam_options *options, sc_error *error);

/* NULL is allowed. */
void sc_adam_free(sc_adam *adam);

/* One step on all trainable parameters along the plan's gradients. The plan must be one with params, of the same graph.
 * Parameters and moments that are shared are cloned first, so nobody else sees them change. */
sc_status sc_adam_step(sc_adam *adam, const sc_plan *plan, double lr, sc_error *error);

/* The arithmetic of a step on n numbers: g = grad + weight_decay * x; m += (1 - beta1) (g - m);
 * v = beta2 v + (1 - beta2) g^2; x -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps), t = step, from 1. */
void sc_adam_update(sc_real *x, sc_real *m, sc_real *v, const sc_real *grad, size_t n, const sc_adam_options *options,
                    size_t step, double lr);

#endif
