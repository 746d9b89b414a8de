#include "graph/executor.h"

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/random.h"
#include "base/vector.h"
#include "graph/batch_statistics.h"
#include "graph/packed.h"

static sc_real *buffer_data(const sc_plan *plan, ptrdiff_t buffer) {
    return buffer == SC_NO_BUFFER ? NULL : (sc_real *)(void *)(plan->arena + plan->offsets[buffer]);
}

/* The value of a node as the forward pass sees it, or as the backward pass does. */
static sc_real *value_of(const sc_plan *plan, size_t node, bool back) {
    if (sc_node_is_input(&plan->graph->nodes[node]))
        return sc_tensor_real(&plan->input);
    return buffer_data(plan, back ? plan->nodes[node].recomputed : plan->nodes[node].value);
}

static void fill_forward(sc_op_call *call, const sc_plan *plan, size_t index, sc_step_kind kind) {
    const sc_node *node = &plan->graph->nodes[index];
    sc_plan_describe_call(call, plan->graph, node, plan->current_batch, plan->nodes[index].training);
    for (int k = 0; k < node->input_count; k++)
        call->input[k] = value_of(plan, node->input[k], kind == SC_STEP_RECOMPUTE);
    call->output = value_of(plan, index, kind == SC_STEP_RECOMPUTE);
    call->saved = buffer_data(plan, plan->nodes[index].saved);
    call->scratch = plan->scratch;
    call->seed = sc_random_mix(plan->seed, index);
    call->accuracy = plan->nodes[index].accuracy;
    call->packed = sc_packed_get(plan, index);
    call->statistics = sc_batch_statistics_of(plan, index);
}

/* What the step of a node does besides, for the nodes that are fused with it; its output is that of the last. */
static void fill_epilogue(sc_op_call *call, sc_epilogue *epilogue, const sc_plan *plan, size_t index) {
    *epilogue = (sc_epilogue){0};
    for (ptrdiff_t i = plan->nodes[index].next_fused; i != SC_NOT_FOUND; i = plan->nodes[i].next_fused) {
        sc_op_call fused;
        fill_forward(&fused, plan, (size_t)i, SC_STEP_FORWARD);
        plan->graph->nodes[i].op->epilogue(&fused, epilogue);
        call->output = fused.output;
        call->epilogue = epilogue;
    }
}

/* The step of an operation that computes those before it along; false where the step is none. */
static bool run_chain(const sc_plan *plan, size_t index) {
    ptrdiff_t next = plan->nodes[index].next_fused;
    if (next == SC_NOT_FOUND || !plan->graph->nodes[next].op->forward_chain)
        return false;
    sc_op_call calls[SC_MAX_CHAIN + 1];
    const sc_op *last = NULL;
    size_t count = 0;
    for (ptrdiff_t i = (ptrdiff_t)index; i != SC_NOT_FOUND; i = plan->nodes[i].next_fused) {
        fill_forward(&calls[count++], plan, (size_t)i, SC_STEP_FORWARD);
        last = plan->graph->nodes[i].op;
    }
    last->forward_chain(calls);
    return true;
}

static void run_forward(const sc_plan *plan, size_t node) {
    if (run_chain(plan, node))
        return;
    sc_op_call call;
    sc_epilogue epilogue;
    fill_forward(&call, plan, node, SC_STEP_FORWARD);
    fill_epilogue(&call, &epilogue, plan, node);
    plan->graph->nodes[node].op->forward(&call);
}

static void fill_backward(sc_op_call *call, const sc_plan *plan, size_t index) {
    const sc_node *node = &plan->graph->nodes[index];
    fill_forward(call, plan, index, SC_STEP_RECOMPUTE);
    if (!(plan->nodes[index].needs & SC_NEEDS_OUTPUT))
        call->output = NULL; /* its memory may serve others by now */
    for (int k = 0; k < node->input_count && !(plan->nodes[index].needs & SC_NEEDS_INPUT); k++)
        call->input[k] = NULL;
    call->accuracy = SC_ACCURACY_FAST;
    call->packed = NULL;
    call->output_grad = buffer_data(plan, plan->nodes[index].grad);
    for (int k = 0; k < node->input_count; k++)
        call->input_grad[k] = buffer_data(plan, plan->nodes[node->input[k]].grad);
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++) {
        const sc_param_ref *ref = &node->param[slot];
        if (!ref->present || !plan->param_grads[ref->parameter].storage)
            continue;
        size_t row = 1;
        for (int d = 1; d < ref->shape.ndim; d++)
            row *= ref->shape.size[d];
        call->param_grad[slot] = sc_tensor_real(&plan->param_grads[ref->parameter]) + ref->first_row * row;
    }
}

