#include "graph/plan.h"

#include "base/memory.h"
#include "base/size.h"
#include "graph/batch_statistics.h"
#include "graph/fusion.h"
#include "graph/memory_planner.h"
#include "graph/packed.h"
#include "graph/param_grads.h"

#include <limits.h>
#include <omp.h>
#include <string.h>

/* What is known of one node while the plan is made. Steps are numbered; NEVER marks those that do not happen. */
typedef struct planner_node {
    bool used;      /* its value takes part in the result */
    bool reached;   /* the output depends on it */
    bool recompute; /* its value is computed again for the backward pass */
    unsigned needs; /* of its own backward pass */
    size_t forward_step, recompute_step, backward_step;
    size_t last_read, last_forward_read; /* the last steps that read its value: of all, and of the forward pass */
    size_t first_grad;                   /* the backward step that reaches its gradient first */
} planner_node;

typedef struct planner {
    const sc_graph *graph;
    const sc_plan_request *request;
    sc_plan *plan;
    planner_node *nodes;
    /* buffers */
    size_t *bytes, *first, *last;
    size_t buffer_count;
} planner;

#define NEVER SIZE_MAX

static bool flag_at(const bool *list, size_t node) {
    return list && list[node];
}

/* ---- which nodes take part ---- */

static bool is_trained(const planner *p, size_t parameter) {
    return p->request->params && p->graph->parameters[parameter].trainable && !flag_at(p->request->frozen, parameter);
}

static bool has_trained(const planner *p, const sc_node *node) {
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++)
        if (node->param[slot].present && is_trained(p, node->param[slot].parameter))
            return true;
    return false;
}

/* Statistics of the batch would change what a norm does although its scale, in the first slot, is not to change. */
static bool is_frozen_norm(const planner *p, const sc_node *node) {
    return node->op->channel_affine && node->param[0].present && flag_at(p->request->frozen, node->param[0].parameter);
}

static void mark_used(planner *p) {
    const sc_graph *graph = p->graph;
    for (size_t i = graph->node_count; i-- > 0;) {
        planner_node *node = &p->nodes[i];
        bool kept = i == graph->output || flag_at(p->request->keep_value, i);
        node->used |= kept;
        bool is_input = sc_node_is_input(&graph->nodes[i]);
        bool given = node->used && p->request->given && (p->request->given[i] || is_input);
        p->plan->nodes[i].given = given;
        p->plan->nodes[i].value_kept = kept || given || is_input;
        if (node->used && !given)
            for (int k = 0; k < graph->nodes[i].input_count; k++)
                p->nodes[graph->nodes[i].input[k]].used = true;
    }
}

/* The backward pass visits only nodes on the way to a wanted gradient. */
static void mark_backward(planner *p) {
    const sc_graph *graph = p->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        const sc_node *node = &graph->nodes[i];
        sc_plan_node *planned = &p->plan->nodes[i];
        bool own = has_trained(p, node);
        bool below = false;
        for (int k = 0; k < node->input_count; k++)
            below |= p->plan->nodes[node->input[k]].wants_grad;
        planned->grad_kept = p->request->backward && flag_at(p->request->keep_grad, i);
        planned->wants_grad = planned->grad_kept || (p->request->backward && p->nodes[i].used && (own || below));
        planned->in_backward = planned->wants_grad && (own || below);
        planned->has_param_grad = own;
        planned->training = p->request->training && !is_frozen_norm(p, node);
    }
    p->nodes[graph->output].reached = true; /* no gradient reaches nodes that the output does not depend on */
    for (size_t i = graph->node_count; i-- > 0;) {
        if (!p->nodes[i].reached)
            p->plan->nodes[i].in_backward = false;
        else
            for (int k = 0; k < graph->nodes[i].input_count; k++)
                p->nodes[graph->nodes[i].input[k]].reached = true;
    }
}

static unsigned resolve_needs(const planner *p, size_t i) {
    if (!p->plan->nodes[i].in_backward)
        return 0;
    if (p->request->needs)
        return p->request->needs[i];
    unsigned needs = p->graph->nodes[i].op->needs;
    if ((needs & SC_NEEDS_INPUT_FOR_PARAMS) && p->plan->nodes[i].has_param_grad)
        needs |= SC_NEEDS_INPUT;
    if ((needs & SC_NEEDS_INPUT_IN_TRAINING) && p->plan->nodes[i].training)
        needs |= SC_NEEDS_INPUT;
    return needs & (SC_NEEDS_INPUT | SC_NEEDS_OUTPUT);
}

