#include "attribution/gradient.h"

#include "attribution/units.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/vector.h"
#include "graph/executor.h"

#include <string.h>

enum { NONE = -1 };

/* ---- making ---- */

static bool is_source(const sc_node *node) {
    return node->op->linearity == SC_LINEARITY_SOURCE;
}

static sc_status find_input(size_t *out, const sc_graph *graph, sc_error *error) {
    for (*out = 0; *out < graph->node_count; ++*out)
        if (sc_node_is_input(&graph->nodes[*out]))
            return SC_OK;
    return sc_error_set(error, SC_ERROR_ARGUMENT, "gradients: graph: expected one with an input");
}

static sc_status check_guided(const sc_graph *graph, sc_error *error) {
    for (size_t i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op->activation && !graph->nodes[i].op->guided_backward)
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "%s '%.200s': expected a ReLU, the only activation that guided backpropagation is "
                                "defined for",
                                graph->nodes[i].op->name, graph->nodes[i].name);
    return SC_OK;
}

static sc_status allocate(sc_gradient *g, const sc_graph *graph, const sc_gradient_request *request, sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, request->node_count + 1, sizeof(size_t), error));
    g->nodes = memory;
    SC_TRY(sc_memory_calloc(&memory, graph->node_count, sizeof(ptrdiff_t), error));
    g->slot = memory;
    SC_TRY(sc_memory_calloc(&memory, request->batch + 1, sizeof(sc_grad_term), error));
    g->terms = memory;
    SC_TRY(sc_memory_calloc(&memory, request->node_count + 1, sizeof(sc_real *), error));
    g->carry.value = memory;
    SC_TRY(sc_memory_calloc(&memory, request->node_count + 1, sizeof(sc_real *), error));
    g->carry.grad = memory;
    for (size_t i = 0; i < graph->node_count; i++)
        g->slot[i] = NONE;
    for (size_t k = 0; k < request->node_count; k++) {
        g->nodes[k] = request->nodes[k];
        g->slot[request->nodes[k]] = (ptrdiff_t)k;
    }
    g->node_count = request->node_count;
    sc_shape points = sc_shape_prepend(&graph->nodes[g->input].shape, request->batch);
    sc_shape output_grad = sc_shape_prepend(&graph->nodes[graph->output].shape, request->batch);
    SC_TRY(sc_tensor_create(&g->points, SC_REAL, &points, error));
    return sc_tensor_create(&g->output_grad, SC_REAL, &output_grad, error);
}

static sc_status allocate_carry(sc_gradient *g, const sc_graph *graph, sc_error *error) {
    for (size_t k = 0; k < g->node_count; k++) {
        void *memory;
        size_t numel = sc_shape_numel(&graph->nodes[g->nodes[k]].shape);
        SC_TRY(sc_memory_alloc(&memory, 2 * numel, sizeof(sc_real), error));
        g->carry.value[k] = memory;
        g->carry.grad[k] = g->carry.value[k] + numel;
    }
    return SC_OK;
}

/* The plan keeps values of nodes until the backward pass has passed them, and nothing to its end but what sources get:
 * the backward pass that reaches all of them passes every node that matters. */
static sc_status make_plan(sc_gradient *g, sc_graph *graph, size_t batch, unsigned *needs, bool *keep,
                           sc_error *error) {
    bool *keep_value = keep + graph->node_count;
    for (size_t i = 0; i < graph->node_count; i++) {
        const sc_op *op = graph->nodes[i].op;
        bool read = g->slot[i] != NONE && g->quantity != SC_GRAD_QUANTITY_GRADIENT;
        needs[i] = op->needs & (SC_NEEDS_INPUT | SC_NEEDS_OUTPUT);
        if (read)
            needs[i] |= SC_NEEDS_OUTPUT;
        keep[i] = is_source(&graph->nodes[i]);
        keep_value[i] = read && is_source(&graph->nodes[i]);
    }
    sc_plan_request request = {
        .batch = batch, .backward = true, .needs = needs, .keep_grad = keep, .keep_value = keep_value};
    return sc_plan_create(&g->plan, graph, &request, error);
}

static sc_status make(sc_gradient *g, sc_graph *graph, const sc_gradient_request *request, sc_error *error) {
    void *keep, *needs;
    SC_TRY(find_input(&g->input, graph, error));
    if (request->guided)
        SC_TRY(check_guided(graph, error));
    SC_TRY(allocate(g, graph, request, error));
    if (request->quantity == SC_GRAD_QUANTITY_CONDUCTANCE)
        SC_TRY(allocate_carry(g, graph, error));
    SC_TRY(sc_memory_calloc(&keep, 2 * graph->node_count, sizeof(bool), error));
    sc_status status = sc_memory_calloc(&needs, graph->node_count, sizeof(unsigned), error);
    if (status == SC_OK) {
        status = make_plan(g, graph, request->batch, needs, keep, error);
        sc_memory_free(needs);
    }
    sc_memory_free(keep);
    return status;
}

