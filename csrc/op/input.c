#include "op/common.h"

#include <stddef.h>

typedef struct input_attrs {
    sc_shape shape;
} input_attrs;

static const sc_attr attrs[] = {
    {"shape", SC_ATTR_SHAPE, offsetof(input_attrs, shape), .required = true},
    {0},
};

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const input_attrs *a = attributes;
    (void)input_count, (void)inputs;
    return sc_infer_sample(out, &a->shape, error);
}

/* The walk points its output at the caller's tensor. */
static void forward(const sc_op_call *call) {
    (void)call;
}

const sc_op sc_op_input = {
    .name = "input",
    .attrs_size = sizeof(input_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_SOURCE,
    .channels = SC_CHANNELS_MIX,
    .infer = infer,
    .forward = forward,
};
