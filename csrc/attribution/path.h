/* Integrated Gradients and conductance: gradients along the straight path from a baseline x0 to the input x. */
#ifndef SC_ATTRIBUTION_PATH_H
#define SC_ATTRIBUTION_PATH_H

#include "graph/plan.h"

/* The graph has an input, and x is a batch for it. */
typedef struct sc_path {
    const sc_real *x, *x0; /* [n x input shape] each */
    const sc_real *seeds;  /* [n x output shape]: what the gradient is of, e.g. one at the target */
    size_t n, steps;
} sc_path;

/* out[n x input shape] = (x - x0) * (1/steps) sum over k = 0 .. steps - 1 of the gradient at x0 + (k + 1/2)/steps (x -
 * x0) (Sundararajan et al. 2017, eq. 3, by midpoints). The plan must keep the gradient of the input node. */
sc_status sc_path_input(sc_real *out, sc_plan *plan, size_t input_node, const sc_path *path, sc_error *error);

/* Conductance of nodes (Dhamdhere et al. 2018): out[i] = sum over k = 0 .. steps - 1 of
 * df/dh(a_k) * (h(a_{k+1}) - h(a_k)), a_k = k/steps, whole ([n x shape]) or summed over positions ([n x units]). The
 * plan must keep values and gradients of these nodes. */
sc_status sc_path_conductance(sc_real *const *out, bool units, sc_plan *plan, const size_t *nodes, size_t count,
                              const sc_path *path, sc_error *error);

#endif
