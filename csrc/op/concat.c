#include "base/vector.h"
#include "kernel/elementwise.h"
#include "op/common.h"

static sc_status infer(sc_op_signature *out, const void *attrs, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    (void)attrs;
    char expected[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    sc_shape output = *inputs[0];
    for (int i = 1; i < input_count; i++) {
        sc_shape like = *inputs[0];
        like.size[0] = inputs[i]->size[0];
        if (!sc_shape_equal(inputs[i], &like))
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "input %d: expected %s, as input 1 but for the first dimension, got %s", i + 1,
                                sc_shape_format(expected, inputs[0]), sc_shape_format(got, inputs[i]));
        output.size[0] += inputs[i]->size[0];
    }
    return sc_shape_init(&out->output, output.ndim, output.size, error);
}

/* Where input i lies in each sample of the output. */
static size_t offset(const sc_op_call *call, int i) {
    size_t numel = 0;
    for (int k = 0; k < i; k++)
        numel += sc_shape_numel(call->input_shape[k]);
    return numel;
}

static void forward(const sc_op_call *call) {
    size_t whole = sc_shape_numel(call->output_shape);
    for (int i = 0; i < call->input_count; i++) {
        size_t part = sc_shape_numel(call->input_shape[i]), at = offset(call, i);
        for (size_t b = 0; b < call->batch; b++)
            sc_copy(call->output + b * whole + at, call->input[i] + b * part, part);
    }
}

static void backward(const sc_op_call *call) {
    size_t whole = sc_shape_numel(call->output_shape);
    for (int i = 0; i < call->input_count; i++) {
        size_t part = sc_shape_numel(call->input_shape[i]), at = offset(call, i);
        for (size_t b = 0; call->input_grad[i] && b < call->batch; b++)
            sc_accumulate(call->input_grad[i] + b * part, call->output_grad + b * whole + at, part);
    }
}

/* Channels come after those of the inputs before; features stay, but in other rows are those of other inputs. */
static void move_units(sc_unit_map *units, const sc_shape *const *inputs, int input) {
    units->shared |= units->last_axis;
    for (int k = 0; k < input && !units->last_axis; k++)
        units->first += inputs[k]->size[0];
}

const sc_op sc_op_concat = {
    .name = "concat",
    .kind = "routing",
    .min_inputs = 2,
    .max_inputs = SC_MAX_INPUTS,
    .linearity = SC_LINEARITY_ROUTING,
    .channels = SC_CHANNELS_MOVE,
    .move_units = move_units,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
