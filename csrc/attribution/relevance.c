#include "attribution/relevance.h"

#include "attribution/contrastive_rule.h"
#include "attribution/gated_rule.h"
#include "attribution/linear_rule.h"
#include "attribution/units.h"
#include "base/memory.h"
#include "base/vector.h"
#include "graph/executor.h"

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

/* Applies the rule of a node to one relevance. */
static sc_status apply_rule(sc_relevance *relevance, size_t index, const sc_op_call *call, sc_error *error) {
    const sc_graph *graph = relevance->plan->graph;
    const sc_node *node = &graph->nodes[index];
    const sc_rule *rule = &relevance->rules[index];
    switch (node->op->linearity == SC_LINEARITY_SOURCE ? SC_RULE_BLOCK : rule->kind) {
    case SC_RULE_LINEAR:
        return sc_linear_rule_apply(rule, graph, node, call, &relevance->modified, &relevance->workspace, error);
    case SC_RULE_GATED:
        return sc_gated_rule_apply(rule->gated, graph, node, call, &relevance->modified, &relevance->workspace, error);
    case SC_RULE_GRADIENT:
        node->op->backward(call);
        break;
    case SC_RULE_PASS:
        if (call->input_grad[0] && call->grad_uninitialised[0])
            sc_copy(call->input_grad[0], call->output_grad, call->batch * sc_call_output_reals(call));
        else if (call->input_grad[0])
            sc_add_scaled(call->input_grad[0], call->output_grad, 1, call->batch * sc_call_output_reals(call));
        break;
    case SC_RULE_OWN:
        node->op->relevance(call, rule->mode, rule->epsilon);
        break;
    case SC_RULE_CONTRASTIVE: /* takes both relevances at once */
    case SC_RULE_BLOCK:
        break;
    }
    return SC_OK;
}

static void sum_units(sc_tensor *sums, const sc_node *node, const sc_op_call *call) {
    sc_unit_reduce(sc_tensor_real(sums), SC_UNIT_SUM, call->output_grad, NULL, node, call->batch);
}

/* Whether what apply() does at a node heeds call->grad_uninitialised. */
static bool writes_grad(const sc_relevance *relevance, size_t index) {
    sc_rule_kind kind = relevance->rules[index].kind;
    return !relevance->second && (kind == SC_RULE_LINEAR || kind == SC_RULE_GRADIENT || kind == SC_RULE_PASS);
}

static sc_status run_node(void *context, size_t index, const sc_op_call *given, sc_error *error) {
    sc_relevance *relevance = context;
    const sc_graph *graph = relevance->plan->graph;
    const sc_node *node = &graph->nodes[index];
    sc_op_call mine = *given;
    mine.accuracy = relevance->exact ? SC_ACCURACY_EXACT : SC_ACCURACY_FAST;
    const sc_op_call *call = &mine;
    if (!writes_grad(relevance, index))
        sc_call_zero_uninitialised(&mine);
    if (relevance->wants_sums[index])
        sum_units(&relevance->sums[index], node, call);
    if (!relevance->second)
        return apply_rule(relevance, index, call, error);
    sc_op_call other;
    sc_second_relevance_call(&other, relevance->second, index, call);
    if (relevance->wants_sums[index])
        sum_units(&relevance->second_sums[index], node, &other);
    if (node->op->linearity != SC_LINEARITY_SOURCE && relevance->rules[index].kind == SC_RULE_CONTRASTIVE)
        return sc_contrastive_rule_apply(graph, node, call, &other, &relevance->modified, &relevance->workspace, error);
    SC_TRY(apply_rule(relevance, index, call, error));
    return apply_rule(relevance, index, &other, error);
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
    SC_TRY(sc_memory_calloc(&memory, count + 1, sizeof(sc_tensor), error));
    relevance->second_sums = memory;
    return SC_OK;
}

