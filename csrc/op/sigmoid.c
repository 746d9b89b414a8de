#include "base/math64.h"
#include "kernel/activation.h"
#include "op/common.h"

static void forward(const sc_op_call *call) {
    sc_sigmoid_forward(call->output, call->input[0], sc_call_numel(call));
}

static void backward(const sc_op_call *call) {
    if (call->input_grad[0])
        sc_sigmoid_backward(call->input_grad[0], call->output, call->output_grad, sc_call_numel(call));
}

static bool epilogue(const sc_op_call *call, sc_epilogue *out) {
    (void)call;
    if (out)
        out->activation = SC_ACTIVATION_SIGMOID;
    return true;
}

static double activation(const void *attrs, double x) {
    (void)attrs;
    return 1 / (1 + sc_exp64(-x));
}

const sc_op sc_op_sigmoid = {
    .name = "sigmoid",
    .min_inputs = 1,
    .max_inputs = 1,
    .linearity = SC_LINEARITY_ELEMENTWISE,
    .channels = SC_CHANNELS_KEEP,
    .needs = SC_NEEDS_OUTPUT,
    .inplace = true,
    .infer = sc_infer_same,
    .forward = forward,
    .backward = backward,
    .epilogue = epilogue,
    .epilogue_stage = SC_EPILOGUE_ACTIVATION,
    .activation = activation,
    .saturation_low = -4,
    .saturation_high = 4,
    .monotonic = true,
};