/* A cheap value is recomputed when only its consumers' backward pass reads it, and its own inputs are kept anyway. */
static void mark_recompute(planner *p) {
    const sc_graph *graph = p->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        const sc_node *node = &graph->nodes[i];
        planner_node *mine = &p->nodes[i];
        mine->recompute = node->op->recompute && node->input_count == 1 && (mine->needs & SC_NEEDS_INPUT) &&
                          !(mine->needs & SC_NEEDS_OUTPUT) && !p->nodes[node->input[0]].recompute &&
                          i != graph->output && !flag_at(p->request->keep_value, i);
    }
}

/* What a tie-sensitive operation chooses from, and what was flag_at for, with all that it is made from. */
static void mark_accuracy(planner *p) {
    const sc_graph *graph = p->graph;
    bool attribution = p->request->backward && !p->request->training;
    for (size_t i = graph->node_count; i-- > 0;) {
        const sc_node *node = &graph->nodes[i];
        sc_plan_node *planned = &p->plan->nodes[i];
        if (p->request->all_exact || flag_at(p->request->exact, i) || (attribution && node->op->tie_sensitive))
            planned->accuracy = SC_ACCURACY_EXACT;
        for (int k = 0; k < node->input_count && planned->accuracy == SC_ACCURACY_EXACT; k++)
            p->plan->nodes[node->input[k]].accuracy = SC_ACCURACY_EXACT;
    }
}

/* ---- steps ---- */

static void emit(planner *p, sc_step_kind kind, size_t node) {
    p->plan->steps[p->plan->step_count++] = (sc_step){.kind = kind, .node = node};
}

static void emit_steps(planner *p) {
    const sc_graph *graph = p->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        p->nodes[i].forward_step = p->nodes[i].recompute_step = p->nodes[i].backward_step = NEVER;
        if (!p->nodes[i].used)
            continue;
        if (p->plan->nodes[i].given) {
            p->nodes[i].forward_step = 0; /* it is there before the first step */
            continue;
        }
        size_t head = p->plan->nodes[i].head;
        p->nodes[i].forward_step = head == i ? p->plan->step_count : p->nodes[head].forward_step;
        if (head == i)
            emit(p, SC_STEP_FORWARD, i);
    }
    p->plan->forward_count = p->plan->step_count;
    for (size_t i = graph->node_count; i-- > 0;) {
        if (!p->plan->nodes[i].in_backward)
            continue;
        for (int k = 0; k < graph->nodes[i].input_count && (p->nodes[i].needs & SC_NEEDS_INPUT); k++) {
            size_t input = graph->nodes[i].input[k];
            if (p->nodes[input].recompute && p->nodes[input].recompute_step == NEVER) {
                p->nodes[input].recompute_step = p->plan->step_count;
                emit(p, SC_STEP_RECOMPUTE, input);
            }
        }
        p->nodes[i].backward_step = p->plan->step_count;
        emit(p, SC_STEP_BACKWARD, i);
    }
}

/* ---- buffers and their lifetimes ---- */

static sc_status new_buffer(ptrdiff_t *out, planner *p, size_t numbers_per_sample, size_t batch, size_t first,
                            size_t last, sc_error *error) {
    size_t bytes;
    if (!sc_size_multiply(&bytes, numbers_per_sample, batch) || !sc_size_multiply(&bytes, bytes, sizeof(sc_real)))
        return sc_error_set(error, SC_ERROR_MEMORY, "plan: a batch of %zu does not fit the address space", batch);
    size_t at = p->buffer_count++;
    p->bytes[at] = bytes;
    p->first[at] = first;
    p->last[at] = last;
    *out = (ptrdiff_t)at;
    return SC_OK;
}

static void extend_lifetime(size_t *last, size_t step) {
    if (step != NEVER && step > *last)
        *last = step;
}

/* When the inputs of all nodes are read, and their gradients reached. */
static void find_reads(const planner *p) {
    for (size_t i = 0; i < p->graph->node_count; i++) {
        planner_node *node = &p->nodes[i];
        node->last_read = node->last_forward_read = node->forward_step;
        node->first_grad = NEVER;
    }
    for (size_t c = 0; c < p->graph->node_count; c++)
        for (int k = 0; k < p->graph->nodes[c].input_count; k++) {
            const planner_node *reader = &p->nodes[c];
            planner_node *read = &p->nodes[p->graph->nodes[c].input[k]];
            if (reader->backward_step != NEVER)
                read->first_grad = reader->backward_step; /* the later the node, the earlier the step */
            if (!reader->used)
                continue;
            extend_lifetime(&read->last_forward_read, reader->forward_step);
            extend_lifetime(&read->last_read, reader->recompute_step);
            if (reader->needs & SC_NEEDS_INPUT)
                extend_lifetime(&read->last_read, reader->backward_step);
        }
}