/* Room for the sums of one node. */
static sc_status allocate_sums(sc_relevance *relevance, size_t index, const sc_node *node,
                               const sc_relevance_request *request, sc_error *error) {
    if (node->op->linearity == SC_LINEARITY_SOURCE)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "'%s': expected a node with units", node->name);
    sc_shape shape = {2, {request->batch, sc_node_units(node)}};
    SC_TRY(sc_tensor_create_zero(&relevance->sums[index], SC_REAL, &shape, error));
    return request->second_relevance ? sc_tensor_create_zero(&relevance->second_sums[index], SC_REAL, &shape, error)
                                     : SC_OK;
}

/* flags: room for two per node, all false. */
static sc_status prepare(sc_relevance *relevance, sc_graph *graph, const sc_relevance_request *request, unsigned *needs,
                         bool *flags, sc_error *error) {
    bool *kept = flags, *exact = flags + graph->node_count;
    SC_TRY(allocate(relevance, graph->node_count, error));
    for (size_t i = 0; i < graph->node_count; i++) {
        const sc_node *node = &graph->nodes[i];
        sc_rule *rule = &relevance->rules[i];
        *rule = request->rules[i];
        if (rule->kind == SC_RULE_GATED && node->op->linearity == SC_LINEARITY_WEIGHTED &&
            !sc_gated_rule_has_gates(graph, i, rule->gated))
            *rule = magnitudes;
        if (node->op->linearity != SC_LINEARITY_SOURCE) {
            SC_TRY(sc_rule_check(rule, graph, node, request->second_relevance, error));
            needs[i] = sc_rule_needs(rule, node->op);
        }
        relevance->wants_sums[i] = request->sums && request->sums[i];
        if (relevance->wants_sums[i])
            SC_TRY(allocate_sums(relevance, i, node, request, error));
        exact[i] = sc_rule_needs_exact_sums(rule);
        /* the pass must reach every node that something is wanted of: the way to the sources passes them all */
        kept[i] = (request->keep && request->keep[i]) || node->op->linearity == SC_LINEARITY_SOURCE;
    }
    relevance->exact = request->exact;
    sc_plan_request plan = {.batch = request->batch,
                            .backward = true,
                            .needs = needs,
                            .keep_grad = kept,
                            .exact = exact,
                            .all_exact = request->exact};
    SC_TRY(sc_plan_create(&relevance->plan, graph, &plan, error));
    return request->second_relevance ? sc_second_relevance_create(&relevance->second, relevance->plan, error) : SC_OK;
}

sc_status sc_relevance_create(sc_relevance **out, sc_graph *graph, const sc_relevance_request *request,
                              sc_error *error) {
    void *memory, *flags = NULL, *needs = NULL;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_relevance), error));
    sc_relevance *relevance = memory;
    sc_status status = sc_memory_calloc(&flags, 2 * graph->node_count + 1, sizeof(bool), error);
    if (status == SC_OK)
        status = sc_memory_calloc(&needs, graph->node_count + 1, sizeof(unsigned), error);
    if (status == SC_OK)
        status = prepare(relevance, graph, request, needs, flags, error);
    sc_memory_free(flags);
    sc_memory_free(needs);
    if (status != SC_OK)
        sc_relevance_destroy(relevance);
    else
        *out = relevance;
    return status;
}

void sc_relevance_destroy(sc_relevance *relevance) {
    if (!relevance)
        return;
    for (size_t i = 0; relevance->second_sums && i < relevance->node_count; i++) {
        sc_tensor_release(&relevance->sums[i]);
        sc_tensor_release(&relevance->second_sums[i]);
    }
    sc_second_relevance_destroy(relevance->second);
    sc_plan_destroy(relevance->plan);
    sc_modified_destroy(relevance->modified);
    sc_workspace_free(&relevance->workspace);
    sc_memory_free(relevance->rules);
    sc_memory_free(relevance->wants_sums);
    sc_memory_free(relevance->sums);
    sc_memory_free(relevance->second_sums);
    sc_memory_free(relevance);
}

sc_status sc_relevance_backward(sc_relevance *relevance, const sc_real *output_relevance, const sc_real *second,
                                sc_error *error) {
    if (relevance->second)
        sc_second_relevance_start(relevance->second, second);
    return sc_plan_run_backward(relevance->plan, output_relevance, run_node, relevance, error);
}
