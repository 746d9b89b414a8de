#include "kernel/gemm.h"
#include "kernel/reduce.h"
#include "op/common.h"

#include <stddef.h>
#include <string.h>

typedef struct parameter_attrs {
    sc_shape shape; /* of one sample */
} parameter_attrs;

static const sc_attr attrs[] = {
    {"shape", SC_ATTR_SHAPE, offsetof(parameter_attrs, shape), .required = true},
    {0},
};

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const parameter_attrs *a = attributes;
    (void)input_count, (void)inputs;
    SC_TRY(sc_infer_sample(out, &a->shape, error));
    /* torchvision keeps a leading 1 where the batch goes: class_token is [1 x 1 x dim] */
    out->params[0] = (sc_op_param){.name = "value", .trainable = true, .shape = sc_shape_prepend(&a->shape, 1)};
    return SC_OK;
}

static void forward(const sc_op_call *call) {
    sc_rows_fill(call->output, call->param[0], call->batch, sc_shape_numel(call->output_shape));
}

static void backward(const sc_op_call *call) {
    if (call->param_grad[0])
        sc_rows_sum(call->param_grad[0], call->output_grad, call->batch, sc_shape_numel(call->output_shape));
}

const sc_op sc_op_parameter = {
    .name = "parameter",
    .attrs_size = sizeof(parameter_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_SOURCE,
    .channels = SC_CHANNELS_MIX,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
