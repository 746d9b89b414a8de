#include "attribution/second_relevance.h"

#include "base/memory.h"
#include "base/size.h"
#include "base/vector.h"
#include "graph/memory_planner.h"

#define NEVER SIZE_MAX

struct sc_second_relevance {
    const sc_plan *plan;
    size_t *offset; /* per node, bytes into the arena; NEVER where the plan has no gradient */
    size_t *back;   /* per node, the step of its backward pass, or NEVER */
    char *arena;
};

static sc_real *at(const sc_second_relevance *second, size_t node) {
    return second->offset[node] == NEVER ? NULL : (sc_real *)(void *)(second->arena + second->offset[node]);
}

static void find_steps(sc_second_relevance *second) {
    const sc_plan *plan = second->plan;
    for (size_t i = 0; i < plan->graph->node_count; i++)
        second->back[i] = NEVER;
    for (size_t s = plan->forward_count; s < plan->step_count; s++)
        if (plan->steps[s].kind == SC_STEP_BACKWARD)
            second->back[plan->steps[s].node] = s;
}

/* lists: room for five numbers per node. */
static sc_status plan_memory(sc_second_relevance *second, size_t *lists, sc_error *error) {
    const sc_plan *plan = second->plan;
    size_t nodes = plan->graph->node_count, count = 0, total;
    size_t *bytes = lists, *first = lists + nodes, *last = first + nodes, *offsets = last + nodes;
    size_t *owner = offsets + nodes;
    for (size_t i = 0; i < nodes; i++) {
        const sc_plan_node *buffers = &plan->nodes[i];
        second->offset[i] = NEVER;
        if (buffers->grad == SC_NO_BUFFER)
            continue;
        if (!sc_size_multiply(&bytes[count], sc_shape_numel(&plan->graph->nodes[i].shape), plan->batch) ||
            !sc_size_multiply(&bytes[count], bytes[count], sizeof(sc_real)))
            return sc_error_set(error, SC_ERROR_MEMORY, "relevance: a batch of %zu does not fit the address space",
                                plan->batch);
        first[count] = last[count] = buffers->grad_first;
        if (second->back[i] != NEVER && second->back[i] > last[count])
            last[count] = second->back[i];
        if (buffers->grad_kept)
            last[count] = plan->step_count;
        owner[count++] = i;
    }
    SC_TRY(sc_memory_planner_assign(offsets, &total, bytes, first, last, count, error));
    for (size_t b = 0; b < count; b++)
        second->offset[owner[b]] = offsets[b];
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, total + 64, 1, error));
    second->arena = memory;
    return SC_OK;
}

static sc_status make(sc_second_relevance *second, sc_error *error) {
    size_t nodes = second->plan->graph->node_count;
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, nodes + 1, sizeof(size_t), error));
    second->offset = memory;
    SC_TRY(sc_memory_calloc(&memory, nodes + 1, sizeof(size_t), error));
    second->back = memory;
    find_steps(second);
    SC_TRY(sc_memory_calloc(&memory, 5 * nodes + 1, sizeof(size_t), error));
    sc_status status = plan_memory(second, memory, error);
    sc_memory_free(memory);
    return status;
}

sc_status sc_second_relevance_create(sc_second_relevance **out, const sc_plan *plan, sc_error *error) {
    void *memory;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_second_relevance), error));
    sc_second_relevance *second = memory;
    second->plan = plan;
    sc_status status = make(second, error);
    if (status != SC_OK)
        sc_second_relevance_destroy(second);
    else
        *out = second;
    return status;
}

void sc_second_relevance_destroy(sc_second_relevance *second) {
    if (!second)
        return;
    sc_memory_free(second->offset);
    sc_memory_free(second->back);
    sc_memory_free(second->arena);
    sc_memory_free(second);
}

static void zero(const sc_second_relevance *second, size_t node) {
    const sc_plan *plan = second->plan;
    sc_fill(at(second, node), 0, plan->current_batch * sc_shape_numel(&plan->graph->nodes[node].shape));
}

void sc_second_relevance_start(sc_second_relevance *second, const sc_real *start) {
    const sc_plan *plan = second->plan;
    size_t output = plan->graph->output;
    for (size_t i = 0; i < plan->graph->node_count; i++) /* what no step reaches stays zero */
        if (at(second, i) && plan->nodes[i].grad_first == plan->forward_count)
            zero(second, i);
    if (at(second, output))
        sc_copy(at(second, output), start, plan->current_batch * sc_shape_numel(&plan->graph->nodes[output].shape));
}

void sc_second_relevance_call(sc_op_call *out, const sc_second_relevance *second, size_t node, const sc_op_call *call) {
    const sc_plan *plan = second->plan;
    const sc_node *n = &plan->graph->nodes[node];
    *out = *call;
    out->output_grad = at(second, node);
    for (int k = 0; k < n->input_count; k++) {
        out->input_grad[k] = at(second, n->input[k]);
        bool uninitialised = plan->nodes[n->input[k]].grad_first == second->back[node];
        if (out->input_grad[k] && uninitialised && second->back[node] > plan->forward_count)
            zero(second, n->input[k]);
    }
}

const sc_real *sc_second_relevance_at(const sc_second_relevance *second, size_t node) {
    const sc_plan *plan = second->plan;
    return plan->current_batch && plan->backward_done && plan->nodes[node].grad_kept ? at(second, node) : NULL;
}