/* The last step that needs the value of node i, of the forward pass and of all. */
static void value_lifetime(const planner *p, size_t i, size_t *forward_last, size_t *last) {
    const planner_node *node = &p->nodes[i];
    *forward_last = node->last_forward_read;
    *last = node->last_read;
    if (node->needs & SC_NEEDS_OUTPUT)
        extend_lifetime(last, node->backward_step);
    if (i == p->graph->output || flag_at(p->request->keep_value, i))
        extend_lifetime(last, p->plan->step_count);
    extend_lifetime(last, *forward_last);
    if (p->request->repeatable && *last > *forward_last)
        extend_lifetime(last, p->plan->step_count);
}

/* Whether the first input is another one as well: what is read of it by the other would be written over already. */
static bool repeats_first_input(const sc_node *node) {
    for (int k = 1; k < node->input_count; k++)
        if (node->input[k] == node->input[0])
            return true;
    return false;
}

/* Whether node i may write over its first input: the input is read for the last time there. */
static bool can_overwrite(const planner *p, size_t i) {
    const sc_node *node = &p->graph->nodes[i];
    if (!node->op->inplace || node->input_count == 0 || p->plan->nodes[i].head != i || p->plan->nodes[i].given ||
        repeats_first_input(node))
        return false;
    size_t input = node->input[0];
    ptrdiff_t buffer = p->plan->nodes[input].value;
    return buffer != SC_NO_BUFFER && p->plan->nodes[input].recomputed == buffer &&
           p->last[buffer] == p->nodes[i].forward_step &&
           sc_shape_numel(&node->shape) == sc_shape_numel(&p->graph->nodes[input].shape);
}

static sc_status add_value_buffer(planner *p, size_t i, sc_error *error) {
    sc_plan_node *planned = &p->plan->nodes[i];
    size_t numel = sc_shape_numel(&p->graph->nodes[i].shape), batch = p->request->batch;
    size_t forward_last, last;
    value_lifetime(p, i, &forward_last, &last);
    if (p->nodes[i].recompute_step != NEVER) {
        SC_TRY(new_buffer(&planned->recomputed, p, numel, batch, p->nodes[i].recompute_step, last, error));
        last = forward_last;
    }
    if (can_overwrite(p, i)) {
        planned->value = p->plan->nodes[p->graph->nodes[i].input[0]].value;
        extend_lifetime(&p->last[planned->value], last);
    } else {
        SC_TRY(new_buffer(&planned->value, p, numel, batch, p->nodes[i].forward_step, last, error));
    }
    if (p->nodes[i].recompute_step == NEVER)
        planned->recomputed = planned->value;
    return SC_OK;
}

static sc_status add_grad_buffer(planner *p, size_t i, sc_error *error) {
    sc_plan_node *planned = &p->plan->nodes[i];
    const sc_graph *graph = p->graph;
    size_t first = i == graph->output ? p->plan->forward_count : p->nodes[i].first_grad;
    if (first == NEVER)
        first = p->plan->forward_count; /* nothing reaches it: stays zero */
    size_t last = first;
    extend_lifetime(&last, p->nodes[i].backward_step);
    if (flag_at(p->request->keep_grad, i))
        last = p->plan->step_count;
    planned->grad_first = first;
    return new_buffer(&planned->grad, p, sc_shape_numel(&graph->nodes[i].shape), p->request->batch, first, last, error);
}

static sc_status add_saved_buffer(planner *p, size_t i, sc_error *error) {
    const sc_op *op = p->graph->nodes[i].op;
    if (!op->saved)
        return SC_OK;
    sc_op_call call;
    sc_plan_describe_call(&call, p->graph, &p->graph->nodes[i], p->request->batch, p->plan->nodes[i].training);
    size_t last = p->nodes[i].forward_step;
    extend_lifetime(&last, p->nodes[i].backward_step);
    if (p->request->repeatable)
        last = p->plan->step_count;
    return new_buffer(&p->plan->nodes[i].saved, p, op->saved(&call), 1, p->nodes[i].forward_step, last, error);
}

