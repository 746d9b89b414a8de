/* Sums over runs of what gradients say of one node, whole or per unit. */
#ifndef SC_ATTRIBUTION_GRAD_TERM_H
#define SC_ATTRIBUTION_GRAD_TERM_H

#include "graph/graph.h"

/* One term of a sum, for one sample: weight * grad * (value - before), elementwise. */
typedef struct sc_grad_term {
    sc_real *out; /* [shape of the node], or [units]; added to */
    sc_real weight;
    const sc_real *grad;   /* [shape] */
    const sc_real *value;  /* [shape]; NULL: the factor is 1 */
    const sc_real *before; /* [shape]; NULL: 0 */
} sc_grad_term;

/* Adds the terms in their order, which is that of the sum's roundings; units: each unit is summed over its positions.
 */
void sc_grad_terms_add(const sc_grad_term *terms, size_t count, const sc_node *node, bool units);

#endif