sc_status sc_gradient_create(sc_gradient **out, sc_graph *graph, const sc_gradient_request *request, sc_error *error) {
    void *memory;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_gradient), error));
    sc_gradient *g = memory;
    g->quantity = request->quantity;
    g->units = request->units;
    g->guided = request->guided;
    sc_status status = make(g, graph, request, error);
    if (status != SC_OK)
        sc_gradient_destroy(g);
    else
        *out = g;
    return status;
}

void sc_gradient_destroy(sc_gradient *g) {
    if (!g)
        return;
    for (size_t k = 0; g->carry.value && k < g->node_count; k++)
        sc_memory_free(g->carry.value[k]);
    sc_memory_free(g->carry.value);
    sc_memory_free(g->carry.grad);
    sc_memory_free(g->terms);
    sc_memory_free(g->slot);
    sc_memory_free(g->nodes);
    sc_tensor_release(&g->points);
    sc_tensor_release(&g->output_grad);
    sc_plan_destroy(g->plan);
    sc_memory_free(g);
}

/* ---- running ---- */

/* One batch of rows; row r is point (first + r) % point_count of sample (first + r) / point_count. */
typedef struct run {
    sc_gradient *g;
    const sc_schedule *schedule;
    const sc_gradient_sums *sums;
    size_t first, count;
    ptrdiff_t follower; /* the row that follows the one carried from the batch before, or NONE */
    ptrdiff_t open;     /* the row whose follower comes in a later batch, or NONE */
} run;

static size_t sample_of(const run *r, size_t row) {
    return (r->first + row) / r->schedule->point_count;
}

static const sc_point *point_of(const run *r, size_t row) {
    return &r->schedule->points[(r->first + row) % r->schedule->point_count];
}

/* The next row of the same sample that takes part in the sums at nodes; NONE: its last, count: in a later batch. */
static ptrdiff_t next_row(const run *r, size_t row) {
    for (size_t next = row + 1;; next++) {
        if (sample_of(r, next) != sample_of(r, row))
            return NONE;
        if (point_of(r, next)->node)
            return next < r->count ? (ptrdiff_t)next : (ptrdiff_t)r->count;
    }
}

/* Which differences reach over the borders of this batch. */
static void find_borders(run *r) {
    const sc_carry *carry = &r->g->carry;
    r->follower = r->open = NONE;
    if (r->g->quantity != SC_GRAD_QUANTITY_CONDUCTANCE)
        return;
    for (size_t row = 0; row < r->count; row++) {
        if (!point_of(r, row)->node)
            continue;
        if (carry->full && r->follower == NONE && sample_of(r, row) == carry->sample)
            r->follower = (ptrdiff_t)row;
        if (next_row(r, row) == (ptrdiff_t)r->count)
            r->open = (ptrdiff_t)row;
    }
}

static void add_term(sc_grad_term *terms, size_t *count, const run *r, size_t slot, size_t sample, sc_grad_term term) {
    const sc_node *node = &r->g->plan->graph->nodes[r->g->nodes[slot]];
    size_t per_sample = r->g->units ? sc_node_units(node) : sc_shape_numel(&node->shape);
    term.out = r->sums->nodes[slot] + sample * per_sample;
    terms[(*count)++] = term;
}

/* The terms of this batch at one node, whose rows of value and gradient are given. */
static size_t collect_terms(const run *r, size_t slot, const sc_real *value, const sc_real *grad, size_t numel) {
    sc_gradient *g = r->g;
    size_t count = 0;
    if (r->follower != NONE)
        add_term(g->terms, &count, r, slot, g->carry.sample,
                 (sc_grad_term){.weight = 1,
                                .grad = g->carry.grad[slot],
                                .value = value + (size_t)r->follower * numel,
                                .before = g->carry.value[slot]});
    for (size_t row = 0; row < r->count; row++) {
        const sc_point *point = point_of(r, row);
        if (!point->node)
            continue;
        sc_grad_term term = {.weight = (sc_real)point->weight, .grad = grad + row * numel};
        if (g->quantity == SC_GRAD_QUANTITY_CONDUCTANCE) {
            ptrdiff_t next = next_row(r, row);
            if (next == NONE || next == (ptrdiff_t)r->count)
                continue;
            term.weight = 1;
            term.value = value + (size_t)next * numel;
            term.before = value + row * numel;
        } else if (g->quantity == SC_GRAD_QUANTITY_PRODUCT) {
            term.value = value + row * numel;
        }
        add_term(g->terms, &count, r, slot, sample_of(r, row), term);
    }
    return count;
}

