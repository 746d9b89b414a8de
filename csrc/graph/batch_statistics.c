#include "graph/batch_statistics.h"

/* How many numbers a node has of the batch. */
static size_t size_of(const sc_plan *plan, size_t node) {
    const sc_op *op = plan->graph->nodes[node].op;
    if (!op->statistics || !plan->nodes[node].training)
        return 0;
    sc_op_call call;
    sc_plan_describe_call(&call, plan->graph, &plan->graph->nodes[node], plan->batch, true);
    return op->statistics(&call);
}

sc_status sc_batch_statistics_create(sc_plan *plan, sc_error *error) {
    size_t total = 0;
    for (size_t i = 0; i < plan->graph->node_count; i++) {
        plan->nodes[i].statistics = total;
        total += size_of(plan, i); /* each at most twice the channels of a node, which are in memory already */
    }
    if (total == 0)
        return SC_OK;
    sc_shape shape;
    SC_TRY(sc_shape_init(&shape, 1, &total, error));
    return sc_tensor_create_zero(&plan->statistics, SC_REAL, &shape, error);
}

sc_real *sc_batch_statistics_of(const sc_plan *plan, size_t node) {
    if (!plan->statistics.storage || size_of(plan, node) == 0)
        return NULL;
    return sc_tensor_real(&plan->statistics) + plan->nodes[node].statistics;
}

/* The running averages of a node are its parameters that are not trained. */
static sc_status own_averages(sc_plan *plan, size_t node, sc_error *error) {
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++) {
        const sc_param_ref *ref = &plan->graph->nodes[node].param[slot];
        if (ref->present && !plan->graph->parameters[ref->parameter].trainable)
            SC_TRY(sc_graph_own_parameter(plan->graph, ref->parameter, error));
    }
    return SC_OK;
}

sc_status sc_batch_statistics_apply(sc_plan *plan, const sc_tensor *statistics, size_t samples, sc_error *error) {
    char wanted[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    if (!plan->statistics.storage)
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "update_statistics: expected a plan with collect_statistics, of a graph that has some");
    if (statistics->dtype != SC_REAL || !sc_shape_equal(&statistics->shape, &plan->statistics.shape))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "update_statistics: statistics: expected %s %s, got %s %s",
                            sc_dtype_name(SC_REAL), sc_shape_format(wanted, &plan->statistics.shape),
                            sc_dtype_name(statistics->dtype), sc_shape_format(got, &statistics->shape));
    for (size_t i = 0; i < plan->graph->node_count; i++)
        if (size_of(plan, i) > 0)
            SC_TRY(own_averages(plan, i, error)); /* all that can fail comes before the first number changes */
    for (size_t i = 0; i < plan->graph->node_count; i++) {
        if (size_of(plan, i) == 0)
            continue;
        sc_op_call call;
        sc_plan_describe_call(&call, plan->graph, &plan->graph->nodes[i], samples, true);
        call.statistics = sc_tensor_real(statistics) + plan->nodes[i].statistics;
        plan->graph->nodes[i].op->update_statistics(&call);
    }
    return SC_OK;
}
