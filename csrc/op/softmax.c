#include "kernel/softmax.h"
#include "kernel/attention.h"
#include "kernel/elementwise.h"
#include "op/common.h"

static void forward(const sc_op_call *call) {
    sc_softmax_forward(call->output, call->input[0], sc_call_rows(call), sc_shape_last(call->output_shape));
}

/* calls: scores, softmax */
static void forward_chain(const sc_op_call *calls) {
    sc_attention_size size = sc_call_scores_size(&calls[0]);
    sc_attention_probabilities_forward(calls[1].output, calls[0].scratch, calls[0].input[0], calls[0].input[1], &size);
}

static void backward(const sc_op_call *call) {
    if (call->input_grad[0])
        sc_softmax_backward(call->input_grad[0], call->output, call->output_grad, sc_call_rows(call),
                            sc_shape_last(call->output_shape), !call->grad_uninitialised[0]);
}

static void relevance(const sc_op_call *call, sc_relevance_mode mode, double epsilon) {
    (void)epsilon; /* nothing is divided */
    if (!call->input_grad[0] || mode == SC_RELEVANCE_DETACH_WEIGHTS)
        return;
    if (mode == SC_RELEVANCE_IDENTITY)
        sc_accumulate(call->input_grad[0], call->output_grad, sc_call_numel(call));
    else
        sc_softmax_relevance(call->input_grad[0], call->input[0], call->output, call->output_grad, sc_call_rows(call),
                             sc_shape_last(call->output_shape));
}

/* Whether the units are maps, of which none sees another: the heads of an attention. */
static bool has_heads(const sc_op_call *call) {
    return call->input_shape[0]->ndim > 2;
}

static void fixed_units(bool *fixed, const sc_op_call *call, const sc_unit_facts *inputs) {
    bool all = true;
    for (size_t u = 0; u < inputs[0].count; u++)
        all = all && inputs[0].fixed[u];
    for (size_t u = 0; u < inputs[0].count; u++)
        fixed[u] = has_heads(call) ? inputs[0].fixed[u] : all;
}

static void keep_units(bool *output, bool *const *inputs, const sc_op_call *call, const sc_unit_facts *facts) {
    for (size_t u = 0; u < facts[0].count; u++)
        output[u] = inputs[0][u] = !has_heads(call) || output[u] || inputs[0][u];
}

const sc_op sc_op_softmax = {
    .name = "softmax",
    .min_inputs = 1,
    .max_inputs = 1,
    .linearity = SC_LINEARITY_NONLINEAR,
    .channels = SC_CHANNELS_MIX,
    .needs = SC_NEEDS_OUTPUT,
    .relevance_needs = SC_NEEDS_INPUT | SC_NEEDS_OUTPUT,
    .inplace = true,
    .writes_grad = true,
    .unit_axis = -1,
    .fixed_units = fixed_units,
    .normalises = true,
    .keep_units = keep_units,
    .infer = sc_infer_same,
    .forward = forward,
    .chain = {"attention_scores"},
    .forward_chain = forward_chain,
    .backward = backward,
    .relevance = relevance,
};
