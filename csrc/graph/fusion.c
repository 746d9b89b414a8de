#include "graph/fusion.h"

#include <string.h>

/* Whether the value of `node` need not be in memory, because `consumer` alone reads it, in the forward pass. */
static bool is_internal(const sc_plan *plan, size_t node, size_t consumer) {
    return !plan->nodes[node].value_kept && !(plan->nodes[node].needs & SC_NEEDS_OUTPUT) &&
           !(plan->nodes[consumer].needs & SC_NEEDS_INPUT) &&
           sc_graph_only_consumer(plan->graph, node) == (ptrdiff_t)consumer;
}

/* Whether node i can be the next in the chain that ends with its input `last`. */
static bool can_follow(const sc_plan *plan, size_t i, size_t last) {
    const sc_node *node = &plan->graph->nodes[i], *before = &plan->graph->nodes[last];
    const sc_node *head = &plan->graph->nodes[plan->nodes[last].head];
    return head->op->fuses_epilogue && node->op->epilogue_stage > before->op->epilogue_stage &&
           (node->op->epilogue_stage != SC_EPILOGUE_NORM || node->op->unit_axis == head->op->unit_axis) &&
           sc_shape_equal(&node->shape, &head->shape) && is_internal(plan, last, i);
}

/* The input that the chain would come through: the one that is computed last, as the others are read in its step. */
static size_t latest_input(const sc_plan *plan, const sc_node *node) {
    size_t latest = node->input[0];
    for (int k = 1; k < node->input_count; k++)
        if (plan->nodes[node->input[k]].head > plan->nodes[latest].head)
            latest = node->input[k];
    return latest;
}

static void link(sc_plan *plan, size_t last, size_t i, size_t head) {
    plan->nodes[i].head = head;
    plan->nodes[last].next_fused = (ptrdiff_t)i;
}

/* The first node of the chain that node i computes with its own value, or SC_NOT_FOUND. What else the chain reads is
 * there before it. */
static ptrdiff_t find_chain(const sc_plan *plan, size_t i) {
    const sc_graph *graph = plan->graph;
    const char *const *chain = graph->nodes[i].op->chain;
    size_t count = 0, head = i;
    while (chain[count])
        count++;
    for (size_t n = count; n-- > 0; head = graph->nodes[head].input[0])
        if (strcmp(graph->nodes[graph->nodes[head].input[0]].op->name, chain[n]) != 0 ||
            !is_internal(plan, graph->nodes[head].input[0], head))
            return SC_NOT_FOUND;
    for (size_t at = i; at != head; at = graph->nodes[at].input[0])
        for (int k = 1; k < graph->nodes[at].input_count; k++)
            if (plan->nodes[graph->nodes[at].input[k]].head >= head)
                return SC_NOT_FOUND;
    return (ptrdiff_t)head;
}

static void join_chain(sc_plan *plan, size_t i) {
    ptrdiff_t head = find_chain(plan, i);
    for (size_t at = i; head != SC_NOT_FOUND && at != (size_t)head; at = plan->graph->nodes[at].input[0])
        link(plan, plan->graph->nodes[at].input[0], at, (size_t)head);
}

void sc_fusion_find(sc_plan *plan) {
    for (size_t i = 0; i < plan->graph->node_count; i++) {
        const sc_node *node = &plan->graph->nodes[i];
        plan->nodes[i].head = i;
        plan->nodes[i].next_fused = SC_NOT_FOUND;
        if (plan->nodes[i].given)
            continue;
        if (node->op->forward_chain)
            join_chain(plan, i);
        if (!node->op->epilogue || node->input_count == 0)
            continue;
        sc_op_call call;
        sc_plan_describe_call(&call, plan->graph, node, plan->batch, plan->nodes[i].training);
        size_t last = latest_input(plan, node);
        if (!node->op->epilogue(&call, NULL) || !can_follow(plan, i, last))
            continue;
        link(plan, last, i, plan->nodes[last].head);
    }
}
