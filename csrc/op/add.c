#include "base/vector.h"
#include "kernel/elementwise.h"
#include "op/common.h"

static sc_status infer(sc_op_signature *out, const void *attrs, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    (void)attrs;
    char expected[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    for (int i = 1; i < input_count; i++)
        if (!sc_shape_equal(inputs[i], inputs[0]))
            return sc_error_set(error, SC_ERROR_ARGUMENT, "input %d: expected %s, as input 1, got %s", i + 1,
                                sc_shape_format(expected, inputs[0]), sc_shape_format(got, inputs[i]));
    out->output = *inputs[0];
    return SC_OK;
}

static void forward(const sc_op_call *call) {
    sc_add(call->output, call->input, call->input_count, sc_call_numel(call));
}

static void backward(const sc_op_call *call) {
    for (int i = 0; i < call->input_count; i++)
        if (call->grad_uninitialised[i])
            sc_copy(call->input_grad[i], call->output_grad, sc_call_numel(call));
        else if (call->input_grad[i])
            sc_accumulate(call->input_grad[i], call->output_grad, sc_call_numel(call));
}

static bool epilogue(const sc_op_call *call, sc_epilogue *out) {
    if (out)
        out->residual = call->input[0] ? call->input[0] : call->input[1];
    return call->input_count == 2;
}

const sc_op sc_op_add = {
    .name = "add",
    .kind = "add",
    .min_inputs = 2,
    .max_inputs = SC_MAX_INPUTS,
    .linearity = SC_LINEARITY_FIXED,
    .channels = SC_CHANNELS_KEEP,
    .sums_inputs = true,
    .inplace = true,
    .writes_grad = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .epilogue = epilogue,
    .epilogue_stage = SC_EPILOGUE_ADD,
};
