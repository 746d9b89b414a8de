/* What several operations share. */
#ifndef SC_OP_COMMON_H
#define SC_OP_COMMON_H

#include "kernel/activation.h"
#include "kernel/attention.h"
#include "kernel/pool.h"
#include "op/op.h"

/* infer of operations that keep the shape of input 0 and have no parameters. */
sc_status sc_infer_same(sc_op_signature *out, const void *attrs, int input_count, const sc_shape *const *inputs,
                        sc_error *error);

/* Refuses what is not [C x H x W], or has more positions than the index arithmetic of kernels covers. */
sc_status sc_check_feature_map(const sc_shape *input, sc_error *error);

/* Attributes of attention_scores. */
typedef struct sc_scores_attrs {
    size_t heads;
    sc_size_list widths;
    double scale;
} sc_scores_attrs;

/* Attributes of attention_context. */
typedef struct sc_context_attrs {
    sc_size_list widths;
} sc_context_attrs;

/* The attributes that pools begin with. */
typedef struct sc_pool_attrs {
    size_t kernel[2], stride[2], padding[2];
} sc_pool_attrs;

/* Output shape of a pool; refuses windows that would see nothing but padding. */
sc_status sc_infer_pool(sc_op_signature *out, const sc_pool_attrs *attrs, const sc_shape *input, sc_error *error);

/* The pool of this call over all planes [H x W] of input 0. With kernel 0, adaptive. */
sc_pool sc_call_pool(const sc_op_call *call, const sc_pool_attrs *attrs);

/* infer of operations whose attribute is the shape of one sample: refuses what has no dimensions, no elements, or no
 * place for the batch. */
sc_status sc_infer_sample(sc_op_signature *out, const sc_shape *shape, sc_error *error);

/* The sizes of a call to attention_scores, and to attention_context. They point into the call's attributes. */
sc_attention_size sc_call_scores_size(const sc_op_call *call);
sc_attention_size sc_call_context_size(const sc_op_call *call);

/* Features of a head as the attribute "widths" has them, or in equal parts; the first feature of it. */
size_t sc_head_width(const sc_attention_size *size, size_t head);
size_t sc_head_first(const sc_attention_size *size, size_t head);

/* Checks that widths are one per head, at least 1, and add up to the features. */
sc_status sc_check_widths(const sc_size_list *widths, size_t heads, size_t features, sc_error *error);

/* Whether there are more heads than widths can be given for: then all features of all heads are kept, and this sets
 * both lists of flags so. */
bool sc_keep_many_heads(const sc_attention_size *size, bool *heads, bool *features);

/* What narrow() makes of widths: the features kept of each head that has any, for at most SC_MAX_LIST heads. */
void sc_narrow_widths(sc_size_list *widths, const sc_attention_size *size, const bool *kept);

/* The backward pass of one of the two products of attention, for gradients or relevance. */
sc_attention_backward sc_call_attention_backward(const sc_op_call *call, double epsilon);

/* forward, backward and epilogue of elementwise activations. */
void sc_call_activation_forward(const sc_op_call *call, sc_activation activation);
void sc_call_activation_backward(const sc_op_call *call, sc_activation activation);
bool sc_call_activation_epilogue(sc_epilogue *out, sc_activation activation);

/* The size of the last dimension. */
size_t sc_shape_last(const sc_shape *shape);

/* Elements of input 0 for the whole batch. */
size_t sc_call_numel(const sc_op_call *call);

/* Rows along the last dimension of input 0, for the whole batch. */
size_t sc_call_rows(const sc_op_call *call);

#endif
