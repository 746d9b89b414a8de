#include "op/common.h"

#include <limits.h>
#include <stddef.h>

static const sc_attr attrs[] = {
    {"widths", SC_ATTR_LIST, offsetof(sc_context_attrs, widths), .min = 1, .max = INT_MAX},
    {0},
};

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const sc_shape *p = inputs[0], *v = inputs[1];
    char weights[SC_SHAPE_TEXT], values[SC_SHAPE_TEXT];
    const sc_context_attrs *a = attributes;
    (void)input_count;
    if (p->ndim != 3 || v->ndim != 2 || p->size[1] != v->size[0] || p->size[2] != v->size[0])
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "inputs: expected weights [heads x T x T] and values [T x D], got %s and %s",
                            sc_shape_format(weights, p), sc_shape_format(values, v));
    SC_TRY(sc_check_widths(&a->widths, p->size[0], v->size[1], error));
    out->output = *v;
    out->macs = (double)v->size[0] * (double)v->size[0] * (double)v->size[1];
    return SC_OK;
}

static size_t scratch(const sc_op_call *call) {
    sc_attention_size size = sc_call_context_size(call);
    return sc_attention_scratch(&size);
}

static void forward(const sc_op_call *call) {
    sc_attention_size size = sc_call_context_size(call);
    sc_attention_context_forward(call->output, call->scratch, call->input[0], call->input[1], &size);
}

/* calls: scores, softmax, context */
static void forward_chain(const sc_op_call *calls) {
    sc_attention_size keys = sc_call_scores_size(&calls[0]), values = sc_call_context_size(&calls[2]);
    sc_attention_forward(calls[2].output, calls[2].scratch, calls[0].input[0], calls[0].input[1], calls[2].input[1],
                         &keys, &values);
}

static void backward(const sc_op_call *call) {
    sc_attention_size size = sc_call_context_size(call);
    sc_attention_backward product = sc_call_attention_backward(call, 0);
    sc_attention_context_backward(&product, &size);
}

static void relevance(const sc_op_call *call, sc_relevance_mode mode, double epsilon) {
    sc_attention_size size = sc_call_context_size(call);
    sc_attention_backward product = sc_call_attention_backward(call, epsilon);
    sc_attention_context_relevance(&product, mode == SC_RELEVANCE_DETACH_WEIGHTS, &size);
}

/* The same value in all tokens is the context, whatever the weights, if they add up to 1; zero always is. */
static void fixed_units(bool *fixed, const sc_op_call *call, const sc_unit_facts *inputs) {
    sc_attention_size size = sc_call_context_size(call);
    for (size_t h = 0, f = 0; h < size.heads; h++)
        for (size_t i = 0; i < sc_head_width(&size, h); i++, f++)
            fixed[f] = inputs[1].fixed[f] &&
                       (inputs[1].zero[f] || inputs[0].fixed[h] || (inputs[1].uniform[f] && inputs[0].normalised));
}

/* Features are those of the values; a head that is kept has at least one. */
static void keep_units(bool *output, bool *const *inputs, const sc_op_call *call, const sc_unit_facts *facts) {
    sc_attention_size size = sc_call_context_size(call);
    (void)facts;
    if (sc_keep_many_heads(&size, inputs[0], output) && sc_keep_many_heads(&size, inputs[0], inputs[1]))
        return;
    for (size_t h = 0, f = 0; h < size.heads; h++) {
        size_t width = sc_head_width(&size, h);
        bool any = false;
        for (size_t i = f; i < f + width; i++) {
            output[i] = inputs[1][i] = output[i] || inputs[1][i];
            any = any || output[i];
        }
        if (inputs[0][h] && !any)
            output[f] = inputs[1][f] = any = true;
        inputs[0][h] = inputs[0][h] || any;
        f += width;
    }
}

static void narrow(void *attributes, const sc_op_call *call, const bool *output, const bool *const *inputs) {
    sc_context_attrs *a = attributes;
    sc_attention_size size = sc_call_context_size(call);
    (void)inputs;
    if (size.heads <= SC_MAX_LIST)
        sc_narrow_widths(&a->widths, &size, output);
}

const sc_op sc_op_attention_context = {
    .name = "attention_context",
    .kind = "attention",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs_size = sizeof(sc_context_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_NONLINEAR,
    .channels = SC_CHANNELS_MIX,
    .needs = SC_NEEDS_INPUT,
    .relevance_needs = SC_NEEDS_INPUT | SC_NEEDS_OUTPUT,
    .writes_grad = true,
    .fixed_units = fixed_units,
    .keep_units = keep_units,
    .narrow = narrow,
    .infer = infer,
    .scratch = scratch,
    .forward = forward,
    .chain = {"attention_scores", "softmax"},
    .forward_chain = forward_chain,
    .backward = backward,
    .relevance = relevance,
};
