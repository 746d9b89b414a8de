#include "train/optimiser.h"

#include "base/memory.h"
#include "kernel/reduce.h"

#include <math.h>
#include <string.h>

const sc_optimiser_options sc_optimiser_defaults = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .momentum = 0.9};

const sc_optimiser_kind *sc_optimiser_find(const char *name) {
    static const sc_optimiser_kind *const kinds[] = {&sc_optimiser_adam, &sc_optimiser_adamw, &sc_optimiser_sgd};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

/* ---- making one ---- */

static sc_status check_number(const char *name, double value, double below, sc_error *error) {
    if (value >= 0 && value < below)
        return SC_OK;
    return sc_error_set(error, SC_ERROR_ARGUMENT, "optimiser: %s: expected a number %s, got %g", name,
                        below > 1 ? "of at least 0" : "in [0, 1)", value);
}

static sc_status check(const sc_graph *graph, const sc_optimiser_options *options, const sc_param_setting *settings,
                       const sc_param_range *masked_ranges, size_t masked_count, sc_error *error) {
    SC_TRY(check_number("beta1", options->beta1, 1, error));
    SC_TRY(check_number("beta2", options->beta2, 1, error));
    SC_TRY(check_number("eps", options->eps, INFINITY, error));
    SC_TRY(check_number("momentum", options->momentum, 1, error));
    if (options->nesterov && !(options->momentum > 0))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "optimiser: nesterov: expected a momentum above 0");
    for (size_t i = 0; i < graph->parameter_count; i++) {
        SC_TRY(check_number("weight_decay", settings[i].weight_decay, INFINITY, error));
        SC_TRY(check_number("lr_scale", settings[i].lr_scale, INFINITY, error));
    }
    for (size_t i = 0; i < masked_count; i++) {
        const sc_param_range *range = &masked_ranges[i];
        size_t numel = range->parameter < graph->parameter_count && graph->parameters[range->parameter].trainable
                           ? sc_tensor_numel(&graph->parameters[range->parameter].value)
                           : 0;
        if (range->first > numel || range->count > numel - range->first)
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "optimiser: masked: expected numbers of trainable parameters");
    }
    return SC_OK;
}

/* Each array is hung into the optimiser at once, which frees it whatever comes. */
static sc_status fill(sc_optimiser *optimiser, const sc_param_setting *settings, const sc_param_range *masked_ranges,
                      size_t masked_count, sc_error *error) {
    const sc_graph *graph = optimiser->graph;
    const size_t count = graph->parameter_count, states = (size_t)optimiser->state_count * count;
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, masked_count + 1, sizeof *masked_ranges, error));
    optimiser->masked_ranges = memory;
    optimiser->masked_count = masked_count;
    if (masked_count)
        memcpy(optimiser->masked_ranges, masked_ranges, masked_count * sizeof *masked_ranges);
    SC_TRY(sc_memory_calloc(&memory, count + 1, sizeof *settings, error));
    optimiser->settings = memory;
    SC_TRY(sc_memory_calloc(&memory, states + 1, sizeof(sc_tensor), error));
    optimiser->state = memory;
    optimiser->count = count;
    for (size_t i = 0; i < count; i++) {
        optimiser->settings[i] = settings[i];
        optimiser->settings[i].frozen |= !graph->parameters[i].trainable;
    }
    for (size_t i = 0; i < states; i++)
        if (!optimiser->settings[i % count].frozen)
            SC_TRY(
                sc_tensor_create_zero(&optimiser->state[i], SC_REAL, &graph->parameters[i % count].value.shape, error));
    return SC_OK;
}

sc_status sc_optimiser_create(sc_optimiser **out, sc_graph *graph, const sc_optimiser_kind *kind,
                              const sc_optimiser_options *options, const sc_param_setting *settings,
                              const sc_param_range *masked_ranges, size_t masked_count, sc_error *error) {
    SC_TRY(check(graph, options, settings, masked_ranges, masked_count, error));
    void *block;
    SC_TRY(sc_memory_calloc(&block, 1, sizeof(sc_optimiser), error));
    sc_optimiser *optimiser = block;
    optimiser->graph = sc_graph_share(graph);
    optimiser->kind = kind;
    optimiser->options = *options;
    optimiser->state_count = kind->state_count(options);
    sc_status status = fill(optimiser, settings, masked_ranges, masked_count, error);
    if (status == SC_OK)
        *out = optimiser;
    else
        sc_optimiser_destroy(optimiser);
    return status;
}

void sc_optimiser_destroy(sc_optimiser *optimiser) {
    if (!optimiser)
        return;
    for (size_t i = 0; i < (size_t)optimiser->state_count * optimiser->count; i++)
        sc_tensor_release(&optimiser->state[i]);
    sc_memory_free(optimiser->state);
    sc_memory_free(optimiser->settings);
    sc_memory_free(optimiser->masked_ranges);
    sc_graph_release(optimiser->graph);
    sc_memory_free(optimiser);
}

/* ---- stepping ---- */

