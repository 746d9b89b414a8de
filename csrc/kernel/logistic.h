/* The logistic function in double, for losses and for the probabilities that users see. */
#ifndef SC_KERNEL_LOGISTIC_H
#define SC_KERNEL_LOGISTIC_H

#include "base/real.h"

#include <stddef.h>

/* What a logit says of yes and of no. Each is computed by itself, so that none is 1 minus something near 1. */
typedef struct sc_logistic64 {
    double yes, no;           /* probabilities: 1 / (1 + exp(-z)), 1 / (1 + exp(z)) */
    double loss_yes, loss_no; /* minus their logarithms */
} sc_logistic64;

/* Of one logit; where it is NaN, so is all. */
sc_logistic64 sc_logistic64_of(double z);

/* p = the probability of yes of each of count logits. */
void sc_logistic64_forward(sc_real *p, const sc_real *z, size_t count);

#endif
