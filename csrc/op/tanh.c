#include "base/math64.h"
#include "op/common.h"

static void forward(const sc_op_call *call) {
    sc_call_activation_forward(call, SC_ACTIVATION_TANH);
}

static void backward(const sc_op_call *call) {
    sc_call_activation_backward(call, SC_ACTIVATION_TANH);
}

static bool epilogue(const sc_op_call *call, sc_epilogue *out) {
    (void)call;
    return sc_call_activation_epilogue(out, SC_ACTIVATION_TANH);
}

static double activation(const void *attrs, double x) {
    (void)attrs;
    return sc_tanh64(x);
}

const sc_op sc_op_tanh = {
    .name = "tanh",
    .kind = "activation",
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
    .saturation_low = -2,
    .saturation_high = 2,
    .monotonic = true,
};
