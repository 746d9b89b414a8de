#include "base/vector.h"
#include "kernel/elementwise.h"
#include "op/common.h"

#include <stddef.h>

typedef struct dropout_attrs {
    double p;
} dropout_attrs;

static const sc_attr attrs[] = {
    {"p", SC_ATTR_REAL, offsetof(dropout_attrs, p), .fallback = 0.5, .min = 0, .max = 1},
    {0},
};

static void forward(const sc_op_call *call) {
    const dropout_attrs *a = call->attrs;
    if (call->training)
        sc_dropout_forward(call->output, call->input[0], a->p, call->seed, sc_call_numel(call));
    else if (call->output != call->input[0])
        sc_copy(call->output, call->input[0], sc_call_numel(call));
}

static void backward(const sc_op_call *call) {
    const dropout_attrs *a = call->attrs;
    if (!call->input_grad[0])
        return;
    if (call->training)
        sc_dropout_backward(call->input_grad[0], call->output_grad, a->p, call->seed, sc_call_numel(call));
    else
        sc_accumulate(call->input_grad[0], call->output_grad, sc_call_numel(call));
}

const sc_op sc_op_dropout = {
    .name = "dropout",
    .kind = "activation",
    .min_inputs = 1,
    .max_inputs = 1,
    .attrs_size = sizeof(dropout_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_ELEMENTWISE,
    .channels = SC_CHANNELS_KEEP,
    .inplace = true,
    .inert = true,
    .infer = sc_infer_same,
    .forward = forward,
    .backward = backward,
};
