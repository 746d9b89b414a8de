#include "base/vector.h"
#include "kernel/elementwise.h"
#include "op/common.h"

static sc_status infer(sc_op_signature *out, const void *attrs, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    (void)attrs, (void)input_count, (void)error;
    out->output = (sc_shape){1, {sc_shape_numel(inputs[0])}};
    return SC_OK;
}

static void forward(const sc_op_call *call) {
    if (call->output != call->input[0])
        sc_copy(call->output, call->input[0], sc_call_numel(call));
}

static void backward(const sc_op_call *call) {
    if (call->input_grad[0])
        sc_accumulate(call->input_grad[0], call->output_grad, sc_call_numel(call));
}

/* A channel becomes a run of features; the features of tokens recur with every token. */
static void move_units(sc_unit_map *units, const sc_shape *const *inputs, int input) {
    size_t numel = sc_shape_numel(inputs[input]);
    if (inputs[input]->ndim < 2)
        return;
    if (units->last_axis) {
        units->step = inputs[input]->size[inputs[input]->ndim - 1];
        units->count = numel / units->step;
    } else {
        units->count = numel / inputs[input]->size[0];
        units->step = 1;
        units->first *= units->count;
        units->stride *= units->count;
    }
    units->last_axis = false;
}

const sc_op sc_op_flatten = {
    .name = "flatten",
    .kind = "routing",
    .min_inputs = 1,
    .max_inputs = 1,
    .linearity = SC_LINEARITY_ROUTING,
    .channels = SC_CHANNELS_MOVE,
    .move_units = move_units,
    .inplace = true,
    .unit_axis = -1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