static void accumulate(const run *r, size_t slot, const sc_real *value, const sc_real *grad) {
    sc_gradient *g = r->g;
    const sc_node *node = &g->plan->graph->nodes[g->nodes[slot]];
    size_t numel = sc_shape_numel(&node->shape);
    sc_grad_terms_add(g->terms, collect_terms(r, slot, value, grad, numel), node, g->units);
    if (r->open == NONE)
        return;
    sc_copy(g->carry.value[slot], value + (size_t)r->open * numel, numel);
    sc_copy(g->carry.grad[slot], grad + (size_t)r->open * numel, numel);
}

static sc_status run_node(void *context, size_t index, const sc_op_call *call, sc_error *error) {
    const run *r = context;
    const sc_op *op = r->g->plan->graph->nodes[index].op;
    (void)error;
    if (r->g->slot[index] != NONE)
        accumulate(r, (size_t)r->g->slot[index], call->output, call->output_grad);
    if (r->g->guided && op->guided_backward) {
        sc_op_call zeroed = *call;
        sc_call_zero_uninitialised(&zeroed);
        op->guided_backward(&zeroed);
    } else if (op->backward) {
        op->backward(call);
    }
    return SC_OK;
}

/* Sources are not visited; what comes to them is kept. */
static void accumulate_sources(const run *r) {
    const sc_gradient *g = r->g;
    for (size_t k = 0; k < g->node_count; k++)
        if (is_source(&g->plan->graph->nodes[g->nodes[k]]))
            accumulate(r, k, sc_plan_value(g->plan, g->nodes[k]), sc_plan_grad(g->plan, g->nodes[k]));
}

static void add_to_input(const run *r) {
    const sc_real *grad = sc_plan_grad(r->g->plan, r->g->input);
    size_t numel = sc_shape_numel(&r->g->plan->graph->nodes[r->g->input].shape);
    for (size_t row = 0; row < r->count && r->sums->input; row++)
        if (point_of(r, row)->weight != 0)
            sc_add_scaled(r->sums->input + sample_of(r, row) * numel, grad + row * numel,
                          (sc_real)point_of(r, row)->weight, numel);
}

static void fill_rows(const run *r) {
    const sc_schedule *s = r->schedule;
    size_t numel = sc_tensor_numel(&r->g->points) / r->g->plan->batch;
    size_t outputs = sc_tensor_numel(&r->g->output_grad) / r->g->plan->batch;
    sc_real *points = sc_tensor_real(&r->g->points), *output_grad = sc_tensor_real(&r->g->output_grad);
#pragma omp parallel for schedule(static) if (r->count * numel > 65536)
    for (size_t row = 0; row < r->count; row++) {
        size_t sample = sample_of(r, row), index = (r->first + row) % s->point_count;
        s->fill(s->context, points + row * numel, sample, &s->points[index], index, numel);
        memcpy(output_grad + row * outputs, s->output_grad + sample * outputs, outputs * sizeof(sc_real));
    }
}

static sc_status run_batch(run *r, sc_error *error) {
    sc_tensor rows = {0};
    find_borders(r);
    fill_rows(r);
    SC_TRY(sc_tensor_rows(&rows, &r->g->points, 0, r->count, error));
    sc_status status = sc_plan_forward(r->g->plan, &rows, 0, error);
    sc_tensor_release(&rows);
    if (status == SC_OK)
        status = sc_plan_run_backward(r->g->plan, sc_tensor_real(&r->g->output_grad), run_node, r, error);
    if (status != SC_OK)
        return status;
    accumulate_sources(r);
    add_to_input(r);
    if (r->follower != NONE)
        r->g->carry.full = false;
    if (r->open != NONE) {
        r->g->carry.full = true;
        r->g->carry.sample = sample_of(r, (size_t)r->open);
    }
    return sc_interrupt_check(error);
}

static void clear(const sc_gradient *g, const sc_gradient_sums *sums, size_t n) {
    const sc_graph *graph = g->plan->graph;
    if (sums->input)
        sc_fill(sums->input, 0, n * sc_shape_numel(&graph->nodes[g->input].shape));
    for (size_t k = 0; k < g->node_count; k++) {
        const sc_node *node = &graph->nodes[g->nodes[k]];
        sc_fill(sums->nodes[k], 0, n * (g->units ? sc_node_units(node) : sc_shape_numel(&node->shape)));
    }
}

sc_status sc_gradient_run(sc_gradient *g, const sc_gradient_sums *sums, const sc_schedule *schedule, sc_error *error) {
    size_t rows = schedule->n * schedule->point_count;
    sc_status status = SC_OK;
    clear(g, sums, schedule->n);
    g->carry.full = false;
    sc_interrupt_begin(); /* around all runs: between two of them Ctrl-C would reach a handler that waits for Lua */
    for (size_t first = 0; first < rows && status == SC_OK; first += g->plan->batch) {
        run r = {.g = g, .schedule = schedule, .sums = sums, .first = first};
        r.count = rows - first < g->plan->batch ? rows - first : g->plan->batch;
        status = run_batch(&r, error);
    }
    sc_interrupt_end();
    return status;
}
