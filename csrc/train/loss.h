/* Training criteria. */
#ifndef SC_TRAIN_LOSS_H
#define SC_TRAIN_LOSS_H

#include "base/real.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct sc_loss_options {
    const sc_real *weights; /* [classes], not negative; NULL for all 1 */
    double smoothing;       /* in [0, 1]: the share of the target that goes to all classes alike */
    double total;           /* divides the sum; 0: what the samples come to. For batches that come in pieces. */
    double gamma;           /* of the focal loss, at least 0; 0: cross entropy */
} sc_loss_options;

/* Softmax cross entropy, weighted, smoothed and averaged as PyTorch does: with l_nk = log sum_j exp(z_nj) - z_nk, y the
 * label and s the smoothing,
 *
 *     loss = 1/total sum_n ((1 - s) w_y l_ny + s/classes sum_k w_k l_nk),   total = sum_n w_y
 *
 * and dlogits is its gradient. With gamma each l_nk is times (1 - p_nk)^gamma, p_nk = exp(-l_nk): the focal loss (Lin
 * et al. 2017, equation 5, whose alpha is w). dlogits, logits [n x classes]; labels [n], from 1. Computed in double,
 * row after row, so that the result depends on nothing but the numbers. Logits that are not finite make a loss that is
 * not finite. An error: a label out of range, a weight, smoothing, total or gamma that is none, no sample of positive
 * weight (where no total is given). */
sc_status sc_loss_cross_entropy(double *loss, sc_real *dlogits, const sc_real *logits, const int64_t *labels, size_t n,
                                size_t classes, const sc_loss_options *options, sc_error *error);

/* Cross entropy of a yes or no per logit, as PyTorch's BCEWithLogitsLoss(pos_weight) has it: with p = 1 / (1 +
 * exp(-z)), t the target after smoothing, (1 - s) t + s/2, and w the weight of the finding's presence,
 *
 *     loss = 1/total sum_nk (w_k t_nk (1 - p_nk)^gamma (-log p_nk) + (1 - t_nk) p_nk^gamma (-log (1 - p_nk)))
 *
 * over what is known: a target of -1 is not, and has neither loss nor gradient. total = the number of known targets.
 * dlogits, logits, targets [n x classes]; targets in [0, 1], or -1. For the rest as above. */
sc_status sc_loss_binary_cross_entropy(double *loss, sc_real *dlogits, const sc_real *logits, const sc_real *targets,
                                       size_t n, size_t classes, const sc_loss_options *options, sc_error *error);

#endif
