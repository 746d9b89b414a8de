/* The training criterion. */
#ifndef SC_TRAIN_LOSS_H
#define SC_TRAIN_LOSS_H

#include "base/real.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Weighted softmax cross entropy, averaged as PyTorch averages it: with l_n = log sum_k exp(z_nk) - z_n,y(n),
 * loss = sum_n w_y(n) l_n / sum_n w_y(n), and dlogits its gradient. dlogits, logits [n x classes]; labels [n], from 1;
 * weights [classes], not negative, NULL for all 1. Computed in double, row after row, so that the result depends on
 * nothing but the numbers. Logits that are not finite make a loss that is not finite. An error: a label out of range, a
 * weight that is negative or not finite, no sample of positive weight. */
sc_status sc_loss_cross_entropy(double *loss, sc_real *dlogits, const sc_real *logits, const int64_t *labels,
                                const sc_real *weights, size_t n, size_t classes, sc_error *error);

/* p = exp(z - max z) / sum exp(z - max z) along each row; p, logits [n x classes]. Rows that are not finite give NaN.
 */
void sc_loss_softmax(sc_real *p, const sc_real *logits, size_t n, size_t classes);

#endif