static sc_status check_plan(const sc_optimiser *optimiser, const sc_plan *plan, sc_error *error) {
    if (plan->graph != optimiser->graph || plan->graph->parameter_count != optimiser->count)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "step: plan: expected one of the optimiser's own graph");
    for (size_t i = 0; i < optimiser->count; i++)
        if (!optimiser->settings[i].frozen && !plan->param_grads[i].storage)
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "step: plan: expected one with params, got none for parameter '%s'",
                                optimiser->graph->parameters[i].name);
    return SC_OK;
}

static void clear_range(const sc_optimiser *optimiser, const sc_param_range *range, const sc_tensor *tensor) {
    if (!optimiser->settings[range->parameter].frozen)
        memset(sc_tensor_real(tensor) + range->first, 0, range->count * sizeof(sc_real));
}

/* Sets the numbers that have to be zero to that, in tensors[parameter]. */
static void clear(const sc_optimiser *optimiser, const sc_tensor *tensors) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < optimiser->masked_count; i++) {
        const sc_param_range *range = &optimiser->masked_ranges[i];
        clear_range(optimiser, range, &tensors[range->parameter]);
    }
}

static void clear_values(const sc_optimiser *optimiser) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < optimiser->masked_count; i++) {
        const sc_param_range *range = &optimiser->masked_ranges[i];
        clear_range(optimiser, range, &optimiser->graph->parameters[range->parameter].value);
    }
}

sc_status sc_optimiser_gradient_norm(double *norm, const sc_optimiser *optimiser, const sc_plan *plan,
                                     sc_error *error) {
    enum { CHUNK = 16384, MOST = 256 };
    double sum = 0, part[MOST];
    SC_TRY(check_plan(optimiser, plan, error));
    clear(optimiser, plan->param_grads); /* pruned units push nobody, nor do they count */
    for (size_t i = 0; i < optimiser->count; i++) {
        if (optimiser->settings[i].frozen)
            continue;
        const sc_real *grad = sc_tensor_real(&plan->param_grads[i]);
        const size_t n = sc_tensor_numel(&plan->param_grads[i]), parts = n / CHUNK < MOST ? n / CHUNK + 1 : MOST;
#pragma omp parallel for schedule(static) if (parts > 1)
        for (size_t p = 0; p < parts; p++)
            part[p] = sc_reduce_squares64(grad + n * p / parts, n * (p + 1) / parts - n * p / parts);
        for (size_t p = 0; p < parts; p++)
            sum += part[p];
    }
    *norm = sqrt(sum);
    return SC_OK;
}

static sc_status own_all(sc_optimiser *optimiser, sc_error *error) {
    for (size_t i = 0; i < optimiser->count; i++) {
        if (optimiser->settings[i].frozen)
            continue;
        SC_TRY(sc_graph_own_parameter(optimiser->graph, i, error));
        for (int k = 0; k < optimiser->state_count; k++)
            SC_TRY(sc_tensor_own(&optimiser->state[(size_t)k * optimiser->count + i], error));
    }
    return SC_OK;
}

static void update(sc_optimiser *optimiser, size_t i, const sc_plan *plan, double lr, double grad_scale) {
    const sc_param_setting *setting = &optimiser->settings[i];
    const sc_tensor *value = &optimiser->graph->parameters[i].value;
    const sc_step_params params = {.lr = lr * setting->lr_scale,
                                   .weight_decay = setting->weight_decay,
                                   .grad_scale = grad_scale,
                                   .step = optimiser->steps};
    sc_real *state[SC_MAX_OPTIMISER_STATE] = {NULL};
    for (int k = 0; k < optimiser->state_count; k++)
        state[k] = sc_tensor_real(&optimiser->state[(size_t)k * optimiser->count + i]);
    optimiser->kind->update(sc_tensor_real(value), state, sc_tensor_real(&plan->param_grads[i]), sc_tensor_numel(value),
                            &optimiser->options, &params);
}

sc_status sc_optimiser_step(sc_optimiser *optimiser, const sc_plan *plan, double lr, double grad_scale,
                            sc_error *error) {
    SC_TRY(check_plan(optimiser, plan, error)); /* all that can fail comes before the first number changes */
    if (!isfinite(lr) || lr < 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "step: lr: expected a finite number of at least 0, got %g", lr);
    if (!isfinite(grad_scale) || grad_scale < 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "step: scale: expected a finite number of at least 0, got %g",
                            grad_scale);
    SC_TRY(own_all(optimiser, error));
    clear(optimiser, plan->param_grads);
    for (int k = 0; k < optimiser->state_count && !optimiser->state_masked; k++) /* no gradient leaves it as it is */
        clear(optimiser, optimiser->state + (size_t)k * optimiser->count);
    optimiser->state_masked = true;
    optimiser->steps++;
    for (size_t i = 0; i < optimiser->count; i++)
        if (!optimiser->settings[i].frozen)
            update(optimiser, i, plan, lr, grad_scale);
    clear_values(optimiser); /* always: 0 / 0 where eps is 0, 0 times infinity where a rate overflows */
    return SC_OK;
}
