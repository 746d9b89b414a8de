/* Order and regrouping along a dimension: sorting, ranks, picking and adding up by index. For scripts. Inside an
 * interrupt scope, Ctrl-C ends sorting and ranks with SC_ERROR_INTERRUPTED. */
#ifndef SC_TENSOR_ORDER_H
#define SC_TENSOR_ORDER_H

#include "tensor/tensor.h"

/* out[..., i, ...] (int64) = index (from 1) of the element that comes i-th along `dimension` (from 0) when sorted,
 * equal ones in the order of their indices; NaN comes last. */
sc_status sc_tensor_argsort(sc_tensor *out, const sc_tensor *x, int dimension, bool descending, sc_error *error);

typedef enum sc_ties {
    SC_TIES_AVERAGE, /* equal elements share the mean of their ranks (Spearman's correlation) */
    SC_TIES_FIRST,   /* equal elements rank in the order of their indices: a permutation */
} sc_ties;

/* out = the rank (from 1, smallest first) of each element along `dimension`; of NaN, NaN. */
sc_status sc_tensor_rank(sc_tensor *out, const sc_tensor *x, int dimension, sc_ties ties, sc_error *error);

/* out[..., k, ...] = x[..., index[k], ...]; indices from 1, each in range (else an error), any number of times. */
sc_status sc_tensor_take(sc_tensor *out, const sc_tensor *x, int dimension, const int64_t *index, size_t count,
                         sc_error *error);

/* out[..., g, ...] = the sum of x[..., k, ...] over the k with group[k] = g (from 1, at most `groups`): what the
 * backward pass of sc_tensor_take does. One group per element of the dimension. Sums are taken in double. */
sc_status sc_tensor_sum_groups(sc_tensor *out, const sc_tensor *x, int dimension, const int64_t *group, size_t groups,
                               sc_error *error);

#endif
