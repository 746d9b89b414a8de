#include "attribution/workspace.h"

#include "base/memory.h"

#include <omp.h>

sc_status sc_workspace_get(sc_real **out, sc_workspace *workspace, int index, size_t reals, sc_error *error) {
    if (workspace->reals[index] < reals) {
        void *memory;
        sc_memory_free(workspace->buffer[index]);
        workspace->buffer[index] = NULL;
        workspace->reals[index] = 0;
        SC_TRY(sc_memory_alloc(&memory, reals, sizeof(sc_real), error));
        workspace->buffer[index] = memory;
        workspace->reals[index] = reals;
    }
    *out = workspace->buffer[index];
    return SC_OK;
}

void sc_workspace_free(sc_workspace *workspace) {
    for (int i = 0; i < SC_WORK_BUFFERS; i++)
        sc_memory_free(workspace->buffer[i]);
    *workspace = (sc_workspace){0};
}

size_t sc_call_input_reals(const sc_op_call *call) {
    size_t reals = 0;
    for (int k = 0; k < call->input_count; k++)
        reals += sc_shape_numel(call->input_shape[k]);
    return reals;
}

size_t sc_call_output_reals(const sc_op_call *call) {
    return sc_shape_numel(call->output_shape);
}

static int any_negative(const sc_real *x, size_t count) {
    int found = 0;
    for (size_t i = 0; i < count; i++)
        found |= x[i] < 0;
    return found;
}

bool sc_call_has_negative(const sc_op_call *call) {
    const size_t chunk = 1 << 14;
    int found = 0;
    for (int k = 0; k < call->input_count && !found; k++) {
        size_t count = call->batch * sc_shape_numel(call->input_shape[k]);
        const sc_real *x = call->input[k];
        found = any_negative(x, count < chunk ? count : chunk); /* where there are negative numbers, it shows at once */
#pragma omp parallel for schedule(static) reduction(| : found) if (!found && count > 4 * chunk)
        for (size_t first = chunk; first < count; first += chunk)
            found |= found ? 1 : any_negative(x + first, count - first < chunk ? count - first : chunk);
    }
    return found != 0;
}

size_t sc_workspace_chunk(const sc_op_call *call) {
    const size_t target = (size_t)64 << 20; /* bytes; small enough to stay near the caches, large enough for products */
    size_t bytes = (2 * sc_call_input_reals(call) + 3 * sc_call_output_reals(call)) * sizeof(sc_real);
    size_t chunk = target / bytes, threads = (size_t)omp_get_max_threads();
    chunk = chunk < threads ? threads : chunk - chunk % threads; /* as many for each */
    return chunk < call->batch ? chunk : call->batch;
}

sc_op_call sc_call_slice(const sc_op_call *call, size_t first, size_t most) {
    sc_op_call slice = *call;
    size_t out = sc_call_output_reals(call) * first;
    slice.batch = call->batch - first < most ? call->batch - first : most;
    slice.output = call->output ? call->output + out : NULL;
    slice.output_grad = call->output_grad + out;
    for (int k = 0; k < call->input_count; k++) {
        size_t in = sc_shape_numel(call->input_shape[k]) * first;
        slice.input[k] = call->input[k] ? call->input[k] + in : NULL;
        slice.input_grad[k] = call->input_grad[k] ? call->input_grad[k] + in : NULL;
    }
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++)
        slice.param_grad[slot] = NULL;
    return slice;
}
