#include "graph/plan.h"

#include "base/memory.h"
#include "graph/fusion.h"
#include "graph/packed.h"

#include <limits.h>
#include <omp.h>
#include <string.h>

/* What is known of one node while the plan is made. Steps are numbered; NEVER marks those that do not happen. */
typedef struct draft_node {
    bool used;      /* its value takes part in the result */
    bool reached;   /* the output depends on it */
    bool recompute; /* its value is computed again for the way back */
    unsigned needs; /* of its own way back */
    size_t forward, again, back;
} draft_node;

typedef struct draft {
    const sc_graph *graph;
    const sc_plan_request *request;
    sc_plan *plan;
    draft_node *nodes;
    /* buffers */
    size_t *bytes, *first, *last;
    size_t buffer_count;
} draft;

#define NEVER SIZE_MAX

static bool asked(const bool *list, size_t node) {
    return list && list[node];
}

/* ---- which nodes take part ---- */

static bool is_trained(const draft *d, size_t parameter) {
    return d->request->params && d->graph->parameters[parameter].trainable && !asked(d->request->frozen, parameter);
}

static bool has_trained(const draft *d, const sc_node *node) {
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++)
        if (node->param[slot].present && is_trained(d, node->param[slot].parameter))
            return true;
    return false;
}

/* Statistics of the batch would change what a norm does although its scale, in the first slot, is not to change. */
static bool is_frozen_norm(const draft *d, const sc_node *node) {
    return node->op->channel_affine && node->param[0].present && asked(d->request->frozen, node->param[0].parameter);
}

static void mark_used(draft *d) {
    const sc_graph *graph = d->graph;
    for (size_t i = graph->node_count; i-- > 0;) {
        draft_node *node = &d->nodes[i];
        bool kept = i == graph->output || asked(d->request->keep_value, i);
        d->plan->nodes[i].value_kept = kept || sc_node_is_input(&graph->nodes[i]);
        node->used |= kept;
        if (node->used)
            for (int k = 0; k < graph->nodes[i].input_count; k++)
                d->nodes[graph->nodes[i].input[k]].used = true;
    }
}

/* The way back goes only where a wanted gradient lies. */
static void mark_back(draft *d) {
    const sc_graph *graph = d->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        const sc_node *node = &graph->nodes[i];
        sc_node_buffers *buffers = &d->plan->nodes[i];
        bool own = has_trained(d, node);
        bool below = false;
        for (int k = 0; k < node->input_count; k++)
            below |= d->plan->nodes[node->input[k]].wants_grad;
        buffers->grad_kept = d->request->backward && asked(d->request->keep_grad, i);
        buffers->wants_grad = buffers->grad_kept || (d->request->backward && d->nodes[i].used && (own || below));
        buffers->visited_back = buffers->wants_grad && (own || below);
        buffers->learns = own;
        buffers->training = d->request->training && !is_frozen_norm(d, node);
    }
    d->nodes[graph->output].reached = true; /* nothing comes back to nodes that the output does not depend on */
    for (size_t i = graph->node_count; i-- > 0;) {
        if (!d->nodes[i].reached)
            d->plan->nodes[i].visited_back = false;
        else
            for (int k = 0; k < graph->nodes[i].input_count; k++)
                d->nodes[graph->nodes[i].input[k]].reached = true;
    }
}

static unsigned resolve_needs(const draft *d, size_t i) {
    if (!d->plan->nodes[i].visited_back)
        return 0;
    if (d->request->needs)
        return d->request->needs[i];
    unsigned needs = d->graph->nodes[i].op->needs;
    if ((needs & SC_NEEDS_INPUT_FOR_PARAMS) && d->plan->nodes[i].learns)
        needs |= SC_NEEDS_INPUT;
    if ((needs & SC_NEEDS_INPUT_IN_TRAINING) && d->plan->nodes[i].training)
        needs |= SC_NEEDS_INPUT;
    return needs & (SC_NEEDS_INPUT | SC_NEEDS_OUTPUT);
}

/* A cheap value is computed again when only its consumers' way back reads it, and its own inputs are kept anyway. */
static void mark_recompute(draft *d) {
    const sc_graph *graph = d->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        const sc_node *node = &graph->nodes[i];
        draft_node *mine = &d->nodes[i];
        mine->recompute = node->op->recompute && node->input_count == 1 && (mine->needs & SC_NEEDS_INPUT) &&
                          !(mine->needs & SC_NEEDS_OUTPUT) && !d->nodes[node->input[0]].recompute &&
                          i != graph->output && !asked(d->request->keep_value, i);
    }
}

