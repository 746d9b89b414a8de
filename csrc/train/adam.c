#include "train/adam.h"

#include "base/hot.h"
#include "base/memory.h"

#include <math.h>

#ifdef SC_REAL_IS_DOUBLE
#define ROOT sqrt
#else
#define ROOT sqrtf
#endif

enum { CHUNK = 16384 };

const sc_adam_options sc_adam_defaults = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0};

/* The constants of one step, rounded once. */
typedef struct rates {
    sc_real new1, beta2, new2, eps, decay;
    sc_real step;  /* lr / (1 - beta1^t) */
    sc_real scale; /* 1 / sqrt(1 - beta2^t) */
} rates;

SC_HOT static void update(sc_real *restrict x, sc_real *restrict m, sc_real *restrict v, const sc_real *restrict grad,
                          size_t n, const rates *r) {
    const rates c = *r;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const sc_real g = grad[i] + c.decay * x[i];
        m[i] += c.new1 * (g - m[i]);
        v[i] = c.beta2 * v[i] + c.new2 * (g * g);
        x[i] -= c.step * (m[i] / (ROOT(v[i]) * c.scale + c.eps));
    }
}

void sc_adam_update(sc_real *x, sc_real *m, sc_real *v, const sc_real *grad, size_t n, const sc_adam_options *options,
                    size_t step, double lr) {
    const rates r = {
        .new1 = (sc_real)(1 - options->beta1),
        .beta2 = (sc_real)options->beta2,
        .new2 = (sc_real)(1 - options->beta2),
        .eps = (sc_real)options->eps,
        .decay = (sc_real)options->weight_decay,
        .step = (sc_real)(lr / (1 - pow(options->beta1, (double)step))),
        .scale = (sc_real)(1 / sqrt(1 - pow(options->beta2, (double)step))),
    };
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (size_t first = 0; first < n; first += CHUNK)
        update(x + first, m + first, v + first, grad + first, n - first < CHUNK ? n - first : CHUNK, &r);
}

static sc_status check_options(const sc_adam_options *options, sc_error *error) {
    const struct {
        const char *name;
        double value;
        double below;
    } numbers[] = {{"beta1", options->beta1, 1},
                   {"beta2", options->beta2, 1},
                   {"eps", options->eps, INFINITY},
                   {"weight_decay", options->weight_decay, INFINITY}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (!(numbers[i].value >= 0 && numbers[i].value < numbers[i].below))
            return sc_error_set(error, SC_ERROR_ARGUMENT, "adam: %s: expected a number %s, got %g", numbers[i].name,
                                numbers[i].below > 1 ? "of at least 0" : "in [0, 1)", numbers[i].value);
    return SC_OK;
}

sc_status sc_adam_create(sc_adam **out, sc_graph *graph, const sc_adam_options *options, sc_error *error) {
    SC_TRY(check_options(options, error));
    void *block, *moments;
    SC_TRY(sc_memory_calloc(&block, 1, sizeof(sc_adam), error));
    sc_adam *adam = block;
    adam->graph = sc_graph_share(graph);
    adam->options = *options;
    sc_status status = sc_memory_calloc(&moments, graph->parameter_count, 2 * sizeof(sc_tensor), error);
    if (status == SC_OK) {
        adam->moments = moments;
        adam->count = graph->parameter_count;
    }
    for (size_t i = 0; i < 2 * adam->count && status == SC_OK; i++) {
        const sc_parameter *parameter = &graph->parameters[i % adam->count];
        if (parameter->trainable)
            status = sc_tensor_create_zero(&adam->moments[i], SC_REAL, &parameter->value.shape, error);
    }
    if (status != SC_OK) {
        sc_adam_free(adam);
        return status;
    }
    *out = adam;
    return SC_OK;
}

void sc_adam_free(sc_adam *adam) {
    if (!adam)
        return;
    for (size_t i = 0; i < 2 * adam->count; i++)
        sc_tensor_release(&adam->moments[i]);
    sc_memory_free(adam->moments);
    sc_graph_release(adam->graph);
    sc_memory_free(adam);
}

static sc_status own(sc_tensor *tensor, sc_error *error) {
    if (!sc_tensor_is_shared(tensor))
        return SC_OK;
    sc_tensor copy;
    SC_TRY(sc_tensor_clone(&copy, tensor, error));
    sc_tensor_release(tensor);
    *tensor = copy;
    return SC_OK;
}

/* All that can fail comes before the first number changes. */
static sc_status prepare(sc_adam *adam, const sc_plan *plan, double lr, sc_error *error) {
    if (plan->graph != adam->graph || plan->graph->parameter_count != adam->count)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "step: plan: expected one of the optimiser's own graph");
    if (!isfinite(lr) || lr < 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "step: lr: expected a finite number of at least 0, got %g", lr);
    for (size_t i = 0; i < adam->count; i++) {
        if (!adam->moments[i].storage)
            continue;
        if (!plan->param_grads[i].storage)
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "step: plan: expected one with params, got none for parameter '%s'",
                                adam->graph->parameters[i].name);
        SC_TRY(sc_graph_own_parameter(adam->graph, i, error));
        SC_TRY(own(&adam->moments[i], error));
        SC_TRY(own(&adam->moments[adam->count + i], error));
    }
    return SC_OK;
}

sc_status sc_adam_step(sc_adam *adam, const sc_plan *plan, double lr, sc_error *error) {
    SC_TRY(prepare(adam, plan, lr, error));
    adam->steps++;
    for (size_t i = 0; i < adam->count; i++) {
        sc_tensor *first = &adam->moments[i], *second = &adam->moments[adam->count + i];
        const sc_tensor *value = &adam->graph->parameters[i].value;
        if (first->storage)
            sc_adam_update(sc_tensor_real(value), sc_tensor_real(first), sc_tensor_real(second),
                           sc_tensor_real(&plan->param_grads[i]), sc_tensor_numel(value), &adam->options, adam->steps,
                           lr);
    }
    return SC_OK;
}
