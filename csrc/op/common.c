#include "op/common.h"

#include <limits.h>

sc_status sc_infer_same(sc_op_signature *out, const void *attrs, int input_count, const sc_shape *const *inputs,
                        sc_error *error) {
    (void)attrs, (void)input_count, (void)error;
    out->output = *inputs[0];
    return SC_OK;
}

sc_status sc_check_feature_map(const sc_shape *input, sc_error *error) {
    char text[SC_SHAPE_TEXT];
    if (input->ndim != 3)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "input: expected a feature map [C x H x W], got %s",
                            sc_shape_format(text, input));
    if (input->size[1] > INT_MAX / input->size[2])
        return sc_error_set(error, SC_ERROR_ARGUMENT, "input: expected at most %d positions in a feature map, got %s",
                            INT_MAX, sc_shape_format(text, input));
    return SC_OK;
}

sc_status sc_infer_pool(sc_op_signature *out, const sc_pool_attrs *attrs, const sc_shape *input, sc_error *error) {
    SC_TRY(sc_check_feature_map(input, error));
    out->output = *input;
    for (int d = 0; d < 2; d++) {
        size_t kernel = attrs->kernel[d], padding = attrs->padding[d], size = input->size[1 + d];
        if (padding > kernel / 2)
            return sc_error_set(error, SC_ERROR_ARGUMENT, "padding: expected at most %zu, half the kernel, got %zu",
                                kernel / 2, padding);
        if (kernel > size + 2 * padding)
            return sc_error_set(error, SC_ERROR_ARGUMENT, "kernel: expected at most %zu, the %s after padding, got %zu",
                                size + 2 * padding, d ? "width" : "height", kernel);
        out->output.size[1 + d] = (size + 2 * padding - kernel) / attrs->stride[d] + 1;
    }
    return SC_OK;
}

static sc_pool_axis pool_axis(const sc_op_call *call, const sc_pool_attrs *attrs, int dimension) {
    return (sc_pool_axis){.in = call->input_shape[0]->size[1 + dimension],
                          .out = call->output_shape->size[1 + dimension],
                          .kernel = attrs->kernel[dimension],
                          .stride = attrs->stride[dimension],
                          .padding = attrs->padding[dimension]};
}

sc_pool sc_call_pool(const sc_op_call *call, const sc_pool_attrs *attrs) {
    return (sc_pool){.planes = call->batch * call->input_shape[0]->size[0],
                     .down = pool_axis(call, attrs, 0),
                     .across = pool_axis(call, attrs, 1)};
}

sc_status sc_infer_sample(sc_op_signature *out, const sc_shape *shape, sc_error *error) {
    if (shape->ndim < 1 || shape->ndim >= SC_MAX_DIMS || sc_shape_numel(shape) == 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "shape: expected 1 to %d sizes above 0", SC_MAX_DIMS - 1);
    out->output = *shape;
    return SC_OK;
}

sc_attention_size sc_call_scores_size(const sc_op_call *call) {
    const sc_scores_attrs *a = call->attrs;
    const size_t *in = call->input_shape[0]->size;
    return (sc_attention_size){.n = call->batch,
                               .t = in[0],
                               .d = in[1],
                               .heads = a->heads,
                               .widths = a->widths.count ? a->widths.sizes : NULL,
                               .scale = a->scale};
}

sc_attention_size sc_call_context_size(const sc_op_call *call) {
    const sc_context_attrs *a = call->attrs;
    const size_t *p = call->input_shape[0]->size, *v = call->input_shape[1]->size;
    return (sc_attention_size){
        .n = call->batch, .t = v[0], .d = v[1], .heads = p[0], .widths = a->widths.count ? a->widths.sizes : NULL};
}

size_t sc_head_width(const sc_attention_size *size, size_t head) {
    return size->widths ? size->widths[head] : size->d / size->heads;
}

size_t sc_head_first(const sc_attention_size *size, size_t head) {
    size_t first = 0;
    for (size_t h = 0; h < head; h++)
        first += sc_head_width(size, h);
    return first;
}

sc_status sc_check_widths(const sc_size_list *widths, size_t heads, size_t features, sc_error *error) {
    if (widths->count == 0) {
        if (features % heads)
            return sc_error_set(error, SC_ERROR_ARGUMENT, "heads: expected a divisor of %zu features, got %zu",
                                features, heads);
        return SC_OK;
    }
    if (widths->count != heads)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "widths: expected %zu, one per head, got %zu", heads,
                            widths->count);
    uint64_t sum = 0;
    for (size_t h = 0; h < heads; h++)
        sum += widths->sizes[h];
    if (sum != features)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "widths: expected %zu features in all, got %zu", features,
                            (size_t)sum);
    return SC_OK;
}

bool sc_keep_many_heads(const sc_attention_size *size, bool *heads, bool *features) {
    if (size->heads <= SC_MAX_LIST)
        return false;
    for (size_t h = 0; h < size->heads; h++)
        heads[h] = true;
    for (size_t f = 0; f < size->d; f++)
        features[f] = true;
    return true;
}

void sc_narrow_widths(sc_size_list *widths, const sc_attention_size *size, const bool *kept) {
    sc_size_list narrowed = {0};
    for (size_t h = 0, f = 0; h < size->heads; h++) {
        uint32_t count = 0;
        for (size_t i = 0; i < sc_head_width(size, h); i++)
            count += kept[f++];
        if (count > 0)
            narrowed.sizes[narrowed.count++] = count;
    }
    *widths = narrowed;
}

sc_attention_backward sc_call_attention_backward(const sc_op_call *call, double epsilon) {
    return (sc_attention_backward){
        .a = call->input[0],
        .b = call->input[1],
        .z = call->output,
        .dz = call->output_grad,
        .da = call->input_grad[0],
        .db = call->input_grad[1],
        .add_a = !call->grad_uninitialised[0],
        .add_b = !call->grad_uninitialised[1],
        .epsilon = (sc_real)epsilon,
        .scratch = call->scratch,
    };
}

void sc_call_activation_forward(const sc_op_call *call, sc_activation activation) {
    sc_activation_forward(activation, call->output, call->input[0], sc_call_numel(call));
}

void sc_call_activation_backward(const sc_op_call *call, sc_activation activation) {
    const sc_real *source = sc_activation_needs_output(activation) ? call->output : call->input[0];
    if (call->input_grad[0])
        sc_activation_backward(activation, call->input_grad[0], source, call->output_grad, sc_call_numel(call));
}

bool sc_call_activation_epilogue(sc_epilogue *out, sc_activation activation) {
    if (out)
        out->activation = activation;
    return true;
}

size_t sc_shape_last(const sc_shape *shape) {
    return shape->size[shape->ndim - 1];
}

size_t sc_call_numel(const sc_op_call *call) {
    return call->batch * sc_shape_numel(call->input_shape[0]);
}

size_t sc_call_rows(const sc_op_call *call) {
    return sc_call_numel(call) / sc_shape_last(call->input_shape[0]);
}
