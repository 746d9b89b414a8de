/* Integrated Gradients (Sundararajan et al. 2017) and conductance (Dhamdhere et al. 2018): gradients along the straight
 * path from a baseline x0 to the input x. */
#ifndef SC_ATTRIBUTION_PATH_H
#define SC_ATTRIBUTION_PATH_H

#include "attribution/gradient.h"

typedef struct sc_path {
    const sc_real *x, *x0;      /* [n x input shape] each */
    const sc_real *output_grad; /* [n x output shape] */
    size_t n, point_count;
    const sc_point *points; /* at: in 0 .. 1, never falling; weights: of the quadrature, adding up to 1 */
} sc_path;

/* One run along the path for both: sums->input = (x - x0) * sum over points of weight * gradient at x0 + alpha (x - x0)
 * (eq. 3 of Sundararajan et al. for equal weights), and at nodes the quantity of `gradient`: for
 * SC_GRAD_QUANTITY_CONDUCTANCE the sum over points with `node` of df/dh(a_k) * (h(a_{k+1}) - h(a_k)). */
sc_status sc_path_integrate(sc_gradient *gradient, const sc_gradient_sums *sums, const sc_path *path, sc_error *error);

#endif
