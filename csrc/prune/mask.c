#include "prune/mask.h"

#include "base/memory.h"
#include "graph/unit_walk.h"

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

/* Where ranges go; without `ranges` they are only counted. */
typedef struct range_list {
    sc_param_range *ranges;
    size_t count;
} range_list;

/* The rows of those units, which are found at `places`, in the part of a parameter that the node's slot uses;
 * neighbours are one range. */
static void add_rows(range_list *out, const sc_param_ref *ref, const sc_unit_list *list, const sc_unit_map *places) {
    size_t row = sc_shape_numel(&ref->shape) / ref->shape.size[0];
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0 && places->stride == 1 && list->units[i] == list->units[i - 1] + 1) {
            if (out->ranges)
                out->ranges[out->count - 1].count += row;
            continue;
        }
        size_t place = places->first + list->units[i] * places->stride;
        if (out->ranges)
            out->ranges[out->count] =
                (sc_param_range){.parameter = ref->parameter, .first = (ref->first_row + place) * row, .count = row};
        out->count++;
    }
}

/* What the node multiplies or adds per unit of its output; running statistics are left out, they do neither on their
 * own. */
static void add_node(range_list *out, const sc_graph *graph, const sc_node *node, const sc_unit_list *list,
                     const sc_unit_map *places) {
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++) {
        const sc_param_ref *ref = &node->param[slot];
        if (ref->present && graph->parameters[ref->parameter].trainable)
            add_rows(out, ref, list, places);
    }
}

/* Whether these are channels of a norm that nothing else contributes to. */
static bool is_own_norm(const sc_graph *graph, const sc_unit_place *place) {
    return graph->nodes[place->node].op->channel_affine && !place->units.shared && !place->units.last_axis &&
           place->units.count == 1;
}

static sc_status add_list(range_list *out, const sc_graph *graph, const sc_unit_list *list, sc_error *error) {
    static const sc_unit_map own = {.stride = 1, .count = 1, .step = 1};
    sc_unit_place *places;
    size_t count;
    SC_TRY(sc_unit_walk(&places, &count, graph, list->node, error));
    add_node(out, graph, &graph->nodes[list->node], list, &own);
    for (size_t i = 0; i < count; i++)
        if (is_own_norm(graph, &places[i]))
            add_node(out, graph, &graph->nodes[places[i].node], list, &places[i].units);
    sc_memory_free(places);
    return SC_OK;
}

sc_status sc_mask_ranges(sc_param_range **out, size_t *count, const sc_graph *graph, const sc_unit_list *lists,
                         size_t list_count, sc_error *error) {
    *out = NULL;
    range_list found = {0};
    for (size_t i = 0; i < list_count; i++) {
        SC_TRY(check_list(graph, &lists[i], error));
        SC_TRY(add_list(&found, graph, &lists[i], error));
    }
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, found.count + 1, sizeof *found.ranges, error));
    found = (range_list){.ranges = memory};
    sc_status status = SC_OK;
    for (size_t i = 0; i < list_count && status == SC_OK; i++)
        status = add_list(&found, graph, &lists[i], error);
    if (status != SC_OK) {
        sc_memory_free(memory);
        return status;
    }
    *out = found.ranges;
    *count = found.count;
    return SC_OK;
}

static sc_status clear(sc_graph *graph, const sc_param_range *ranges, size_t count, sc_error *error) {
    for (size_t i = 0; i < count; i++) {
        SC_TRY(sc_graph_own_parameter(graph, ranges[i].parameter, error));
        sc_real *data = sc_tensor_real(&graph->parameters[ranges[i].parameter].value);
        memset(data + ranges[i].first, 0, ranges[i].count * sizeof *data);
    }
    return SC_OK;
}

sc_status sc_graph_mask(sc_graph **out, const sc_graph *graph, const sc_unit_list *lists, size_t count,
                        sc_error *error) {
    sc_param_range *ranges;
    size_t range_count;
    *out = NULL;
    SC_TRY(sc_mask_ranges(&ranges, &range_count, graph, lists, count, error));
    sc_graph *masked = NULL;
    sc_status status = sc_graph_copy(&masked, graph, error);
    if (status == SC_OK)
        status = clear(masked, ranges, range_count, error);
    sc_memory_free(ranges);
    if (status == SC_OK)
        *out = masked;
    else
        sc_graph_release(masked);
    return status;
}
