/* What several operations share. */
#ifndef SC_OP_COMMON_H
#define SC_OP_COMMON_H

#include "kernel/pool.h"
#include "op/op.h"

/* infer of operations that keep the shape of input 0 and have no parameters. */
sc_status sc_infer_same(sc_op_signature *out, const void *attrs, int input_count, const sc_shape *const *inputs,
                        sc_error *error);

/* Refuses what is not [C x H x W], or has more positions than the index arithmetic of kernels covers. */
sc_status sc_check_feature_map(const sc_shape *input, sc_error *error);

/* The attributes that pools begin with. */
typedef struct sc_pool_attrs {
    size_t kernel[2], stride[2], padding[2];
} sc_pool_attrs;

/* Output shape of a pool; refuses windows that would see nothing but padding. */
sc_status sc_infer_pool(sc_op_signature *out, const sc_pool_attrs *attrs, const sc_shape *input, sc_error *error);

/* Dimension 0 (down) or 1 (across) of the pool of this call. */
sc_pool_axis sc_call_pool_axis(const sc_op_call *call, const sc_pool_attrs *attrs, int dimension);

/* Planes [H x W] of input 0 for the whole batch. */
size_t sc_call_planes(const sc_op_call *call);

/* The size of the last dimension. */
size_t sc_shape_last(const sc_shape *shape);

/* Elements of input 0 for the whole batch. */
size_t sc_call_numel(const sc_op_call *call);

/* Rows along the last dimension of input 0, for the whole batch. */
size_t sc_call_rows(const sc_op_call *call);

#endif
