#include "base/math64.h"
#include "op/common.h"

static void forward(const sc_op_call *call) {
    sc_call_activation_forward(call, SC_ACTIVATION_SILU);
}

static void backward(const sc_op_call *call) {
    sc_call_activation_backward(call, SC_ACTIVATION_SILU);
}

static bool epilogue(const sc_op_call *call, sc_epilogue *out) {
    (void)call;
    return sc_call_activation_epilogue(out, SC_ACTIVATION_SILU);
}

static double activation(const void *attrs, double x) {
    (void)attrs;
    return x / (1 + sc_exp64(-x));
}

/* The package's swish, with a slope of 0.75. */
static double package_swish(double x) {
    return x / (1 + sc_exp64(-0.75 * x));
}

const sc_op sc_op_silu = {
    .name = "silu",
    .kind = "activation",
    .min_inputs = 1,
    .max_inputs = 1,
    .linearity = SC_LINEARITY_ELEMENTWISE,
    .channels = SC_CHANNELS_KEEP,
    .needs = SC_NEEDS_INPUT,
    .inplace = true,
    .infer = sc_infer_same,
    .forward = forward,
    .backward = backward,
    .epilogue = epilogue,
    .epilogue_stage = SC_EPILOGUE_ACTIVATION,
    .activation = activation,
    .package_activation = package_swish,
    .package_low = -6,
    .recompute = true,
};
