#include "op/common.h"

#include <limits.h>
#include <stddef.h>

static const sc_attr attrs[] = {
    {"kernel", SC_ATTR_PAIR, offsetof(sc_pool_attrs, kernel), .required = true, .min = 1, .max = INT_MAX},
    {"stride", SC_ATTR_PAIR, offsetof(sc_pool_attrs, stride), .min = 1, .max = INT_MAX, .same_as = "kernel"},
    {"padding", SC_ATTR_PAIR, offsetof(sc_pool_attrs, padding), .fallback = 0},
    {0},
};

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    (void)input_count;
    return sc_infer_pool(out, attributes, inputs[0], error);
}

static void forward(const sc_op_call *call) {
    sc_pool pool = sc_call_pool(call, call->attrs);
    sc_max_pool_forward(call->output, call->input[0], &pool);
}

static void backward(const sc_op_call *call) {
    sc_pool pool = sc_call_pool(call, call->attrs);
    if (call->input_grad[0])
        sc_max_pool_backward(call->input_grad[0], call->input[0], call->output_grad, &pool);
}

/* The other modes mean nothing to a pool: all goes to the first maximum, as in the gradient. */
static void relevance(const sc_op_call *call, sc_relevance_mode mode, double epsilon) {
    (void)epsilon;
    sc_pool pool = sc_call_pool(call, call->attrs);
    if (mode != SC_RELEVANCE_TIES)
        backward(call);
    else if (call->input_grad[0])
        sc_max_pool_ties(call->input_grad[0], call->input[0], call->output_grad, &pool);
}

const sc_op sc_op_max_pool2d = {
    .name = "max_pool2d",
    .kind = "max_pool",
    .min_inputs = 1,
    .max_inputs = 1,
    .attrs_size = sizeof(sc_pool_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_NONLINEAR,
    .channels = SC_CHANNELS_KEEP,
    .needs = SC_NEEDS_INPUT,
    .relevance_needs = SC_NEEDS_INPUT,
    .tie_sensitive = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .relevance = relevance,
};
