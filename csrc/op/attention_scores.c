#include "op/common.h"

#include <limits.h>
#include <stddef.h>

typedef struct scores_attrs {
    size_t heads;
} scores_attrs;

static const sc_attr attrs[] = {
    {"heads", SC_ATTR_SIZE, offsetof(scores_attrs, heads), .required = true, .min = 1, .max = INT_MAX},
    {0},
};

static sc_attention_size size_of(const sc_op_call *call) {
    const scores_attrs *a = call->attrs;
    const size_t *in = call->input_shape[0]->size;
    return (sc_attention_size){.n = call->batch, .t = in[0], .d = in[1], .heads = a->heads};
}

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const scores_attrs *a = attributes;
    char query[SC_SHAPE_TEXT], key[SC_SHAPE_TEXT];
    (void)input_count;
    if (inputs[0]->ndim != 2 || !sc_shape_equal(inputs[0], inputs[1]))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "inputs: expected queries and keys [T x D], got %s and %s",
                            sc_shape_format(query, inputs[0]), sc_shape_format(key, inputs[1]));
    size_t t = inputs[0]->size[0], d = inputs[0]->size[1];
    if (d % a->heads)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "heads: expected a divisor of %zu features, got %zu", d,
                            a->heads);
    out->output = (sc_shape){3, {a->heads, t, t}};
    out->macs = (double)t * (double)t * (double)d;
    return SC_OK;
}

static size_t scratch(const sc_op_call *call) {
    sc_attention_size size = size_of(call);
    return sc_attention_scratch(&size);
}

static void forward(const sc_op_call *call) {
    sc_attention_size size = size_of(call);
    sc_attention_scores_forward(call->output, call->scratch, call->input[0], call->input[1], &size);
}

static void backward(const sc_op_call *call) {
    sc_attention_size size = size_of(call);
    sc_attention_backward product = sc_call_attention_backward(call, 0);
    sc_attention_scores_backward(&product, &size);
}

/* Where attention weights are constants nothing that is propagated to them goes further. */
static void relevance(const sc_op_call *call, sc_relevance_mode mode, double epsilon) {
    sc_attention_size size = size_of(call);
    sc_attention_backward product = sc_call_attention_backward(call, epsilon);
    if (mode != SC_RELEVANCE_DETACH_WEIGHTS)
        sc_attention_scores_relevance(&product, &size);
}

const sc_op sc_op_attention_scores = {
    .name = "attention_scores",
    .kind = "attention",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs_size = sizeof(scores_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_NONLINEAR,
    .channels = SC_CHANNELS_MIX,
    .needs = SC_NEEDS_INPUT,
    .relevance_needs = SC_NEEDS_INPUT | SC_NEEDS_OUTPUT,
    .writes_grad = true,
    .infer = infer,
    .scratch = scratch,
    .forward = forward,
    .backward = backward,
    .relevance = relevance,
};
