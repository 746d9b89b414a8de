#include "prune/mask.h"

#include "base/memory.h"

#include <string.h>

/* How many units a node that produces units has: the rows of its weight. */
static size_t unit_count(const sc_node *node) {
    return node->param[0].shape.size[0];
}

static sc_status check_list(const sc_graph *graph, const sc_unit_list *list, sc_error *error) {
    const sc_node *node = &graph->nodes[list->node];
    if (node->op->channels != SC_CHANNELS_PRODUCE || !node->param[0].present || node->param[0].shape.ndim < 1)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "mask: '%s': expected a node that produces units, got %s",
                            node->name, node->op->name);
    size_t total = unit_count(node);
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, total, sizeof(bool), error));
    bool *seen = memory;
    sc_status status = SC_OK;
    for (size_t i = 0; status == SC_OK && i < list->count; i++) {
        size_t unit = list->units[i];
        if (unit >= total)
            status = sc_error_set(error, SC_ERROR_ARGUMENT, "mask: '%s': expected units in 1..%zu, got %zu", node->name,
                                  total, unit + 1);
        else if (seen[unit])
            status = sc_error_set(error, SC_ERROR_ARGUMENT, "mask: '%s': expected each unit once, got %zu twice",
                                  node->name, unit + 1);
        else
            seen[unit] = true;
    }
    sc_memory_free(memory);
    return status;
}

/* Zeroes the rows of those units in the part of a parameter that the node's slot uses. */
static sc_status clear_rows(sc_graph *graph, const sc_node *node, int slot, const sc_unit_list *list, sc_error *error) {
    SC_TRY(sc_graph_own_parameter(graph, node->param[slot].parameter, error));
    sc_tensor part = sc_node_param(graph, node, slot);
    size_t row = sc_tensor_numel(&part) / part.shape.size[0];
    sc_real *data = sc_tensor_real(&part);
    for (size_t i = 0; i < list->count; i++)
        memset(data + list->units[i] * row, 0, row * sizeof *data);
    return SC_OK;
}

/* Zeroes what the node multiplies or adds per unit; running statistics stay, they do neither on their own. */
static sc_status clear_node(sc_graph *graph, const sc_node *node, const sc_unit_list *list, size_t units,
                            sc_error *error) {
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++) {
        const sc_param_ref *ref = &node->param[slot];
        if (ref->present && graph->parameters[ref->parameter].trainable && ref->shape.ndim >= 1 &&
            ref->shape.size[0] == units)
            SC_TRY(clear_rows(graph, node, slot, list, error));
    }
    return SC_OK;
}

static bool reads(const sc_node *node, size_t input) {
    for (int k = 0; k < node->input_count; k++)
        if (node->input[k] == input)
            return true;
    return false;
}

static sc_status mask_list(sc_graph *graph, const sc_unit_list *list, sc_error *error) {
    const sc_node *node = &graph->nodes[list->node];
    size_t units = unit_count(node);
    SC_TRY(clear_node(graph, node, list, units, error));
    for (size_t i = list->node + 1; i < graph->node_count; i++) {
        const sc_node *next = &graph->nodes[i];
        if (next->op->channel_affine && reads(next, list->node))
            SC_TRY(clear_node(graph, next, list, units, error));
    }
    return SC_OK;
}

sc_status sc_graph_mask(sc_graph **out, const sc_graph *graph, const sc_unit_list *lists, size_t count,
                        sc_error *error) {
    *out = NULL;
    for (size_t i = 0; i < count; i++)
        SC_TRY(check_list(graph, &lists[i], error));
    sc_graph *masked;
    SC_TRY(sc_graph_copy(&masked, graph, error));
    for (size_t i = 0; i < count; i++) {
        sc_status status = lists[i].count ? mask_list(masked, &lists[i], error) : SC_OK;
        if (status != SC_OK) {
            sc_graph_release(masked);
            return status;
        }
    }
    *out = masked;
    return SC_OK;
}
