#include "base/vector.h"
#include "kernel/elementwise.h"
#include "op/common.h"

#include <limits.h>
#include <stddef.h>

typedef struct select_attrs {
    size_t index; /* from 1 */
} select_attrs;

static const sc_attr attrs[] = {
    {"index", SC_ATTR_SIZE, offsetof(select_attrs, index), .fallback = 1, .min = 1, .max = INT_MAX},
    {0},
};

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const select_attrs *a = attributes;
    (void)input_count;
    char text[SC_SHAPE_TEXT];
    if (inputs[0]->ndim != 2)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "input: expected [tokens x features], got %s",
                            sc_shape_format(text, inputs[0]));
    if (a->index > inputs[0]->size[0])
        return sc_error_set(error, SC_ERROR_ARGUMENT, "index: expected 1 to %zu, the tokens of %s, got %zu",
                            inputs[0]->size[0], sc_shape_format(text, inputs[0]), a->index);
    out->output = (sc_shape){1, {inputs[0]->size[1]}};
    return SC_OK;
}

/* Where the token lies in the input. */
static size_t token_offset(const sc_op_call *call, size_t sample) {
    const select_attrs *a = call->attrs;
    return (sample * call->input_shape[0]->size[0] + a->index - 1) * call->input_shape[0]->size[1];
}

static void forward(const sc_op_call *call) {
    size_t d = call->output_shape->size[0];
    for (size_t b = 0; b < call->batch; b++)
        sc_copy(call->output + b * d, call->input[0] + token_offset(call, b), d);
}

static void backward(const sc_op_call *call) {
    size_t d = call->output_shape->size[0];
    for (size_t b = 0; call->input_grad[0] && b < call->batch; b++)
        sc_accumulate(call->input_grad[0] + token_offset(call, b), call->output_grad + b * d, d);
}

const sc_op sc_op_select = {
    .name = "select",
    .kind = "routing",
    .min_inputs = 1,
    .max_inputs = 1,
    .attrs_size = sizeof(select_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_ROUTING,
    .channels = SC_CHANNELS_KEEP,
    .unit_axis = -1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
