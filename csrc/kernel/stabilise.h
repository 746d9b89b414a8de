/* The stabiliser of relevance rules. */
#ifndef SC_KERNEL_STABILISE_H
#define SC_KERNEL_STABILISE_H

#include "base/real.h"

/* x + epsilon * sign(x), sign(0) = +1: the one stabiliser of all relevance rules. */
static inline sc_real sc_stabilise(sc_real x, sc_real epsilon) {
    return x >= 0 ? x + epsilon : x - epsilon;
}

#endif
