#include "kernel/index_add.h"

#include "kernel/elementwise.h"
#include "op/common.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

/* The sum of values that have some of the units of the output. An input 0 with as many units as the output has them
 * all, in order; the places of the units of the others, from 1, are the parameter "index", one input after the other.
 * A place outside the output is nowhere. So a compact residual stream adds what a pruned branch still makes. */
typedef struct index_add_attrs {
    size_t units;
} index_add_attrs;

static const sc_attr attrs[] = {
    {"units", SC_ATTR_SIZE, offsetof(index_add_attrs, units), .required = true, .min = 1, .max = INT_MAX},
    {0},
};

enum { INDEX };

static bool has_last_axis(const sc_shape *shape) {
    return shape->ndim == 2;
}

static int unit_axis(const sc_shape *shape) {
    return has_last_axis(shape) ? 1 : 0;
}

static size_t units_of(const sc_shape *shape) {
    return shape->size[unit_axis(shape)];
}

/* The first input whose units have places in the index. */
static int first_part(const sc_shape *const *inputs, size_t units) {
    return units_of(inputs[0]) == units ? 1 : 0;
}

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    const index_add_attrs *a = attributes;
    char expected[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    size_t parts = 0;
    for (int i = 0; i < input_count; i++) {
        sc_shape like = *inputs[0];
        if (inputs[i]->ndim == inputs[0]->ndim)
            like.size[unit_axis(&like)] = units_of(inputs[i]);
        if (!sc_shape_equal(inputs[i], &like))
            return sc_error_set(error, SC_ERROR_ARGUMENT, "input %d: expected %s but for the units, got %s", i + 1,
                                sc_shape_format(expected, inputs[0]), sc_shape_format(got, inputs[i]));
        parts += i >= first_part(inputs, a->units) ? units_of(inputs[i]) : 0;
    }
    if (parts == 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "units: expected more than the %zu of the only input", a->units);
    out->output = *inputs[0];
    out->output.size[unit_axis(&out->output)] = a->units;
    out->params[INDEX] = (sc_op_param){.name = "index", .shape = {1, {parts}}, .dtype = SC_INT64};
    return SC_OK;
}

static sc_index_sum sum_of(const sc_op_call *call) {
    size_t units = units_of(call->output_shape);
    int first = first_part(call->input_shape, units);
    sc_index_sum sum = {
        .n = call->batch,
        .units = units,
        .positions = sc_shape_numel(call->output_shape) / units,
        .last_axis = has_last_axis(call->output_shape),
        .whole = first ? call->input[0] : NULL,
        .count = call->input_count - first,
        .index = call->param[INDEX],
        .scratch = call->scratch,
    };
    for (int k = first; k < call->input_count; k++) {
        sum.part[k - first] = call->input[k];
        sum.part_units[k - first] = units_of(call->input_shape[k]);
    }
    return sum;
}

static size_t scratch(const sc_op_call *call) {
    size_t parts = 0;
    for (int k = 0; k < call->input_count; k++)
        parts += units_of(call->input_shape[k]);
    return sc_index_scratch(units_of(call->output_shape), parts);
}

static void forward(const sc_op_call *call) {
    sc_index_sum sum = sum_of(call);
    sum.epilogue = call->epilogue;
    sc_index_add(call->output, &sum);
}

static void backward(const sc_op_call *call) {
    sc_index_sum sum = sum_of(call);
    const int64_t *index = call->param[INDEX];
    int first = call->input_count - sum.count;
    if (first == 1 && call->input_grad[0])
        sc_accumulate(call->input_grad[0], call->output_grad, sc_call_numel(call));
    for (int k = first; k < call->input_count; index += sum.part_units[k++ - first])
        if (call->input_grad[k])
            sc_index_gather(call->input_grad[k], call->output_grad, index, sum.part_units[k - first], &sum);
}

static void unit_targets(size_t *targets, const sc_op_call *call, int input) {
    size_t units = units_of(call->output_shape), count = units_of(call->input_shape[input]);
    int first = first_part(call->input_shape, units);
    const int64_t *index = call->param[INDEX];
    for (int i = first; i < input; i++)
        index += units_of(call->input_shape[i]);
    for (size_t u = 0; u < count; u++) {
        bool inside = input < first || (index[u] >= 1 && (uint64_t)index[u] <= units);
        targets[u] = input < first ? u : inside ? (size_t)index[u] - 1 : SIZE_MAX;
    }
}

const sc_op sc_op_index_add = {
    .name = "index_add",
    .kind = "add",
    .min_inputs = 1,
    .max_inputs = SC_MAX_INPUTS,
    .attrs_size = sizeof(index_add_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_FIXED,
    .channels = SC_CHANNELS_MIX,
    .sums_inputs = true,
    .unit_targets = unit_targets,
    .inplace = true,
    .fuses_epilogue = true,
    .infer = infer,
    .scratch = scratch,
    .forward = forward,
    .backward = backward,
};
