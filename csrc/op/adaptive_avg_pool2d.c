#include "op/common.h"

#include <limits.h>
#include <stddef.h>

typedef struct adaptive_attrs {
    size_t output[2];
} adaptive_attrs;

static const sc_attr attrs[] = {
    {"output", SC_ATTR_PAIR, offsetof(adaptive_attrs, output), .required = true, .min = 1, .max = INT_MAX},
    {0},
};

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const adaptive_attrs *a = attributes;
    (void)input_count;
    SC_TRY(sc_check_feature_map(inputs[0], error));
    out->output = (sc_shape){3, {inputs[0]->size[0], a->output[0], a->output[1]}};
    return SC_OK;
}

static const sc_pool_attrs adaptive = {0};

static void forward(const sc_op_call *call) {
    sc_pool pool = sc_call_pool(call, &adaptive);
    sc_avg_pool_forward(call->output, call->input[0], &pool, false);
}

static void backward(const sc_op_call *call) {
    sc_pool pool = sc_call_pool(call, &adaptive);
    if (call->input_grad[0])
        sc_avg_pool_backward(call->input_grad[0], call->output_grad, &pool, false);
}

const sc_op sc_op_adaptive_avg_pool2d = {
    .name = "adaptive_avg_pool2d",
    .kind = "avg_pool",
    .min_inputs = 1,
    .max_inputs = 1,
    .attrs_size = sizeof(adaptive_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_FIXED,
    .channels = SC_CHANNELS_KEEP,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
