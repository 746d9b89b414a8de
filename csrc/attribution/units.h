/* From numbers per position to one number per unit: a channel's map, or a feature over all tokens. */
#ifndef SC_ATTRIBUTION_UNITS_H
#define SC_ATTRIBUTION_UNITS_H

#include "graph/graph.h"

#include <stdbool.h>

typedef enum sc_unit_reduction {
    SC_UNIT_SUM,         /* sum of a */
    SC_UNIT_MEAN_ABS,    /* mean of |a| */
    SC_UNIT_ABS_PRODUCT, /* mean of |a b| */
} sc_unit_reduction;

/* The number of units in the output of a node. */
size_t sc_node_units(const sc_node *node);

/* out[n x units] = the measure over the positions of each unit, for a (and b) [n x shape of the node]. */
void sc_unit_reduce(sc_real *out, sc_unit_reduction measure, const sc_real *a, const sc_real *b, const sc_node *node,
                    size_t n);

/* The sums over the positions of each unit that a first-order estimate of a centred value needs: products[n x units] of
 * value times gradient, grads[n x units] of the gradient, both in double. Units are the channels of maps [units x
 * positions], or the last dimension of tokens [positions x units]. */
void sc_unit_products(double *products, double *grads, const sc_real *value, const sc_real *grad, size_t n,
                      size_t units, size_t positions, bool maps);

#endif
