/* The training criterion. */
#ifndef SC_TRAIN_LOSS_H
#define SC_TRAIN_LOSS_H

#include "base/real.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct sc_loss_options {
    const sc_real *weights; /* [classes], not negative; NULL for all 1 */
    double smoothing;       /* in [0, 1]: the share of the target that goes to all classes alike */
    double total;           /* divides the sum; 0: the sum of the samples' weights. For batches that come in pieces. */
} sc_loss_options;

/* Softmax cross entropy, weighted, smoothed and averaged as PyTorch does: with l_nk = log sum_j exp(z_nj) - z_nk, y the
 * label and s the smoothing,
 *
 *     loss = 1/total sum_n ((1 - s) w_y l_ny + s/classes sum_k w_k l_nk),   total = sum_n w_y
 *
 * and dlogits is its gradient. dlogits, logits [n x classes]; labels [n], from 1. Computed in double, row after row, so
 * that the result depends on nothing but the numbers. Logits that are not finite make a loss that is not finite. An
 * error: a label out of range, a weight, smoothing or total that is none, no sample of positive weight (where no total
 * is given). */
sc_status sc_loss_cross_entropy(double *loss, sc_real *dlogits, const sc_real *logits, const int64_t *labels, size_t n,
                                size_t classes, const sc_loss_options *options, sc_error *error);

#endif
