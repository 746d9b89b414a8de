#include "op/common.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>

static const sc_attr attrs[] = {
    {"heads", SC_ATTR_SIZE, offsetof(sc_scores_attrs, heads), .required = true, .min = 1, .max = INT_MAX},
    {"widths", SC_ATTR_LIST, offsetof(sc_scores_attrs, widths), .min = 1, .max = INT_MAX},
    {"scale", SC_ATTR_REAL, offsetof(sc_scores_attrs, scale), .fallback = 0},
    {0},
};

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const sc_scores_attrs *a = attributes;
    char query[SC_SHAPE_TEXT], key[SC_SHAPE_TEXT];
    (void)input_count;
    if (inputs[0]->ndim != 2 || !sc_shape_equal(inputs[0], inputs[1]))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "inputs: expected queries and keys [T x D], got %s and %s",
                            sc_shape_format(query, inputs[0]), sc_shape_format(key, inputs[1]));
    size_t t = inputs[0]->size[0], d = inputs[0]->size[1];
    SC_TRY(sc_check_widths(&a->widths, a->heads, d, error));
    out->output = (sc_shape){3, {a->heads, t, t}};
    out->macs = (double)t * (double)t * (double)d;
    return SC_OK;
}

static size_t scratch(const sc_op_call *call) {
    sc_attention_size size = sc_call_scores_size(call);
    return sc_attention_scratch(&size);
}

static void forward(const sc_op_call *call) {
    sc_attention_size size = sc_call_scores_size(call);
    sc_attention_scores_forward(call->output, call->scratch, call->input[0], call->input[1], &size);
}

static void backward(const sc_op_call *call) {
    sc_attention_size size = sc_call_scores_size(call);
    sc_attention_backward product = sc_call_attention_backward(call, 0);
    sc_attention_scores_backward(&product, &size);
}

/* Where attention weights are constants nothing that is propagated to them goes further. */
static void relevance(const sc_op_call *call, sc_relevance_mode mode, double epsilon) {
    sc_attention_size size = sc_call_scores_size(call);
    sc_attention_backward product = sc_call_attention_backward(call, epsilon);
    if (mode != SC_RELEVANCE_DETACH_WEIGHTS)
        sc_attention_scores_relevance(&product, &size);
}

/* The scores of a head are fixed when each of its products is, of a query's feature and a key's. */
static void fixed_units(bool *fixed, const sc_op_call *call, const sc_unit_facts *inputs) {
    sc_attention_size size = sc_call_scores_size(call);
    for (size_t h = 0, f = 0; h < size.heads; h++) {
        fixed[h] = true;
        for (size_t i = 0; i < sc_head_width(&size, h); i++, f++)
            fixed[h] =
                fixed[h] && (inputs[0].zero[f] || inputs[1].zero[f] || (inputs[0].fixed[f] && inputs[1].fixed[f]));
    }
}

/* Queries and keys keep the same features: those that are zero in neither, at least one of a head that is kept. */
static void keep_units(bool *output, bool *const *inputs, const sc_op_call *call, const sc_unit_facts *facts) {
    sc_attention_size size = sc_call_scores_size(call);
    if (sc_keep_many_heads(&size, output, inputs[0]) && sc_keep_many_heads(&size, output, inputs[1]))
        return;
    for (size_t h = 0, f = 0; h < size.heads; h++) {
        size_t width = sc_head_width(&size, h);
        bool any = false;
        for (size_t i = f; i < f + width; i++)
            output[h] = output[h] || inputs[0][i] || inputs[1][i];
        for (size_t i = f; output[h] && i < f + width; i++) {
            bool live = !facts[0].zero[i] && !facts[1].zero[i];
            inputs[0][i] = inputs[1][i] = live || inputs[0][i] || inputs[1][i];
            any = any || inputs[0][i];
        }
        if (output[h] && !any)
            inputs[0][f] = inputs[1][f] = true;
        f += width;
    }
}

static void narrow(void *attributes, const sc_op_call *call, const bool *output, const bool *const *inputs) {
    sc_scores_attrs *a = attributes;
    sc_attention_size size = sc_call_scores_size(call);
    (void)output;
    if (size.heads > SC_MAX_LIST)
        return;
    a->scale = size.scale != 0 ? size.scale : 1 / sqrt((double)(size.d / size.heads));
    sc_narrow_widths(&a->widths, &size, inputs[0]);
    a->heads = a->widths.count;
}

const sc_op sc_op_attention_scores = {
    .name = "attention_scores",
    .kind = "attention",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs_size = sizeof(sc_scores_attrs),
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
    .backward = backward,
    .relevance = relevance,
};
