#include "base/math64.h"
#include "op/common.h"

static void forward(const sc_op_call *call) {
    sc_call_activation_forward(call, SC_ACTIVATION_SIGMOID);
}

static void backward(const sc_op_call *call) {
    sc_call_activation_backward(call, SC_ACTIVATION_SIGMOID);
}

static bool epilogue(const sc_op_call *call, sc_epilogue *out) {
    (void)call;
    return sc_call_activation_epilogue(out, SC_ACTIVATION_SIGMOID);
}

static double activation(const void *attrs, double x) {
    (void)attrs;
    return 1 / (1 + sc_exp64(-x));
}

const sc_op sc_op_sigmoid = {
    .name = "sigmoid",
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
    .saturation_low = -4,
    .saturation_high = 4,
    .monotonic = true,
};