/* What a tie-sensitive operation chooses from, and what was asked for, with all that it is made from. */
static void mark_accuracy(draft *d) {
    const sc_graph *graph = d->graph;
    bool attribution = d->request->backward && !d->request->training;
    for (size_t i = graph->node_count; i-- > 0;) {
        const sc_node *node = &graph->nodes[i];
        sc_node_buffers *buffers = &d->plan->nodes[i];
        if (d->request->all_exact || asked(d->request->exact, i) || (attribution && node->op->tie_sensitive))
            buffers->accuracy = SC_ACCURACY_EXACT;
        for (int k = 0; k < node->input_count && buffers->accuracy == SC_ACCURACY_EXACT; k++)
            d->plan->nodes[node->input[k]].accuracy = SC_ACCURACY_EXACT;
    }
}

/* ---- steps ---- */

static void emit(draft *d, sc_step_kind kind, size_t node) {
    d->plan->steps[d->plan->step_count++] = (sc_step){.kind = kind, .node = node};
}

static void emit_steps(draft *d) {
    const sc_graph *graph = d->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        d->nodes[i].forward = d->nodes[i].again = d->nodes[i].back = NEVER;
        if (!d->nodes[i].used)
            continue;
        size_t head = d->plan->nodes[i].head;
        d->nodes[i].forward = head == i ? d->plan->step_count : d->nodes[head].forward;
        if (head == i)
            emit(d, SC_STEP_FORWARD, i);
    }
    d->plan->forward_count = d->plan->step_count;
    for (size_t i = graph->node_count; i-- > 0;) {
        if (!d->plan->nodes[i].visited_back)
            continue;
        for (int k = 0; k < graph->nodes[i].input_count && (d->nodes[i].needs & SC_NEEDS_INPUT); k++) {
            size_t input = graph->nodes[i].input[k];
            if (d->nodes[input].recompute && d->nodes[input].again == NEVER) {
                d->nodes[input].again = d->plan->step_count;
                emit(d, SC_STEP_RECOMPUTE, input);
            }
        }
        d->nodes[i].back = d->plan->step_count;
        emit(d, SC_STEP_BACKWARD, i);
    }
}

/* ---- buffers and their lives ---- */

static sc_status new_buffer(ptrdiff_t *out, draft *d, size_t numbers_per_sample, size_t batch, size_t first,
                            size_t last, sc_error *error) {
    size_t bytes;
    if (!sc_size_multiply(&bytes, numbers_per_sample, batch) || !sc_size_multiply(&bytes, bytes, sizeof(sc_real)))
        return sc_error_set(error, SC_ERROR_MEMORY, "plan: a batch of %zu does not fit the address space", batch);
    size_t at = d->buffer_count++;
    d->bytes[at] = bytes;
    d->first[at] = first;
    d->last[at] = last;
    *out = (ptrdiff_t)at;
    return SC_OK;
}

static void stretch(size_t *last, size_t step) {
    if (step != NEVER && step > *last)
        *last = step;
}

/* The last step, on the way there and in all, that reads the value of node i. */
static void value_life(const draft *d, size_t i, size_t *forward_last, size_t *last) {
    const sc_graph *graph = d->graph;
    *forward_last = d->nodes[i].forward;
    *last = *forward_last;
    for (size_t c = i + 1; c < graph->node_count; c++)
        for (int k = 0; k < graph->nodes[c].input_count; k++) {
            if (graph->nodes[c].input[k] != i || !d->nodes[c].used)
                continue;
            stretch(forward_last, d->nodes[c].forward);
            stretch(last, d->nodes[c].again);
            if (d->nodes[c].needs & SC_NEEDS_INPUT)
                stretch(last, d->nodes[c].back);
        }
    if (d->nodes[i].needs & SC_NEEDS_OUTPUT)
        stretch(last, d->nodes[i].back);
    if (i == graph->output || asked(d->request->keep_value, i))
        stretch(last, d->plan->step_count);
    stretch(last, *forward_last);
}

/* Whether node i may write over its first input: the input is read for the last time there. */
static bool can_overwrite(const draft *d, size_t i) {
    const sc_node *node = &d->graph->nodes[i];
    if (!node->op->inplace || node->input_count == 0 || d->plan->nodes[i].head != i)
        return false;
    size_t input = node->input[0];
    ptrdiff_t buffer = d->plan->nodes[input].value;
    return buffer != SC_NO_BUFFER && d->plan->nodes[input].recomputed == buffer &&
           d->last[buffer] == d->nodes[i].forward &&
           sc_shape_numel(&node->shape) == sc_shape_numel(&d->graph->nodes[input].shape);
}

