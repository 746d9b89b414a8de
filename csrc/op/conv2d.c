#include "kernel/conv2d.h"

#include "kernel/reduce.h"
#include "op/op.h"

#include <limits.h>
#include <stddef.h>

typedef struct conv2d_attrs {
    size_t out;
    size_t kernel[2], stride[2], padding[2], dilation[2];
    size_t groups;
    bool bias;
} conv2d_attrs;

static const sc_attr attrs[] = {
    {"out", SC_ATTR_SIZE, offsetof(conv2d_attrs, out), .required = true, .min = 1, .max = INT_MAX},
    {"kernel", SC_ATTR_PAIR, offsetof(conv2d_attrs, kernel), .required = true, .min = 1, .max = 4096},
    {"stride", SC_ATTR_PAIR, offsetof(conv2d_attrs, stride), .fallback = 1, .min = 1, .max = 4096},
    {"padding", SC_ATTR_PAIR, offsetof(conv2d_attrs, padding), .fallback = 0, .min = 0, .max = 4096},
    {"dilation", SC_ATTR_PAIR, offsetof(conv2d_attrs, dilation), .fallback = 1, .min = 1, .max = 4096},
    {"groups", SC_ATTR_SIZE, offsetof(conv2d_attrs, groups), .fallback = 1, .min = 1, .max = INT_MAX},
    {"bias", SC_ATTR_FLAG, offsetof(conv2d_attrs, bias), .fallback = 1},
    {0},
};

static sc_conv2d_size size_of(const sc_op_call *call) {
    const conv2d_attrs *a = call->attrs;
    const size_t *in = call->input_shape[0]->size, *out = call->output_shape->size;
    return (sc_conv2d_size){
        .c = in[0],
        .h = in[1],
        .w = in[2],
        .o = out[0],
        .oh = out[1],
        .ow = out[2],
        .kh = a->kernel[0],
        .kw = a->kernel[1],
        .sh = a->stride[0],
        .sw = a->stride[1],
        .ph = a->padding[0],
        .pw = a->padding[1],
        .dh = a->dilation[0],
        .dw = a->dilation[1],
        .groups = a->groups,
        .accuracy = call->accuracy,
    };
}

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const conv2d_attrs *a = attributes;
    const sc_shape *in = inputs[0];
    char text[SC_SHAPE_TEXT];
    (void)input_count;
    if (in->ndim != 3)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "input: expected a feature map [C x H x W], got %s",
                            sc_shape_format(text, in));
    if (in->size[0] % a->groups || a->out % a->groups)
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "groups: expected a divisor of %zu input and %zu output channels, got %zu", in->size[0],
                            a->out, a->groups);
    out->output = (sc_shape){3, {a->out}};
    for (int d = 0; d < 2; d++) {
        size_t reach = (a->kernel[d] - 1) * a->dilation[d] + 1, padded = in->size[d + 1] + 2 * a->padding[d];
        if (padded < reach)
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "input: expected at least %zu positions after padding, got %s", reach,
                                sc_shape_format(text, in));
        out->output.size[d + 1] = (padded - reach) / a->stride[d] + 1;
    }
    out->params[0] = (sc_op_param){.name = "weight",
                                   .trainable = true,
                                   .shape = {4, {a->out, in->size[0] / a->groups, a->kernel[0], a->kernel[1]}}};
    if (a->bias)
        out->params[1] = (sc_op_param){.name = "bias", .trainable = true, .shape = {1, {a->out}}};
    double positions = (double)out->output.size[1] * (double)out->output.size[2];
    double k = (double)(in->size[0] / a->groups) * (double)a->kernel[0] * (double)a->kernel[1];
    if (positions > INT_MAX || k > INT_MAX)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "input: expected fewer positions, got %s",
                            sc_shape_format(text, in));
    out->macs = positions * k * (double)a->out;
    return SC_OK;
}

static size_t scratch(const sc_op_call *call) {
    sc_conv2d_size size = size_of(call);
    return sc_conv2d_scratch(&size, call->batch, call->needs_param_grad);
}

static size_t packed_size(const sc_op_call *call) {
    sc_conv2d_size size = size_of(call);
    return sc_conv2d_packed_size(&size);
}

static void pack(const sc_op_call *call, sc_real *packed) {
    sc_conv2d_size size = size_of(call);
    sc_conv2d_pack(packed, call->param[0], &size);
}

static void forward(const sc_op_call *call) {
    sc_conv2d_size size = size_of(call);
    sc_epilogue epilogue = call->epilogue ? *call->epilogue : (sc_epilogue){0};
    epilogue.bias = call->param[1];
    sc_conv2d_forward(call->output, call->scratch, call->input[0], call->param[0], call->packed, &epilogue, &size,
                      call->batch);
}

static void backward(const sc_op_call *call) {
    sc_conv2d_size size = size_of(call);
    if (call->input_grad[0])
        sc_conv2d_backward_input(call->input_grad[0], call->scratch, call->output_grad, call->param[0], &size,
                                 call->batch, !call->grad_uninitialised[0]);
    if (call->param_grad[0])
        sc_conv2d_backward_weight(call->param_grad[0], call->scratch, call->output_grad, call->input[0], &size,
                                  call->batch);
    if (call->param_grad[1])
        sc_channels_sum(call->param_grad[1], call->output_grad, call->batch, size.o, size.oh * size.ow);
}

static size_t count_set(const bool *flags, size_t count) {
    size_t set = 0;
    for (size_t i = 0; i < count; i++)
        set += flags[i];
    return set;
}

/* Groups are kept whole. */
static void narrow(void *attributes, const sc_op_call *call, const bool *output, const bool *const *inputs) {
    conv2d_attrs *a = attributes;
    size_t channels = call->input_shape[0]->size[0];
    if (a->groups > 1)
        a->groups = count_set(inputs[0], channels) / (channels / a->groups);
    a->out = count_set(output, a->out);
}

const sc_op sc_op_conv2d = {
    .name = "conv2d",
    .kind = "conv",
    .min_inputs = 1,
    .max_inputs = 1,
    .attrs_size = sizeof(conv2d_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_WEIGHTED,
    .channels = SC_CHANNELS_PRODUCE,
    .needs = SC_NEEDS_INPUT_FOR_PARAMS,
    .writes_grad = true,
    .fuses_epilogue = true,
    .narrow = narrow,
    .infer = infer,
    .scratch = scratch,
    .packed_size = packed_size,
    .pack = pack,
    .forward = forward,
    .backward = backward,
};
