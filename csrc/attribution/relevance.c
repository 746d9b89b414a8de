#include "attribution/relevance.h"

#include "attribution/linear_rule.h"
#include "attribution/units.h"
#include "base/memory.h"
#include "base/span.h"
#include "graph/walk.h"

#include <string.h>

/* DL-Backtrace with open gates: x' = |x|, W' = |W|, b' = |b|. */
static const sc_rule magnitudes = {
    .kind = SC_RULE_LINEAR,
    .group_count = 1,
    .groups = {{.coefficient = 1,
                .term_count = 1,
                .terms = {{.input = {.positive = 1, .negative = -1},
                           .weight = {.positive = 1, .negative = -1},
                           .bias = {.positive = 1, .negative = -1}}}}},
};

/* Whether the activation that alone reads this node can close a gate. */
static bool has_gates(const sc_graph *graph, size_t node) {
    ptrdiff_t next = sc_graph_only_consumer(graph, node);
    if (next == SC_NOT_FOUND)
        return false;
    const sc_op *op = graph->nodes[next].op;
    return op->activation && (!op->monotonic || op->saturation_low != 0 || op->saturation_high != 0);
}

static sc_status visit(void *context, size_t index, const sc_op_call *call, sc_error *error) {
    sc_relevance *relevance = context;
    const sc_graph *graph = relevance->plan->graph;
    const sc_node *node = &graph->nodes[index];
    const sc_rule *rule = &relevance->rules[index];
    if (relevance->wants_sums[index])
        sc_unit_measure_apply(sc_tensor_real(&relevance->sums[index]), SC_UNIT_SUM, call->output_grad, NULL, node,
                              call->batch);
    switch (node->op->map == SC_MAP_SOURCE ? SC_RULE_BLOCK : rule->kind) {
    case SC_RULE_LINEAR:
        return sc_linear_rule_apply(rule, graph, node, call, &relevance->modified, &relevance->workspace, error);
    case SC_RULE_GATED:
        return sc_gated_rule_apply(graph, node, call, &relevance->modified, &relevance->workspace, error);
    case SC_RULE_GRADIENT:
        node->op->backward(call);
        break;
    case SC_RULE_PASS:
        if (call->input_grad[0])
            sc_add_scaled(call->input_grad[0], call->output_grad, 1, call->batch * sc_call_output_reals(call));
        break;
    case SC_RULE_OWN:
        node->op->relevance(call, rule->mode, rule->epsilon);
        break;
    case SC_RULE_BLOCK:
        break;
    }
    return SC_OK;
}

static sc_status allocate(sc_relevance *relevance, size_t count, sc_error *error) {
    void *memory;
    relevance->node_count = count;
    SC_TRY(sc_memory_calloc(&memory, count + 1, sizeof(sc_rule), error));
    relevance->rules = memory;
    SC_TRY(sc_memory_calloc(&memory, count + 1, sizeof(bool), error));
    relevance->wants_sums = memory;
    SC_TRY(sc_memory_calloc(&memory, count + 1, sizeof(sc_tensor), error));
    relevance->sums = memory;
    return SC_OK;
}

static sc_status prepare(sc_relevance *relevance, sc_graph *graph, size_t batch, const sc_rule *rules, const bool *keep,
                         unsigned *needs, bool *keep_or_sum, const bool *sums, sc_error *error) {
    SC_TRY(allocate(relevance, graph->node_count, error));
    for (size_t i = 0; i < graph->node_count; i++) {
        const sc_node *node = &graph->nodes[i];
        relevance->rules[i] = rules[i];
        if (rules[i].kind == SC_RULE_GATED && !has_gates(graph, i) && node->op->map == SC_MAP_WEIGHTED)
            relevance->rules[i] = magnitudes;
        if (node->op->map != SC_MAP_SOURCE) {
            SC_TRY(sc_rule_check(&relevance->rules[i], graph, node, error));
            needs[i] = sc_rule_needs(&relevance->rules[i], node->op);
        }
        relevance->wants_sums[i] = sums && sums[i];
        keep_or_sum[i] = keep && keep[i];
        if (relevance->wants_sums[i]) {
            sc_shape shape = {2, {batch, sc_node_units(node)}};
            SC_TRY(sc_tensor_create_zero(&relevance->sums[i], SC_REAL, &shape, error));
            if (node->op->map == SC_MAP_SOURCE)
                return sc_error_set(error, SC_ERROR_ARGUMENT, "'%s': expected a node with units", node->name);
        }
    }
    /* the walk must reach every node that something is wanted of: the way to the input passes them all, and sources */
    for (size_t i = 0; i < graph->node_count; i++)
        keep_or_sum[i] |= graph->nodes[i].op->map == SC_MAP_SOURCE;
    sc_plan_request request = {.batch = batch, .backward = true, .needs = needs, .keep_grad = keep_or_sum};
    return sc_plan_create(&relevance->plan, graph, &request, error);
}

sc_status sc_relevance_create(sc_relevance **out, sc_graph *graph, size_t batch, const sc_rule *rules, const bool *keep,
                              const bool *sums, sc_error *error) {
    void *memory, *flags = NULL, *needs = NULL;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_relevance), error));
    sc_relevance *relevance = memory;
    sc_status status = sc_memory_calloc(&flags, graph->node_count + 1, sizeof(bool), error);
    if (status == SC_OK)
        status = sc_memory_calloc(&needs, graph->node_count + 1, sizeof(unsigned), error);
    if (status == SC_OK)
        status = prepare(relevance, graph, batch, rules, keep, needs, flags, sums, error);
    sc_memory_free(flags);
    sc_memory_free(needs);
    if (status != SC_OK)
        sc_relevance_free(relevance);
    else
        *out = relevance;
    return status;
}

void sc_relevance_free(sc_relevance *relevance) {
    if (!relevance)
        return;
    for (size_t i = 0; relevance->sums && i < relevance->node_count; i++)
        sc_tensor_release(&relevance->sums[i]);
    sc_plan_free(relevance->plan);
    sc_modified_free(relevance->modified);
    sc_workspace_free(&relevance->workspace);
    sc_memory_free(relevance->rules);
    sc_memory_free(relevance->wants_sums);
    sc_memory_free(relevance->sums);
    sc_memory_free(relevance);
}

sc_status sc_relevance_walk(sc_relevance *relevance, const sc_real *output_relevance, sc_error *error) {
    return sc_plan_walk_back(relevance->plan, output_relevance, visit, relevance, error);
}