static sc_status place_value(draft *d, size_t i, sc_error *error) {
    sc_node_buffers *buffers = &d->plan->nodes[i];
    size_t numel = sc_shape_numel(&d->graph->nodes[i].shape), batch = d->request->batch;
    size_t forward_last, last;
    value_life(d, i, &forward_last, &last);
    if (d->nodes[i].again != NEVER) {
        SC_TRY(new_buffer(&buffers->recomputed, d, numel, batch, d->nodes[i].again, last, error));
        last = forward_last;
    }
    if (can_overwrite(d, i)) {
        buffers->value = d->plan->nodes[d->graph->nodes[i].input[0]].value;
        stretch(&d->last[buffers->value], last);
    } else {
        SC_TRY(new_buffer(&buffers->value, d, numel, batch, d->nodes[i].forward, last, error));
    }
    if (d->nodes[i].again == NEVER)
        buffers->recomputed = buffers->value;
    return SC_OK;
}

static sc_status place_grad(draft *d, size_t i, sc_error *error) {
    sc_node_buffers *buffers = &d->plan->nodes[i];
    const sc_graph *graph = d->graph;
    size_t first = i == graph->output ? d->plan->forward_count : NEVER;
    for (size_t c = graph->node_count; c-- > i + 1 && first == NEVER;)
        for (int k = 0; k < graph->nodes[c].input_count; k++)
            if (graph->nodes[c].input[k] == i && d->nodes[c].back != NEVER)
                first = d->nodes[c].back;
    if (first == NEVER)
        first = d->plan->forward_count; /* nothing reaches it: stays zero */
    size_t last = first;
    stretch(&last, d->nodes[i].back);
    if (asked(d->request->keep_grad, i))
        last = d->plan->step_count;
    buffers->grad_first = first;
    return new_buffer(&buffers->grad, d, sc_shape_numel(&graph->nodes[i].shape), d->request->batch, first, last, error);
}

static sc_status place_saved(draft *d, size_t i, sc_error *error) {
    const sc_op *op = d->graph->nodes[i].op;
    if (!op->saved)
        return SC_OK;
    sc_op_call call;
    sc_plan_describe_call(&call, d->graph, &d->graph->nodes[i], d->request->batch, d->plan->nodes[i].training);
    size_t last = d->nodes[i].forward;
    stretch(&last, d->nodes[i].back);
    return new_buffer(&d->plan->nodes[i].saved, d, op->saved(&call), 1, d->nodes[i].forward, last, error);
}

static sc_status place_buffers(draft *d, sc_error *error) {
    for (size_t i = 0; i < d->graph->node_count; i++) {
        sc_node_buffers *buffers = &d->plan->nodes[i];
        bool is_input = sc_node_is_input(&d->graph->nodes[i]); /* whose value is the caller's tensor */
        if (d->nodes[i].used && !is_input && buffers->next_fused == SC_NOT_FOUND)
            SC_TRY(place_value(d, i, error));
        if (buffers->wants_grad)
            SC_TRY(place_grad(d, i, error));
        if (d->nodes[i].used)
            SC_TRY(place_saved(d, i, error));
    }
    sc_plan *plan = d->plan;
    SC_TRY(sc_plan_place(plan->offsets, &plan->arena_bytes, d->bytes, d->first, d->last, d->buffer_count, error));
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, plan->arena_bytes + 64, 1, error));
    plan->arena = memory;
    return SC_OK;
}

/* ---- the rest ---- */

void sc_plan_describe_call(sc_op_call *call, const sc_graph *graph, const sc_node *node, size_t batch, bool training) {
    memset(call, 0, sizeof *call);
    call->attrs = node->attrs;
    call->batch = batch;
    call->input_count = node->input_count;
    for (int k = 0; k < node->input_count; k++)
        call->input_shape[k] = &graph->nodes[node->input[k]].shape;
    call->output_shape = &node->shape;
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++)
        if (node->param[slot].present) {
            sc_tensor part = sc_node_param(graph, node, slot);
            call->param[slot] = sc_tensor_data(&part);
        }
    call->training = training;
}

sc_status sc_plan_fit_scratch(sc_plan *plan, sc_error *error) {
    if (plan->scratch_threads == omp_get_max_threads())
        return SC_OK;
    size_t most = 0;
    for (size_t i = 0; i < plan->graph->node_count; i++) {
        const sc_node *node = &plan->graph->nodes[i];
        if (!node->op->scratch)
            continue;
        sc_op_call call;
        sc_plan_describe_call(&call, plan->graph, node, plan->batch, plan->nodes[i].training);
        call.needs_param_grad = plan->params;
        size_t bytes = node->op->scratch(&call);
        most = bytes > most ? bytes : most;
    }
    sc_memory_free(plan->scratch);
    plan->scratch = NULL;
    plan->scratch_bytes = most;
    plan->scratch_threads = 0;
    if (most)
        SC_TRY(sc_memory_alloc(&plan->scratch, most, 1, error));
    plan->scratch_threads = omp_get_max_threads();
    return SC_OK;
}

