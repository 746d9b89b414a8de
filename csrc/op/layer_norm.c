#include "kernel/elementwise.h"
#include "kernel/norm.h"
#include "op/common.h"

#include <stddef.h>

typedef struct layer_norm_attrs {
    double eps;
} layer_norm_attrs;

static const sc_attr attrs[] = {
    {"eps", SC_ATTR_REAL, offsetof(layer_norm_attrs, eps), .fallback = 1e-6, .min = 0, .max = 1},
    {0},
};

enum { WEIGHT, BIAS };

static size_t features(const sc_op_call *call) {
    return sc_shape_last(call->input_shape[0]);
}

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    (void)attributes, (void)input_count, (void)error;
    out->output = *inputs[0];
    sc_shape each = {1, {sc_shape_last(inputs[0])}};
    out->params[WEIGHT] = (sc_op_param){.name = "weight", .shape = each, .trainable = true, .ones = true};
    out->params[BIAS] = (sc_op_param){.name = "bias", .shape = each, .trainable = true};
    return SC_OK;
}

/* The mean of each row, then 1 / std of each. */
static size_t saved(const sc_op_call *call) {
    return 2 * sc_call_rows(call);
}

static sc_layer_norm norm_of(const sc_op_call *call) {
    const layer_norm_attrs *a = call->attrs;
    size_t rows = sc_call_rows(call);
    return (sc_layer_norm){
        .mean = call->saved,
        .rstd = call->saved + rows,
        .weight = call->param[WEIGHT],
        .bias = call->param[BIAS],
        .eps = a->eps,
        .rows = rows,
        .d = features(call),
    };
}

static void forward(const sc_op_call *call) {
    sc_layer_norm norm = norm_of(call);
    sc_layer_norm_forward(call->output, call->input[0], &norm);
}

static void backward(const sc_op_call *call) {
    sc_layer_norm norm = norm_of(call);
    sc_layer_norm_backward(call->input_grad[0], call->param_grad[WEIGHT], call->param_grad[BIAS], call->input[0],
                           call->output_grad, &norm);
}

static void relevance(const sc_op_call *call, sc_relevance_mode mode, double epsilon) {
    sc_layer_norm norm = norm_of(call);
    if (!call->input_grad[0])
        return;
    if (mode == SC_RELEVANCE_IDENTITY)
        sc_accumulate(call->input_grad[0], call->output_grad, sc_call_numel(call));
    else
        sc_layer_norm_relevance(call->input_grad[0], call->input[0], call->output_grad, epsilon, &norm);
}

const sc_op sc_op_layer_norm = {
    .name = "layer_norm",
    .kind = "norm",
    .min_inputs = 1,
    .max_inputs = 1,
    .attrs_size = sizeof(layer_norm_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_NONLINEAR,
    .channels = SC_CHANNELS_MIX,
    .needs = SC_NEEDS_INPUT,
    .relevance_needs = SC_NEEDS_INPUT,
    .inplace = true,
    .recompute = true,
    .unit_axis = -1,
    .infer = infer,
    .saved = saved,
    .forward = forward,
    .backward = backward,
    .relevance = relevance,
};
