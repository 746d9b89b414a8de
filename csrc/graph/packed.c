#include "graph/packed.h"

#include "base/memory.h"

enum { WEIGHT };

static void describe(sc_op_call *call, const sc_plan *plan, size_t node) {
    sc_plan_describe_call(call, plan->graph, &plan->graph->nodes[node], plan->batch, plan->nodes[node].training);
    call->accuracy = plan->nodes[node].accuracy;
}

static size_t size_of(const sc_plan *plan, size_t node) {
    sc_op_call call;
    const sc_op *op = plan->graph->nodes[node].op;
    if (!op->packed_size)
        return 0;
    describe(&call, plan, node);
    return op->packed_size(&call);
}

sc_status sc_packed_refresh(sc_plan *plan, size_t node, sc_error *error) {
    const sc_node *n = &plan->graph->nodes[node];
    size_t reals = plan->params ? 0 : size_of(plan, node);
    if (reals == 0)
        return SC_OK;
    void *memory;
    if (!plan->packed) {
        SC_TRY(sc_memory_calloc(&memory, plan->graph->node_count, sizeof(struct sc_packed), error));
        plan->packed = memory;
    }
    struct sc_packed *packed = &plan->packed[node];
    sc_tensor weight = sc_node_param(plan->graph, n, WEIGHT);
    uint64_t stamp = sc_tensor_version(&weight);
    if (packed->numbers && packed->stamp == stamp)
        return SC_OK;
    if (!packed->numbers) {
        SC_TRY(sc_memory_alloc(&memory, reals, sizeof(sc_real), error));
        packed->numbers = memory;
    }
    sc_op_call call;
    describe(&call, plan, node);
    n->op->pack(&call, packed->numbers);
    packed->stamp = stamp;
    return SC_OK;
}

const sc_real *sc_packed_get(const sc_plan *plan, size_t node) {
    return plan->packed ? plan->packed[node].numbers : NULL;
}

size_t sc_packed_bytes(const sc_plan *plan) {
    size_t reals = 0;
    for (size_t i = 0; plan->packed && i < plan->graph->node_count; i++)
        reals += plan->packed[i].numbers ? size_of(plan, i) : 0;
    return reals * sizeof(sc_real);
}

void sc_packed_free(sc_plan *plan) {
    for (size_t i = 0; plan->packed && i < plan->graph->node_count; i++)
        sc_memory_free(plan->packed[i].numbers);
    sc_memory_free(plan->packed);
    plan->packed = NULL;
}
