#include "kernel/elementwise.h"
#include "op/common.h"

static sc_status infer(sc_op_signature *out, const void *attrs, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    (void)attrs, (void)input_count;
    SC_TRY(sc_check_feature_map(inputs[0], error));
    out->output = (sc_shape){2, {inputs[0]->size[1] * inputs[0]->size[2], inputs[0]->size[0]}};
    return SC_OK;
}

static void forward(const sc_op_call *call) {
    sc_transpose(call->output, call->input[0], call->batch, call->output_shape->size[1], call->output_shape->size[0]);
}

static void backward(const sc_op_call *call) {
    if (call->input_grad[0])
        sc_transpose_accumulate(call->input_grad[0], call->output_grad, call->batch, call->output_shape->size[0],
                                call->output_shape->size[1]);
}

/* Channels become features. */
static void move_units(sc_unit_map *units, const sc_shape *const *inputs, int input) {
    (void)inputs, (void)input;
    units->last_axis = true;
}

const sc_op sc_op_tokens = {
    .name = "tokens",
    .kind = "routing",
    .min_inputs = 1,
    .max_inputs = 1,
    .linearity = SC_LINEARITY_ROUTING,
    .channels = SC_CHANNELS_MOVE,
    .move_units = move_units,
    .unit_axis = -1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
