#include "base/math64.h"
#include "op/common.h"

#include <stddef.h>

typedef struct gelu_attrs {
    int approximation; /* 0 none, 1 tanh */
} gelu_attrs;

static const char *const approximations[] = {"none", "tanh", NULL};

static const sc_attr attrs[] = {
    {"approximation", SC_ATTR_ENUM, offsetof(gelu_attrs, approximation), .choices = approximations},
    {0},
};

static sc_activation kind(const void *attributes) {
    return ((const gelu_attrs *)attributes)->approximation == 1 ? SC_ACTIVATION_GELU_TANH : SC_ACTIVATION_GELU;
}

static void forward(const sc_op_call *call) {
    sc_call_activation_forward(call, kind(call->attrs));
}

static void backward(const sc_op_call *call) {
    sc_call_activation_backward(call, kind(call->attrs));
}

static bool epilogue(const sc_op_call *call, sc_epilogue *out) {
    return sc_call_activation_epilogue(out, kind(call->attrs));
}

static double activation(const void *attributes, double x) {
    if (kind(attributes) == SC_ACTIVATION_GELU_TANH)
        return 0.5 * x * (1 + sc_tanh64(0.79788456080286536 * (x + 0.044715 * x * x * x)));
    return 0.5 * x * sc_erfc64(x * -0.70710678118654752);
}

const sc_op sc_op_gelu = {
    .name = "gelu",
    .kind = "activation",
    .min_inputs = 1,
    .max_inputs = 1,
    .attrs_size = sizeof(gelu_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_ELEMENTWISE,
    .channels = SC_CHANNELS_KEEP,
    .needs = SC_NEEDS_INPUT,
    .inplace = true,
    .recompute = true,
    .infer = sc_infer_same,
    .forward = forward,
    .backward = backward,
    .epilogue = epilogue,
    .epilogue_stage = SC_EPILOGUE_ACTIVATION,
    .activation = activation,
};