static sc_status check_input(const sc_plan *plan, const sc_tensor *x, sc_error *error) {
    if (plan->resumes)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "forward: expected a plan without given nodes");
    const sc_graph *graph = plan->graph;
    char wanted[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    bool found = false;
    for (size_t i = 0; i < graph->node_count; i++) {
        if (!sc_node_is_input(&graph->nodes[i]))
            continue;
        found = true;
        sc_shape shape = sc_shape_prepend(&graph->nodes[i].shape, x->shape.ndim ? x->shape.size[0] : 0);
        if (x->dtype != SC_REAL || !sc_shape_equal(&shape, &x->shape) || shape.size[0] == 0)
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "forward: x: expected %s of a batch of %s, got %s of shape %s", sc_dtype_name(SC_REAL),
                                sc_shape_format(wanted, &graph->nodes[i].shape), sc_dtype_name(x->dtype),
                                sc_shape_format(got, &x->shape));
        if (shape.size[0] > plan->batch)
            return sc_error_set(error, SC_ERROR_ARGUMENT, "forward: x: expected at most %zu samples, got %zu",
                                plan->batch, shape.size[0]);
    }
    if (!found)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "forward: graph: expected one with an input");
    return SC_OK;
}

/* The tensor that inputs are read from. */
static void hold_input(sc_plan *plan, const sc_tensor *x) {
    sc_tensor kept = sc_tensor_share(x);
    sc_tensor_release(&plan->input);
    plan->input = kept;
}

/* The forward steps, once what they begin with is there. */
static sc_status run_steps(sc_plan *plan, size_t batch, uint64_t seed, double *seconds, sc_error *error) {
    plan->current_batch = batch;
    plan->seed = seed;
    plan->backward_done = false;
    sc_status status = SC_OK;
    sc_interrupt_begin();
    for (size_t s = 0; s < plan->forward_count && status == SC_OK; s++) {
        double start = seconds ? sc_clock_seconds() : 0;
        status = sc_packed_refresh(plan, plan->steps[s].node, error);
        if (status != SC_OK)
            break;
        run_forward(plan, plan->steps[s].node);
        if (seconds)
            seconds[s] = sc_clock_seconds() - start;
        status = sc_interrupt_check(error);
    }
    sc_interrupt_end();
    if (status != SC_OK)
        plan->current_batch = 0;
    return status;
}

sc_status sc_plan_forward(sc_plan *plan, const sc_tensor *x, uint64_t seed, sc_error *error) {
    return sc_plan_profile(plan, x, seed, NULL, error);
}

sc_status sc_plan_profile(sc_plan *plan, const sc_tensor *x, uint64_t seed, double *seconds, sc_error *error) {
    SC_TRY(check_input(plan, x, error));
    SC_TRY(sc_plan_fit_scratch(plan, error));
    hold_input(plan, x);
    return run_steps(plan, x->shape.size[0], seed, seconds, error);
}

/* The value of a given node among those told, or NULL. */
static const sc_tensor *told(size_t node, const size_t *nodes, const sc_tensor *const *values, size_t count) {
    for (size_t k = 0; k < count; k++)
        if (nodes[k] == node)
            return values[k];
    return NULL;
}

static sc_status check_given(const sc_plan *plan, size_t node, const sc_tensor *value, size_t batch, sc_error *error) {
    char wanted[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    const sc_node *of = &plan->graph->nodes[node];
    if (!value)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "forward_from: values: expected one of '%s', got none", of->name);
    sc_shape shape = sc_shape_prepend(&of->shape, batch);
    if (value->dtype != SC_REAL || !sc_shape_equal(&shape, &value->shape))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "forward_from: '%s': expected %s of shape %s, got %s of shape %s",
                            of->name, sc_dtype_name(SC_REAL), sc_shape_format(wanted, &shape),
                            sc_dtype_name(value->dtype), sc_shape_format(got, &value->shape));
    return SC_OK;
}

sc_status sc_plan_forward_from(sc_plan *plan, const size_t *nodes, const sc_tensor *const *values, size_t count,
                               uint64_t seed, sc_error *error) {
    if (!plan->resumes)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "forward_from: expected a plan with given nodes");
    size_t batch = count && values[0]->shape.ndim ? values[0]->shape.size[0] : 0;
    if (batch == 0 || batch > plan->batch)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "forward_from: values: expected 1 to %zu samples, got %zu",
                            plan->batch, batch);
    for (size_t i = 0; i < plan->graph->node_count; i++)
        if (plan->nodes[i].given)
            SC_TRY(check_given(plan, i, told(i, nodes, values, count), batch, error));
    SC_TRY(sc_plan_fit_scratch(plan, error));
    for (size_t i = 0; i < plan->graph->node_count; i++) {
        if (!plan->nodes[i].given)
            continue;
        const sc_tensor *value = told(i, nodes, values, count);
        if (sc_node_is_input(&plan->graph->nodes[i]))
            hold_input(plan, value);
        else
            sc_copy(buffer_data(plan, plan->nodes[i].value), sc_tensor_real(value), sc_tensor_numel(value));
    }
    return run_steps(plan, batch, seed, NULL, error);
}

