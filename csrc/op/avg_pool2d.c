#include "op/common.h"

#include <limits.h>
#include <stddef.h>

typedef struct avg_pool_attrs {
    sc_pool_attrs pool;
    bool count_include_pad;
} avg_pool_attrs;

static const sc_attr attrs[] = {
    {"kernel", SC_ATTR_PAIR, offsetof(avg_pool_attrs, pool.kernel), .required = true, .min = 1, .max = INT_MAX},
    {"stride", SC_ATTR_PAIR, offsetof(avg_pool_attrs, pool.stride), .min = 1, .max = INT_MAX, .same_as = "kernel"},
    {"padding", SC_ATTR_PAIR, offsetof(avg_pool_attrs, pool.padding), .fallback = 0},
    {"count_include_pad", SC_ATTR_FLAG, offsetof(avg_pool_attrs, count_include_pad), .fallback = 1},
    {0},
};

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const avg_pool_attrs *a = attributes;
    (void)input_count;
    return sc_infer_pool(out, &a->pool, inputs[0], error);
}

static void forward(const sc_op_call *call) {
    const avg_pool_attrs *a = call->attrs;
    sc_pool pool = sc_call_pool(call, &a->pool);
    sc_avg_pool_forward(call->output, call->input[0], &pool, a->count_include_pad);
}

static void backward(const sc_op_call *call) {
    const avg_pool_attrs *a = call->attrs;
    sc_pool pool = sc_call_pool(call, &a->pool);
    if (call->input_grad[0])
        sc_avg_pool_backward(call->input_grad[0], call->output_grad, &pool, a->count_include_pad);
}

const sc_op sc_op_avg_pool2d = {
    .name = "avg_pool2d",
    .kind = "avg_pool",
    .min_inputs = 1,
    .max_inputs = 1,
    .attrs_size = sizeof(avg_pool_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_FIXED,
    .channels = SC_CHANNELS_KEEP,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
