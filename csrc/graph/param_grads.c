#include "graph/param_grads.h"

#include "base/memory.h"
#include "base/vector.h"

enum { LINE = 16 }; /* numbers that parameters begin at a multiple of */

sc_status sc_param_grads_create(sc_plan *plan, const bool *wanted, sc_error *error) {
    const sc_graph *graph = plan->graph;
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, graph->parameter_count + 1, sizeof(sc_tensor), error));
    plan->param_grads = memory;
    size_t total = 0;
    for (size_t i = 0; i < graph->parameter_count; i++) {
        if (!wanted[i])
            continue;
        size_t numel = sc_tensor_numel(&graph->parameters[i].value);
        if (numel > SIZE_MAX - LINE - total)
            return sc_error_set(error, SC_ERROR_MEMORY, "plan: gradients of parameters: too many numbers");
        total += (numel + LINE - 1) / LINE * LINE;
    }
    if (total == 0)
        return SC_OK;
    sc_shape shape;
    SC_TRY(sc_shape_init(&shape, 1, &total, error));
    SC_TRY(sc_tensor_create_zero(&plan->grads, SC_REAL, &shape, error));
    size_t first = 0;
    for (size_t i = 0; i < graph->parameter_count; i++) {
        if (!wanted[i])
            continue;
        plan->param_grads[i] = sc_tensor_share(&plan->grads);
        plan->param_grads[i].shape = graph->parameters[i].value.shape;
        plan->param_grads[i].offset = first;
        first += (sc_tensor_numel(&plan->param_grads[i]) + LINE - 1) / LINE * LINE;
    }
    return SC_OK;
}

void sc_param_grads_release(sc_plan *plan) {
    for (size_t i = 0; plan->param_grads && i < plan->graph->parameter_count; i++)
        sc_tensor_release(&plan->param_grads[i]);
    sc_memory_free(plan->param_grads);
    plan->param_grads = NULL;
    sc_tensor_release(&plan->grads);
}

sc_status sc_param_grads_add(sc_plan *plan, const sc_tensor *grads, sc_error *error) {
    char wanted[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    if (!plan->grads.storage)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "add_gradients: expected a plan with params");
    if (grads->dtype != SC_REAL || !sc_shape_equal(&grads->shape, &plan->grads.shape))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "add_gradients: gradients: expected %s %s, got %s %s",
                            sc_dtype_name(SC_REAL), sc_shape_format(wanted, &plan->grads.shape),
                            sc_dtype_name(grads->dtype), sc_shape_format(got, &grads->shape));
    sc_add_scaled(sc_tensor_real(&plan->grads), sc_tensor_real(grads), 1, sc_tensor_numel(grads));
    sc_tensor_bump_version(&plan->grads);
    return SC_OK;
}

void sc_plan_clear_param_grads(sc_plan *plan) {
    if (plan->grads.storage)
        sc_fill(sc_tensor_real(&plan->grads), 0, sc_tensor_numel(&plan->grads));
}
