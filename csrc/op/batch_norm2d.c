#include "kernel/norm.h"
#include "op/common.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

typedef struct batch_norm_attrs {
    double eps, momentum;
} batch_norm_attrs;

static const sc_attr attrs[] = {
    {"eps", SC_ATTR_REAL, offsetof(batch_norm_attrs, eps), .fallback = 1e-5, .min = 0, .max = 1},
    {"momentum", SC_ATTR_REAL, offsetof(batch_norm_attrs, momentum), .fallback = 0.1, .min = 0, .max = 1},
    {0},
};

enum { WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR, COUNTER };

static size_t channels(const sc_op_call *call) {
    return call->input_shape[0]->size[0];
}

/* One in a vector. */
static size_t positions(const sc_op_call *call) {
    const sc_shape *shape = call->input_shape[0];
    return shape->ndim == 1 ? 1 : shape->size[1] * shape->size[2];
}

static sc_status infer(sc_op_signature *out, const void *attributes, int input_count, const sc_shape *const *inputs,
                       sc_error *error) {
    (void)attributes, (void)input_count;
    if (inputs[0]->ndim != 1) /* a vector of features is what PyTorch's BatchNorm1d takes */
        SC_TRY(sc_check_feature_map(inputs[0], error));
    out->output = *inputs[0];
    sc_shape each = {1, {inputs[0]->size[0]}};
    out->params[WEIGHT] = (sc_op_param){.name = "weight", .shape = each, .trainable = true, .ones = true};
    out->params[BIAS] = (sc_op_param){.name = "bias", .shape = each, .trainable = true};
    out->params[RUNNING_MEAN] = (sc_op_param){.name = "running_mean", .shape = each};
    out->params[RUNNING_VAR] = (sc_op_param){.name = "running_var", .shape = each, .ones = true};
    out->params[COUNTER] = (sc_op_param){.name = "num_batches_tracked", .dtype = SC_INT64};
    return SC_OK;
}

/* The mean of each channel, then 1 / std of each, then, for an epilogue, weight / std of each. */
static size_t saved(const sc_op_call *call) {
    return (call->training ? 2 : 3) * channels(call);
}

/* As in PyTorch: the biased variance normalises, the unbiased one goes into the running average. */
static void update_running(const sc_op_call *call, const sc_real *mean, const sc_real *var) {
    const batch_norm_attrs *a = call->attrs;
    sc_real *running_mean = call->param[RUNNING_MEAN], *running_var = call->param[RUNNING_VAR];
    double count = (double)(call->batch * positions(call));
    double unbiased = count > 1 ? count / (count - 1) : 1;
    for (size_t k = 0; k < channels(call); k++) {
        running_mean[k] = (sc_real)((1 - a->momentum) * (double)running_mean[k] + a->momentum * (double)mean[k]);
        running_var[k] =
            (sc_real)((1 - a->momentum) * (double)running_var[k] + a->momentum * unbiased * (double)var[k]);
    }
    ++*(int64_t *)call->param[COUNTER];
}

/* Mean and biased variance of each channel. */
static size_t statistics(const sc_op_call *call) {
    return 2 * channels(call);
}

static void update_statistics(const sc_op_call *call) {
    update_running(call, call->statistics, call->statistics + channels(call));
}

/* Fills mean and 1 / std. */
static void save_statistics(const sc_op_call *call) {
    const batch_norm_attrs *a = call->attrs;
    const size_t c = channels(call);
    sc_real *mean = call->saved, *rstd = call->saved + c;
    if (call->training) {
        sc_channel_statistics(mean, rstd, call->input[0], call->batch, c, positions(call));
        if (call->statistics) {
            memcpy(call->statistics, mean, c * sizeof *mean);
            memcpy(call->statistics + c, rstd, c * sizeof *rstd);
        } else {
            update_running(call, mean, rstd);
        }
    } else {
        memcpy(mean, call->param[RUNNING_MEAN], c * sizeof *mean);
        memcpy(rstd, call->param[RUNNING_VAR], c * sizeof *rstd);
    }
    for (size_t k = 0; k < c; k++)
        rstd[k] = (sc_real)(1 / sqrt((double)rstd[k] + a->eps));
}

/* With the statistics that forward saves. */
static sc_channel_norm norm_of(const sc_op_call *call) {
    return (sc_channel_norm){
        .mean = call->saved,
        .rstd = call->saved + channels(call),
        .weight = call->param[WEIGHT],
        .bias = call->param[BIAS],
        .n = call->batch,
        .c = channels(call),
        .positions = positions(call),
    };
}

static void forward(const sc_op_call *call) {
    sc_channel_norm norm = norm_of(call);
    save_statistics(call);
    sc_channel_norm_forward(call->output, call->input[0], &norm);
}

static bool epilogue(const sc_op_call *call, sc_epilogue *out) {
    if (!out || call->training) /* whose statistics are those of all outputs */
        return !call->training;
    const size_t c = channels(call);
    const sc_real *rstd = call->saved + c, *weight = call->param[WEIGHT];
    sc_real *scale = call->saved + 2 * c;
    save_statistics(call);
    for (size_t k = 0; k < c; k++)
        scale[k] = rstd[k] * weight[k];
    out->mean = call->saved;
    out->scale = scale;
    out->shift = call->param[BIAS];
    return true;
}

static void backward(const sc_op_call *call) {
    sc_channel_norm norm = norm_of(call);
    sc_channel_norm_backward(call->input_grad[0], call->param_grad[WEIGHT], call->param_grad[BIAS], call->input[0],
                             call->output_grad, call->training, !call->grad_uninitialised[0], &norm);
}

static void channel_affine(const sc_op_call *call, double *scale, double *shift) {
    const batch_norm_attrs *a = call->attrs;
    const sc_real *weight = call->param[WEIGHT], *bias = call->param[BIAS];
    const sc_real *mean = call->param[RUNNING_MEAN], *var = call->param[RUNNING_VAR];
    for (size_t k = 0; k < channels(call); k++) {
        scale[k] = (double)weight[k] / sqrt((double)var[k] + a->eps);
        shift[k] = (double)bias[k] - (double)mean[k] * scale[k];
    }
}

const sc_op sc_op_batch_norm2d = {
    .name = "batch_norm2d",
    .kind = "norm",
    .min_inputs = 1,
    .max_inputs = 1,
    .attrs_size = sizeof(batch_norm_attrs),
    .attrs = attrs,
    .linearity = SC_LINEARITY_FIXED,
    .channels = SC_CHANNELS_KEEP,
    .needs = SC_NEEDS_INPUT_FOR_PARAMS | SC_NEEDS_INPUT_IN_TRAINING,
    .inplace = true,
    .writes_grad = true,
    .infer = infer,
    .saved = saved,
    .statistics = statistics,
    .update_statistics = update_statistics,
    .forward = forward,
    .backward = backward,
    .epilogue = epilogue,
    .epilogue_stage = SC_EPILOGUE_NORM,
    .channel_affine = channel_affine,
};