/* Gradients are added to, so each starts from zero at the step that reaches it first, or is written there. */
static void mark_uninitialised(sc_op_call *call, const sc_plan *plan, size_t step) {
    const sc_node *node = &plan->graph->nodes[plan->steps[step].node];
    for (int k = 0; k < node->input_count; k++) {
        const sc_plan_node *input = &plan->nodes[node->input[k]];
        bool first = input->grad != SC_NO_BUFFER && input->grad_first == step;
        for (int earlier = 0; earlier < k; earlier++)
            first &= node->input[earlier] != node->input[k];
        call->grad_uninitialised[k] = first;
    }
    if (!node->op->writes_grad)
        sc_call_zero_uninitialised(call);
}

void sc_call_zero_uninitialised(sc_op_call *call) {
    for (int k = 0; k < call->input_count; k++) {
        if (call->grad_uninitialised[k])
            sc_fill(call->input_grad[k], 0, call->batch * sc_shape_numel(call->input_shape[k]));
        call->grad_uninitialised[k] = false;
    }
}

sc_status sc_plan_run_backward(sc_plan *plan, const sc_real *output_grad, sc_backward_fn run_node, void *context,
                               sc_error *error) {
    if (!plan->backward || plan->current_batch == 0 || (plan->backward_done && !plan->repeatable))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "backward: needs gradients enabled and a preceding forward()");
    SC_TRY(sc_plan_fit_scratch(plan, error));
    plan->backward_done = true;
    const sc_graph *graph = plan->graph;
    size_t output_numel = plan->current_batch * sc_shape_numel(&graph->nodes[graph->output].shape);
    for (size_t i = 0; i < graph->node_count; i++) /* gradients that no step reaches stay zero */
        if (plan->nodes[i].grad != SC_NO_BUFFER && plan->nodes[i].grad_first == plan->forward_count)
            sc_fill(buffer_data(plan, plan->nodes[i].grad), 0,
                    plan->current_batch * sc_shape_numel(&graph->nodes[i].shape));
    if (plan->nodes[graph->output].grad == SC_NO_BUFFER)
        return SC_OK; /* the output depends on nothing that is wanted */
    sc_copy(buffer_data(plan, plan->nodes[graph->output].grad), output_grad, output_numel);
    sc_status status = SC_OK;
    sc_interrupt_begin();
    for (size_t s = plan->forward_count; s < plan->step_count && status == SC_OK; s++) {
        size_t node = plan->steps[s].node;
        sc_op_call call;
        if (plan->steps[s].kind == SC_STEP_RECOMPUTE) {
            fill_forward(&call, plan, node, SC_STEP_RECOMPUTE);
            graph->nodes[node].op->forward(&call);
        } else {
            fill_backward(&call, plan, node);
            if (s > plan->forward_count) /* what the first step reaches has been zeroed above */
                mark_uninitialised(&call, plan, s);
            status = run_node(context, node, &call, error);
        }
        if (status == SC_OK)
            status = sc_interrupt_check(error);
    }
    sc_interrupt_end();
    if (status != SC_OK)
        plan->current_batch = 0;
    return status;
}

static sc_status run_own_backward(void *context, size_t node, const sc_op_call *call, sc_error *error) {
    const sc_plan *plan = context;
    (void)error;
    if (plan->graph->nodes[node].op->backward)
        plan->graph->nodes[node].op->backward(call);
    return SC_OK;
}

sc_status sc_plan_backward(sc_plan *plan, const sc_real *output_grad, sc_error *error) {
    return sc_plan_run_backward(plan, output_grad, run_own_backward, plan, error);
}

const sc_real *sc_plan_value(const sc_plan *plan, size_t node) {
    return plan->current_batch && plan->nodes[node].value_kept ? value_of(plan, node, false) : NULL;
}

const sc_real *sc_plan_grad(const sc_plan *plan, size_t node) {
    return plan->current_batch && plan->backward_done && plan->nodes[node].grad_kept
               ? buffer_data(plan, plan->nodes[node].grad)
               : NULL;
}