static sc_status allocate_param_grads(const draft *d, sc_error *error) {
    const sc_graph *graph = d->graph;
    sc_plan *plan = d->plan;
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, graph->parameter_count + 1, sizeof(sc_tensor), error));
    plan->param_grads = memory;
    for (size_t p = 0; p < graph->parameter_count; p++)
        if (is_trained(d, p))
            SC_TRY(sc_tensor_create_zero(&plan->param_grads[p], SC_REAL, &graph->parameters[p].value.shape, error));
    return SC_OK;
}

/* The products take rows as int. */
static sc_status check_batch(const sc_graph *graph, size_t batch, sc_error *error) {
    for (size_t i = 0; i < graph->node_count; i++) {
        size_t numel = sc_shape_numel(&graph->nodes[i].shape);
        if (batch == 0 || batch > INT_MAX / (numel / graph->nodes[i].shape.size[graph->nodes[i].shape.ndim - 1]))
            return sc_error_set(error, SC_ERROR_ARGUMENT, "plan: batch: expected a smaller one at '%.200s', got %zu",
                                graph->nodes[i].name, batch);
    }
    return SC_OK;
}

static sc_status allocate_draft(draft *d, sc_error *error) {
    size_t count = d->graph->node_count;
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, 3 * count + 1, sizeof(sc_step), error));
    d->plan->steps = memory;
    SC_TRY(sc_memory_calloc(&memory, count + 1, sizeof(sc_node_buffers), error));
    d->plan->nodes = memory;
    SC_TRY(sc_memory_calloc(&memory, 4 * count + 1, sizeof(size_t), error));
    d->plan->offsets = memory;
    SC_TRY(sc_memory_calloc(&memory, count + 1, sizeof(draft_node), error));
    d->nodes = memory;
    SC_TRY(sc_memory_calloc(&memory, 12 * count + 1, sizeof(size_t), error));
    d->bytes = memory;
    d->first = d->bytes + 4 * count;
    d->last = d->first + 4 * count;
    for (size_t i = 0; i < count; i++) {
        sc_node_buffers *buffers = &d->plan->nodes[i];
        buffers->value = buffers->recomputed = buffers->grad = buffers->saved = SC_NO_BUFFER;
    }
    return SC_OK;
}

static sc_status make_plan(draft *d, sc_error *error) {
    if (d->graph->node_count == 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "plan: graph: expected at least one node");
    SC_TRY(check_batch(d->graph, d->request->batch, error));
    SC_TRY(allocate_draft(d, error));
    mark_used(d);
    mark_back(d);
    for (size_t i = 0; i < d->graph->node_count; i++)
        d->plan->nodes[i].needs = d->nodes[i].needs = resolve_needs(d, i);
    mark_recompute(d);
    mark_accuracy(d);
    sc_fusion_find(d->plan);
    emit_steps(d);
    SC_TRY(place_buffers(d, error));
    SC_TRY(sc_plan_fit_scratch(d->plan, error));
    return allocate_param_grads(d, error);
}

sc_status sc_plan_create(sc_plan **out, sc_graph *graph, const sc_plan_request *request, sc_error *error) {
    void *memory;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_plan), error));
    sc_plan *plan = memory;
    plan->graph = sc_graph_share(graph);
    plan->batch = request->batch;
    plan->backward = request->backward;
    plan->training = request->training;
    plan->params = request->params;
    draft d = {.graph = graph, .request = request, .plan = plan};
    sc_status status = make_plan(&d, error);
    sc_memory_free(d.nodes);
    sc_memory_free(d.bytes);
    if (status != SC_OK)
        sc_plan_free(plan);
    else
        *out = plan;
    return status;
}

void sc_plan_free(sc_plan *plan) {
    if (!plan)
        return;
    for (size_t p = 0; plan->param_grads && p < plan->graph->parameter_count; p++)
        sc_tensor_release(&plan->param_grads[p]);
    sc_tensor_release(&plan->input);
    sc_packed_free(plan); /* asks the graph how many nodes there are */
    sc_graph_release(plan->graph);
    sc_memory_free(plan->param_grads);
    sc_memory_free(plan->steps);
    sc_memory_free(plan->nodes);
    sc_memory_free(plan->offsets);
    sc_memory_free(plan->arena);
    sc_memory_free(plan->scratch);
    sc_memory_free(plan);
}
