#include "kernel/gemm.h"
#include "kernel/reduce.h"
#include "op/op.h"

#include <limits.h>
#include <stddef.h>

typedef struct linear_attrs {
    size_t out;
    bool bias;
} linear_attrs;

static const sc_attr attrs[] = {
    {"out", SC_ATTR_SIZE, offsetof(linear_attrs, out), .required = true, .min = 1, .max = INT_MAX},
    {"bias", SC_ATTR_FLAG, offsetof(linear_attrs, bias), .fallback = 1},
    {0},
};

static size_t features(const sc_shape *shape) {
    return shape->size[shape->ndim - 1];
}

/* Tokens are rows like samples. */
static size_t rows(const sc_op_call *call) {
    return call->batch * (sc_shape_numel(call->input_shape[0]) / features(call->input_shape[0]));
}

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const linear_attrs *a = attributes;
    (void)input_count;
    char text[SC_SHAPE_TEXT];
    if (inputs[0]->ndim < 1 || inputs[0]->ndim > 2)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "input: expected [features] or [tokens x features], got %s",
                            sc_shape_format(text, inputs[0]));
    size_t in = features(inputs[0]);
    out->output = *inputs[0];
    out->output.size[out->output.ndim - 1] = a->out;
    out->params[0] = (sc_op_param){.name = "weight", .trainable = true, .shape = {2, {a->out, in}}};
    if (a->bias)
        out->params[1] = (sc_op_param){.name = "bias", .trainable = true, .shape = {1, {a->out}}};
    out->macs = (double)sc_shape_numel(&out->output) * (double)in;
    return SC_OK;
}

static size_t scratch(const sc_op_call *call) {
    (void)call;
    return sc_product_scratch();
}

/* Weights serve one row after the other where tokens are many; a single vector reads them but once, from memory either
 * way. */
static size_t packed_size(const sc_op_call *call) {
    return call->input_shape[0]->ndim < 2
               ? 0
               : sc_packed_columns_size(features(call->output_shape), features(call->input_shape[0]));
}

static void pack(const sc_op_call *call, sc_real *packed) {
    size_t in = features(call->input_shape[0]), out = features(call->output_shape);
    sc_matrix weights = sc_matrix_columns(SC_TRANSPOSED, call->param[0], in);
    sc_operand columns = sc_columns_operand(&weights);
    sc_pack_columns(packed, &columns, out, in);
}

/* y[rows x out] = x[rows x in] W[out x in]^T + b */
static void forward(const sc_op_call *call) {
    size_t in = features(call->input_shape[0]), out = features(call->output_shape);
    sc_epilogue epilogue = call->epilogue ? *call->epilogue : (sc_epilogue){0};
    epilogue.bias = call->param[1];
    sc_matrix rows_of_x = sc_matrix_rows(SC_PLAIN, call->input[0], in);
    sc_matrix columns_of_w = sc_matrix_columns(SC_TRANSPOSED, call->param[0], in);
    sc_product product = {
        .m = rows(call),
        .n = out,
        .k = in,
        .rows = sc_rows_operand(&rows_of_x),
        .columns = sc_columns_operand(&columns_of_w),
        .out = {.y = call->output, .row_stride = out, .epilogue = &epilogue, .columns_are_units = true},
        .scratch = call->scratch,
    };
    product.columns.packed = call->packed;
    sc_product_run(&product);
}

/* dx[rows x in] = dy W */
static void backward_input(const sc_op_call *call, size_t m, size_t in, size_t out) {
    sc_gemm product = {
        .m = m,
        .n = in,
        .k = out,
        .a = {call->output_grad, out, SC_PLAIN},
        .b = {call->param[0], in, SC_PLAIN},
        .c = call->input_grad[0],
        .ldc = in,
        .add = !call->grad_uninitialised[0],
        .scratch = call->scratch,
    };
    sc_gemm_run(&product);
}

/* dW[out x in] += dy^T x */
static void backward_weight(const sc_op_call *call, size_t m, size_t in, size_t out) {
    sc_gemm product = {
        .m = out,
        .n = in,
        .k = m,
        .a = {call->output_grad, out, SC_TRANSPOSED},
        .b = {call->input[0], in, SC_PLAIN},
        .c = call->param_grad[0],
        .ldc = in,
        .add = true,
        .scratch = call->scratch,
    };
    sc_gemm_run(&product);
}

static void backward(const sc_op_call *call) {
    size_t m = rows(call), in = features(call->input_shape[0]), out = features(call->output_shape);
    if (call->input_grad[0])
        backward_input(call, m, in, out);
    if (call->param_grad[0])
        backward_weight(call, m, in, out);
    if (call->param_grad[1])
        sc_rows_sum(call->param_grad[1], call->output_grad, m, out);
}

static void narrow(void *attributes, const sc_op_call *call, const bool *output, const bool *const *inputs) {
    linear_attrs *a = attributes;
    size_t units = a->out;
    (void)call, (void)inputs;
    a->out = 0;
    for (size_t u = 0; u < units; u++)
        a->out += output[u];
}

const sc_op sc_op_linear = {
    .name = "linear",
    .kind = "linear",
    .min_inputs = 1,
    .max_inputs = 1,
    .attrs_size = sizeof(linear_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_WEIGHTED,
    .channels = SC_CHANNELS_PRODUCE,
    .needs = SC_NEEDS_INPUT_FOR_PARAMS,
    .unit_axis = -1,
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
