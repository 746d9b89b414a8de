#include "attribution/path.h"

#include "attribution/units.h"
#include "base/hot.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/span.h"
#include "graph/walk.h"

#include <string.h>

SC_HOT static void between(sc_real *out, const sc_real *x, const sc_real *x0, sc_real a, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] = x0[i] + a * (x[i] - x0[i]);
}

/* Forward at x0 + a (x - x0). */
static sc_status run_at(sc_plan *plan, sc_tensor *point, const sc_path *path, double a, sc_error *error) {
    if (a == 1) /* the input itself, not its rounding */
        memcpy(sc_tensor_data(point), path->x, sc_tensor_numel(point) * sizeof(sc_real));
    else
        between(sc_tensor_real(point), path->x, path->x0, (sc_real)a, sc_tensor_numel(point));
    return sc_plan_forward(plan, point, 0, error);
}

static sc_status make_point(sc_tensor *point, const sc_plan *plan, size_t n, sc_error *error) {
    const sc_graph *graph = plan->graph;
    size_t input = 0;
    while (!sc_node_is_input(&graph->nodes[input]))
        input++;
    sc_shape shape = sc_shape_prepend(&graph->nodes[input].shape, n);
    return sc_tensor_create(point, SC_REAL, &shape, error);
}

SC_HOT static void scale_by_path(sc_real *out, const sc_real *x, const sc_real *x0, sc_real share, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] *= share * (x[i] - x0[i]);
}

sc_status sc_path_input(sc_real *out, sc_plan *plan, size_t input_node, const sc_path *path, sc_error *error) {
    sc_tensor point = {0};
    SC_TRY(make_point(&point, plan, path->n, error));
    size_t count = sc_tensor_numel(&point);
    sc_status status = SC_OK;
    sc_fill(out, 0, count);
    sc_interrupt_begin(); /* around all steps: between two runs Ctrl-C would reach a handler that waits for Lua */
    for (size_t k = 0; k < path->steps && status == SC_OK; k++) {
        status = run_at(plan, &point, path, ((double)k + 0.5) / (double)path->steps, error);
        if (status == SC_OK)
            status = sc_plan_backward(plan, path->seeds, error);
        if (status == SC_OK)
            sc_add_scaled(out, sc_plan_grad(plan, input_node), 1, count);
    }
    sc_interrupt_end();
    if (status == SC_OK)
        scale_by_path(out, path->x, path->x0, (sc_real)(1 / (double)path->steps), count);
    sc_tensor_release(&point);
    return status;
}

/* What the last step leaves for the next: value and gradient of every node asked for. The other two are scratch that
 * all nodes share. */
typedef struct trace {
    sc_real *value, *grad, *delta, *sums;
} trace;

static void free_traces(trace *traces, size_t count) {
    for (size_t i = 0; i < count; i++)
        sc_memory_free(traces[i].value);
    if (count)
        sc_memory_free(traces[0].delta);
    sc_memory_free(traces);
}

static sc_status fill_traces(trace *traces, const sc_plan *plan, const size_t *nodes, size_t count, size_t n,
                             sc_error *error) {
    void *memory;
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        size_t numel = n * sc_shape_numel(&plan->graph->nodes[nodes[i]].shape);
        most = numel > most ? numel : most;
        SC_TRY(sc_memory_alloc(&memory, 2 * numel, sizeof(sc_real), error));
        traces[i].value = memory;
        traces[i].grad = traces[i].value + numel;
    }
    SC_TRY(sc_memory_alloc(&memory, 2 * most, sizeof(sc_real), error));
    for (size_t i = 0; i < count; i++) {
        traces[i].delta = memory;
        traces[i].sums = traces[i].delta + most;
    }
    return SC_OK;
}

static sc_status make_traces(trace **out, const sc_plan *plan, const size_t *nodes, size_t count, size_t n,
                             sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, count + 1, sizeof(trace), error));
    *out = memory;
    sc_status status = count ? fill_traces(*out, plan, nodes, count, n, error) : SC_OK;
    if (status != SC_OK)
        free_traces(*out, count);
    return status;
}

SC_HOT static void differ(sc_real *delta, const sc_real *now, const sc_real *before, size_t count) {
    for (size_t i = 0; i < count; i++)
        delta[i] = now[i] - before[i];
}

SC_HOT static void add_conductance(sc_real *out, const sc_real *grad, const sc_real *delta, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] += grad[i] * delta[i];
}

/* Adds grad(a_{k-1}) * (h(a_k) - h(a_{k-1})) for one node. */
static void advance(sc_real *out, bool units, trace *t, const sc_plan *plan, size_t index, size_t n) {
    const sc_node *node = &plan->graph->nodes[index];
    size_t numel = n * sc_shape_numel(&node->shape);
    differ(t->delta, sc_plan_value(plan, index), t->value, numel);
    if (!units) {
        add_conductance(out, t->grad, t->delta, numel);
        return;
    }
    sc_unit_measure_apply(t->sums, SC_UNIT_PRODUCT, t->grad, t->delta, node, n);
    sc_add_scaled(out, t->sums, 1, n * sc_node_units(node));
}

static sc_status step(sc_real *const *out, bool units, trace *traces, sc_plan *plan, const size_t *nodes, size_t count,
                      const sc_path *path, sc_tensor *point, size_t k, sc_error *error) {
    SC_TRY(run_at(plan, point, path, (double)k / (double)path->steps, error));
    for (size_t i = 0; i < count; i++) {
        size_t numel = path->n * sc_shape_numel(&plan->graph->nodes[nodes[i]].shape);
        if (k > 0)
            advance(out[i], units, &traces[i], plan, nodes[i], path->n);
        sc_copy(traces[i].value, sc_plan_value(plan, nodes[i]), numel);
        SC_TRY(sc_interrupt_check(error));
    }
    if (k == path->steps)
        return SC_OK;
    SC_TRY(sc_plan_backward(plan, path->seeds, error));
    for (size_t i = 0; i < count; i++)
        sc_copy(traces[i].grad, sc_plan_grad(plan, nodes[i]),
                path->n * sc_shape_numel(&plan->graph->nodes[nodes[i]].shape));
    return SC_OK;
}

sc_status sc_path_conductance(sc_real *const *out, bool units, sc_plan *plan, const size_t *nodes, size_t count,
                              const sc_path *path, sc_error *error) {
    trace *traces;
    sc_tensor point = {0};
    SC_TRY(make_traces(&traces, plan, nodes, count, path->n, error));
    sc_status status = make_point(&point, plan, path->n, error);
    for (size_t i = 0; i < count; i++) {
        const sc_node *node = &plan->graph->nodes[nodes[i]];
        sc_fill(out[i], 0, path->n * (units ? sc_node_units(node) : sc_shape_numel(&node->shape)));
    }
    sc_interrupt_begin(); /* as above */
    for (size_t k = 0; k <= path->steps && status == SC_OK; k++)
        status = step(out, units, traces, plan, nodes, count, path, &point, k, error);
    sc_interrupt_end();
    sc_tensor_release(&point);
    free_traces(traces, count);
    return status;
}
