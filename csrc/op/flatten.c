#include "base/vector.h"
#include "kernel/elementwise.h"
#include "op/common.h"

static sc_status infer(sc_op_signature *out, const void *attrs, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    (void)attrs, (void)input_count, (void)error;
    out->output = (sc_shape){1, {sc_shape_numel(inputs[0])}};
    return SC_OK;
}

static void forward(const sc_op_call *call) {
    if (call->output != call->input[0])
        sc_copy(call->output, call->input[0], sc_call_numel(call));
}

static void backward(const sc_op_call *call) {
    if (call->input_grad[0])
        sc_accumulate(call->input_grad[0], call->output_grad, sc_call_numel(call));
}

const sc_op sc_op_flatten = {
    .name = "flatten",
    .min_inputs = 1,
    .max_inputs = 1,
    .linearity = SC_LINEARITY_ROUTING,
    .channels = SC_CHANNELS_MOVE,
    .inplace = true,
    .unit_axis = -1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
