#include "op/common.h"

static sc_attention_size size_of(const sc_op_call *call) {
    const size_t *p = call->input_shape[0]->size, *v = call->input_shape[1]->size;
    return (sc_attention_size){.n = call->batch, .t = v[0], .d = v[1], .heads = p[0]};
}

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const sc_shape *p = inputs[0], *v = inputs[1];
    char weights[SC_SHAPE_TEXT], values[SC_SHAPE_TEXT];
    (void)attributes;
    (void)input_count;
    if (p->ndim != 3 || v->ndim != 2 || p->size[1] != v->size[0] || p->size[2] != v->size[0] || v->size[1] % p->size[0])
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "inputs: expected weights [heads x T x T] and values [T x D], got %s and %s",
                            sc_shape_format(weights, p), sc_shape_format(values, v));
    out->output = *v;
    out->macs = (double)v->size[0] * (double)v->size[0] * (double)v->size[1];
    return SC_OK;
}

static size_t scratch(const sc_op_call *call) {
    sc_attention_size size = size_of(call);
    return sc_attention_scratch(&size);
}

static void forward(const sc_op_call *call) {
    sc_attention_size size = size_of(call);
    sc_attention_context_forward(call->output, call->scratch, call->input[0], call->input[1], &size);
}

/* calls: scores, softmax, context */
static void forward_chain(const sc_op_call *calls) {
    sc_attention_size size = size_of(&calls[2]);
    sc_attention_forward(calls[2].output, calls[2].scratch, calls[0].input[0], calls[0].input[1], calls[2].input[1],
                         &size);
}

static void backward(const sc_op_call *call) {
    sc_attention_size size = size_of(call);
    sc_attention_backward product = sc_call_attention_backward(call, 0);
    sc_attention_context_backward(&product, &size);
}

static void relevance(const sc_op_call *call, sc_relevance_mode mode, double epsilon) {
    sc_attention_size size = size_of(call);
    sc_attention_backward product = sc_call_attention_backward(call, epsilon);
    sc_attention_context_relevance(&product, mode == SC_RELEVANCE_DETACH_WEIGHTS, &size);
}

const sc_op sc_op_attention_context = {
    .name = "attention_context",
    .kind = "attention",
    .min_inputs = 2,
    .max_inputs = 2,
    .linearity = SC_LINEARITY_NONLINEAR,
    .channels = SC_CHANNELS_MIX,
    .needs = SC_NEEDS_INPUT,
    .relevance_needs = SC_NEEDS_INPUT | SC_NEEDS_OUTPUT,
    .writes_grad = true,
    .infer = infer,
    .scratch = scratch,
    .forward = forward,
    .chain = {"attention_scores", "softmax"},
    .forward_chain = forward_chain,
    .backward = backward,
    .relevance = relevance,
};