static sc_status allocate_arena(planner *p, sc_error *error) {
    for (size_t i = 0; i < p->graph->node_count; i++) {
        sc_plan_node *planned = &p->plan->nodes[i];
        bool is_input = sc_node_is_input(&p->graph->nodes[i]); /* whose value is the caller's tensor */
        if (p->nodes[i].used && !is_input && planned->next_fused == SC_NOT_FOUND)
            SC_TRY(add_value_buffer(p, i, error));
        if (planned->wants_grad)
            SC_TRY(add_grad_buffer(p, i, error));
        if (p->nodes[i].used)
            SC_TRY(add_saved_buffer(p, i, error));
    }
    sc_plan *plan = p->plan;
    SC_TRY(sc_memory_planner_assign(plan->offsets, &plan->arena_bytes, p->bytes, p->first, p->last, p->buffer_count,
                                    error));
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

static sc_status allocate_param_grads(const planner *p, sc_error *error) {
    const sc_graph *graph = p->graph;
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, graph->parameter_count + 1, sizeof(bool), error));
    bool *wanted = memory;
    for (size_t i = 0; i < graph->parameter_count; i++)
        wanted[i] = is_trained(p, i);
    sc_status status = sc_param_grads_create(p->plan, wanted, error);
    sc_memory_free(wanted);
    return status;
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

static sc_status allocate_planner(planner *p, sc_error *error) {
    size_t count = p->graph->node_count;
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, 3 * count + 1, sizeof(sc_step), error));
    p->plan->steps = memory;
    SC_TRY(sc_memory_calloc(&memory, count + 1, sizeof(sc_plan_node), error));
    p->plan->nodes = memory;
    SC_TRY(sc_memory_calloc(&memory, 4 * count + 1, sizeof(size_t), error));
    p->plan->offsets = memory;
    SC_TRY(sc_memory_calloc(&memory, count + 1, sizeof(planner_node), error));
    p->nodes = memory;
    SC_TRY(sc_memory_calloc(&memory, 12 * count + 1, sizeof(size_t), error));
    p->bytes = memory;
    p->first = p->bytes + 4 * count;
    p->last = p->first + 4 * count;
    for (size_t i = 0; i < count; i++) {
        sc_plan_node *planned = &p->plan->nodes[i];
        planned->value = planned->recomputed = planned->grad = planned->saved = SC_NO_BUFFER;
    }
    return SC_OK;
}

static sc_status make_plan(planner *p, sc_error *error) {
    if (p->graph->node_count == 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "plan: graph: expected at least one node");
    if (p->request->given && p->request->backward)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "plan: given: expected none with a backward pass");
    SC_TRY(check_batch(p->graph, p->request->batch, error));
    SC_TRY(allocate_planner(p, error));
    mark_used(p);
    mark_backward(p);
    for (size_t i = 0; i < p->graph->node_count; i++)
        p->plan->nodes[i].needs = p->nodes[i].needs = resolve_needs(p, i);
    mark_recompute(p);
    mark_accuracy(p);
    sc_fusion_find(p->plan);
    emit_steps(p);
    find_reads(p);
    SC_TRY(allocate_arena(p, error));
    SC_TRY(sc_plan_fit_scratch(p->plan, error));
    if (p->request->collect_statistics)
        SC_TRY(sc_batch_statistics_create(p->plan, error));
    return allocate_param_grads(p, error);
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
    plan->repeatable = request->repeatable;
    plan->resumes = request->given != NULL;
    planner p = {.graph = graph, .request = request, .plan = plan};
    sc_status status = make_plan(&p, error);
    sc_memory_free(p.nodes);
    sc_memory_free(p.bytes);
    if (status != SC_OK)
        sc_plan_destroy(plan);
    else
        *out = plan;
    return status;
}

void sc_plan_destroy(sc_plan *plan) {
    if (!plan)
        return;
    sc_param_grads_release(plan);
    sc_tensor_release(&plan->statistics);
    sc_tensor_release(&plan->input);
    sc_packed_free(plan); /* asks the graph how many nodes there are */
    sc_graph_release(plan->graph);
    sc_memory_free(plan->steps);
    sc_memory_free(plan->nodes);
    sc_memory_free(plan->offsets);
    sc_memory_free(plan->arena);
    sc_memory_free(plan->scratch);
    sc_memory_free(plan);
}
