#include "train/ema.h"

#include "base/memory.h"
#include "base/vector.h"

#include <string.h>

enum { CHUNK = 16384 };

sc_status sc_ema_create(sc_ema **out, sc_graph *graph, const bool *fixed, sc_error *error) {
    void *block, *values = NULL, *flags = NULL;
    SC_TRY(sc_memory_calloc(&block, 1, sizeof(sc_ema), error));
    sc_ema *ema = block;
    ema->graph = sc_graph_share(graph);
    sc_status status = sc_memory_calloc(&values, graph->parameter_count + 1, sizeof(sc_tensor), error);
    ema->values = values;
    if (status == SC_OK)
        status = sc_memory_calloc(&flags, graph->parameter_count + 1, sizeof(bool), error);
    ema->fixed = flags;
    if (status != SC_OK) {
        sc_ema_destroy(ema);
        return status;
    }
    ema->count = graph->parameter_count;
    for (size_t i = 0; i < ema->count; i++) {
        ema->values[i] = sc_tensor_share(&graph->parameters[i].value);
        ema->fixed[i] = fixed && fixed[i];
    }
    *out = ema;
    return SC_OK;
}

void sc_ema_destroy(sc_ema *ema) {
    if (!ema)
        return;
    for (size_t i = 0; i < ema->count; i++)
        sc_tensor_release(&ema->values[i]);
    sc_memory_free(ema->values);
    sc_memory_free(ema->fixed);
    sc_graph_release(ema->graph);
    sc_memory_free(ema);
}

static void approach(sc_real *restrict a, const sc_real *restrict x, sc_real share, size_t n) {
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        a[i] += share * (x[i] - a[i]);
}

static void average_real(sc_tensor *value, const sc_tensor *current, double decay) {
    sc_real *a = sc_tensor_real(value);
    const sc_real *x = sc_tensor_real(current);
    const size_t n = sc_tensor_numel(value);
    const sc_real share = (sc_real)(1 - decay);
    if (!(decay > 0)) {
        sc_copy(a, x, n);
        return;
    }
#pragma omp parallel for schedule(static) if (n > CHUNK)
    for (size_t first = 0; first < n; first += CHUNK)
        approach(a + first, x + first, share, n - first < CHUNK ? n - first : CHUNK);
}

sc_status sc_ema_update(sc_ema *ema, double decay, sc_error *error) {
    if (!(decay >= 0 && decay < 1))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "update: decay: expected a number in [0, 1), got %g", decay);
    for (size_t i = 0; i < ema->count; i++) {
        if (!ema->fixed[i])
            SC_TRY(sc_tensor_own(&ema->values[i], error));
    }
    for (size_t i = 0; i < ema->count; i++) {
        const sc_tensor *current = &ema->graph->parameters[i].value;
        if (ema->fixed[i])
            continue;
        if (current->dtype == SC_REAL)
            average_real(&ema->values[i], current, decay);
        else
            memcpy(sc_tensor_data(&ema->values[i]), sc_tensor_data(current),
                   sc_tensor_numel(current) * sc_dtype_size(current->dtype));
    }
    return SC_OK;
}
