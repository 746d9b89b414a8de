#include "kernel/activation.h"
#include "op/common.h"

static void forward(const sc_op_call *call) {
    sc_call_activation_forward(call, SC_ACTIVATION_RELU);
}

static void backward(const sc_op_call *call) {
    if (call->grad_uninitialised[0])
        sc_relu_backward_write(call->input_grad[0], call->output, call->output_grad, sc_call_numel(call));
    else
        sc_call_activation_backward(call, SC_ACTIVATION_RELU);
}

static void guided_backward(const sc_op_call *call) {
    if (call->input_grad[0])
        sc_relu_guided_backward(call->input_grad[0], call->output, call->output_grad, sc_call_numel(call));
}

static bool epilogue(const sc_op_call *call, sc_epilogue *out) {
    (void)call;
    return sc_call_activation_epilogue(out, SC_ACTIVATION_RELU);
}

static double activation(const void *attrs, double x) {
    (void)attrs;
    return x > 0 ? x : 0;
}

const sc_op sc_op_relu = {
    .name = "relu",
    .kind = "activation",
    .min_inputs = 1,
    .max_inputs = 1,
    .linearity = SC_LINEARITY_ELEMENTWISE,
    .channels = SC_CHANNELS_KEEP,
    .needs = SC_NEEDS_OUTPUT,
    .inplace = true,
    .writes_grad = true,
    .infer = sc_infer_same,
    .forward = forward,
    .backward = backward,
    .epilogue = epilogue,
    .epilogue_stage = SC_EPILOGUE_ACTIVATION,
    .activation = activation,
    .guided_backward = guided_backward,
    .monotonic = true,
};
