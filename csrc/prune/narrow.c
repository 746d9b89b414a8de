#include "prune/narrow.h"

#include "base/memory.h"

#include <string.h>

enum { WEIGHT, BIAS };

static bool is_producer(const sc_node *node) {
    return node->op->channels == SC_CHANNELS_PRODUCE;
}

static bool is_source(const sc_node *node) {
    return node->op->linearity == SC_LINEARITY_SOURCE;
}

/* Whether the node is in the compact graph as what it was. */
static bool is_alive(const sc_unit_use *use) {
    return use->kept_count > 0 && !use->constant;
}

/* Whether the parameter in a slot has a row per unit of the output. */
static bool has_unit_rows(const sc_node *node, int slot, const sc_unit_use *use) {
    const sc_param_ref *ref = &node->param[slot];
    bool per_unit = is_producer(node) || node->op->channels == SC_CHANNELS_KEEP;
    return per_unit && ref->shape.ndim > 0 && ref->shape.size[0] == use->units;
}

/* Rows of a use in the compact graph. */
static size_t rows_left(const sc_node *node, int slot, const sc_unit_use *use) {
    const sc_param_ref *ref = &node->param[slot];
    return has_unit_rows(node, slot, use) ? use->kept_count : ref->shape.ndim ? ref->shape.size[0] : 0;
}

/* ---- who keeps a parameter's name ---- */

typedef struct param_use {
    size_t node;
    int slot;
} param_use;

static const sc_param_ref *ref_of(const sc_graph *graph, param_use use) {
    return &graph->nodes[use.node].param[use.slot];
}

static bool flags_equal(const sc_unit_use *a, const sc_unit_use *b) {
    return a->units == b->units && memcmp(a->kept, b->kept, a->units * sizeof *a->kept) == 0;
}

/* Whether two uses of a parameter can go on sharing it. */
static bool fit_together(const sc_graph *graph, const sc_unit_use *uses, param_use a, param_use b) {
    const sc_param_ref *left = ref_of(graph, a), *right = ref_of(graph, b);
    const sc_node *one = &graph->nodes[a.node], *other = &graph->nodes[b.node];
    if (is_producer(one) != is_producer(other) || one->op->channels != other->op->channels)
        return false;
    if (is_producer(one) && left->shape.ndim > 1 && !flags_equal(&uses[one->input[0]], &uses[other->input[0]]))
        return false;
    if (left->first_row == right->first_row && sc_shape_equal(&left->shape, &right->shape)) {
        bool folds = sc_narrow_needs_bias(graph, a.node, uses) || sc_narrow_needs_bias(graph, b.node, uses);
        return !folds && flags_equal(&uses[a.node], &uses[b.node]);
    }
    size_t left_rows = left->shape.ndim ? left->shape.size[0] : 0;
    size_t right_rows = right->shape.ndim ? right->shape.size[0] : 0;
    return left->first_row + left_rows <= right->first_row || right->first_row + right_rows <= left->first_row;
}

/* Rows that the uses before this one have, each range once. */
static size_t rows_before(const sc_graph *graph, const sc_unit_use *uses, const param_use *list, size_t count,
                          size_t first_row) {
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        const sc_param_ref *ref = ref_of(graph, list[i]);
        bool seen = false;
        for (size_t k = 0; k < i; k++)
            seen = seen || ref_of(graph, list[k])->first_row == ref->first_row;
        if (!seen && ref->first_row < first_row)
            rows += rows_left(&graph->nodes[list[i].node], list[i].slot, &uses[list[i].node]);
    }
    return rows;
}

static void bind_uses(sc_narrow_binding *out, const sc_graph *graph, const sc_unit_use *uses, const param_use *list,
                      size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (!fit_together(graph, uses, list[i], list[k]))
                return; /* all of them get their own */
    for (size_t i = 0; i < count; i++) {
        const sc_param_ref *ref = ref_of(graph, list[i]);
        out[list[i].node * SC_MAX_PARAMS + (size_t)list[i].slot] = (sc_narrow_binding){
            .name = graph->parameters[ref->parameter].name,
            .first_row = rows_before(graph, uses, list, count, ref->first_row),
            .total_rows = rows_before(graph, uses, list, count, SIZE_MAX),
        };
    }
}

/* All uses in the compact graph, by parameter: those of parameter p are list[first[p]] .. list[first[p + 1] - 1]. */
static void list_uses(param_use *list, size_t *first, const sc_graph *graph, const sc_unit_use *uses) {
    memset(first, 0, (graph->parameter_count + 2) * sizeof *first);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < graph->node_count; i++)
            for (int slot = 0; slot < SC_MAX_PARAMS; slot++) {
                const sc_param_ref *ref = &graph->nodes[i].param[slot];
                if (!ref->present || !is_alive(&uses[i]))
                    continue;
                if (round == 0)
                    first[ref->parameter + 2]++;
                else
                    list[first[ref->parameter + 1]++] = (param_use){i, slot};
            }
        for (size_t p = 0; round == 0 && p < graph->parameter_count; p++)
            first[p + 2] += first[p + 1];
    }
}

sc_status sc_narrow_bindings(sc_narrow_binding **out, const sc_graph *graph, const sc_unit_use *uses, sc_error *error) {
    void *bindings, *list = NULL, *first = NULL;
    size_t slots = (graph->node_count + 1) * SC_MAX_PARAMS;
    SC_TRY(sc_memory_calloc(&bindings, slots, sizeof **out, error));
    sc_status status = sc_memory_alloc(&list, slots, sizeof(param_use), error);
    if (status == SC_OK)
        status = sc_memory_alloc(&first, graph->parameter_count + 2, sizeof(size_t), error);
    if (status == SC_OK) {
        const size_t *starts = first;
        list_uses(list, first, graph, uses);
        for (size_t p = 0; p < graph->parameter_count; p++)
            bind_uses(bindings, graph, uses, (param_use *)list + starts[p], starts[p + 1] - starts[p]);
    }
    sc_memory_free(first);
    sc_memory_free(list);
    if (status == SC_OK)
        *out = bindings;
    else
        sc_memory_free(bindings);
    return status;
}

/* ---- values ---- */

/* Whether column c is left out because it is fixed, although it is not zero. */
static bool is_folded(const sc_unit_use *in, size_t c) {
    return in->fixed[c] && !in->kept[c] && !in->zero[c];
}

bool sc_narrow_needs_bias(const sc_graph *graph, size_t node, const sc_unit_use *uses) {
    const sc_node *from = &graph->nodes[node];
    if (!is_producer(from) || !sc_node_takes_bias(from))
        return false;
    const sc_unit_use *in = &uses[from->input[0]];
    if (in->units != from->param[WEIGHT].shape.size[1])
        return false; /* groups are whole */
    for (size_t c = 0; c < in->units; c++)
        if (is_folded(in, c))
            return true;
    return false;
}

static void narrow_weight(sc_real *to, const sc_real *from, const sc_param_ref *ref, const sc_unit_use *out,
                          const sc_unit_use *in) {
    size_t columns = ref->shape.ndim > 1 ? ref->shape.size[1] : 1;
    size_t taps = sc_shape_numel(&ref->shape) / (ref->shape.size[0] * columns);
    bool whole_groups = in->units != columns; /* columns of a group are all kept */
    for (size_t u = 0; u < out->units; u++)
        for (size_t c = 0; out->kept[u] && c < columns; c++)
            if (whole_groups || in->kept[c]) {
                memcpy(to, from + (u * columns + c) * taps, taps * sizeof *to);
                to += taps;
            }
}

static void narrow_bias(sc_real *to, const sc_real *bias, const sc_real *weight, const sc_param_ref *ref,
                        const sc_unit_use *out, const sc_unit_use *in, bool folds) {
    size_t columns = ref->shape.size[1];
    size_t taps = sc_shape_numel(&ref->shape) / (ref->shape.size[0] * columns);
    for (size_t u = 0; u < out->units; u++) {
        double sum = bias ? (double)bias[u] : 0;
        if (!out->kept[u])
            continue;
        for (size_t c = 0; folds && c < columns; c++)
            for (size_t i = 0; is_folded(in, c) && i < taps; i++)
                sum += (double)weight[(u * columns + c) * taps + i] * (double)sc_unit_use_value(in, c, 0);
        *to++ = (sc_real)sum;
    }
}

/* Rows of elements of any type. */
static void narrow_rows(char *to, const char *from, size_t row_bytes, const bool *kept, size_t count) {
    for (size_t u = 0; u < count; u++)
        if (kept[u]) {
            memcpy(to, from + u * row_bytes, row_bytes);
            to += row_bytes;
        }
}

static void narrow_source(sc_real *to, const sc_real *from, const sc_unit_use *use) {
    for (size_t i = 0, all = use->units * use->positions; i < all; i++)
        if (use->kept[use->last_axis ? i % use->units : i / use->positions])
            *to++ = from[i];
}

static bool all_kept(const sc_unit_use *use) {
    return use->kept_count == use->units;
}

/* Whether the parameter of a slot stays as it is, so that the storage can be shared. */
static bool is_untouched(const sc_graph *graph, const sc_node *node, int slot, const sc_unit_use *uses,
                         const sc_unit_use *use) {
    if (!is_source(node) && !has_unit_rows(node, slot, use))
        return true;
    if (is_producer(node) && slot == WEIGHT && !all_kept(&uses[node->input[0]]))
        return false;
    if (is_producer(node) && slot == BIAS && sc_narrow_needs_bias(graph, (size_t)(node - graph->nodes), uses))
        return false;
    return all_kept(use);
}

static void write_slot(const sc_tensor *to, const sc_tensor *from, const sc_graph *graph, const sc_node *node, int slot,
                       const sc_unit_use *uses) {
    size_t index = (size_t)(node - graph->nodes);
    const sc_unit_use *use = &uses[index];
    sc_tensor weight = sc_node_param(graph, node, WEIGHT);
    if (is_source(node))
        narrow_source(sc_tensor_real(to), sc_tensor_real(from), use);
    else if (is_producer(node) && slot == WEIGHT)
        narrow_weight(sc_tensor_real(to), sc_tensor_real(from), &node->param[slot], use, &uses[node->input[0]]);
    else if (is_producer(node) && slot == BIAS)
        narrow_bias(sc_tensor_real(to), from->storage ? sc_tensor_real(from) : NULL, sc_tensor_real(&weight),
                    &node->param[WEIGHT], use, &uses[node->input[0]], sc_narrow_needs_bias(graph, index, uses));
    else if (has_unit_rows(node, slot, use))
        narrow_rows(sc_tensor_data(to), sc_tensor_data(from),
                    sc_tensor_numel(from) / use->units * sc_dtype_size(from->dtype), use->kept, use->units);
    else
        memcpy(sc_tensor_data(to), sc_tensor_data(from), sc_tensor_numel(from) * sc_dtype_size(from->dtype));
}

sc_status sc_narrow_values(sc_graph *compact, size_t compact_node, const sc_graph *graph, size_t node,
                           const sc_unit_use *uses, sc_error *error) {
    const sc_node *from = &graph->nodes[node], *to = &compact->nodes[compact_node];
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++) {
        if (!to->param[slot].present)
            continue;
        size_t parameter = to->param[slot].parameter;
        sc_tensor old = sc_node_param(graph, from, slot);
        const sc_tensor *whole =
            from->param[slot].present ? &graph->parameters[from->param[slot].parameter].value : NULL;
        if (whole && is_untouched(graph, from, slot, uses, &uses[node]) &&
            sc_shape_equal(&whole->shape, &compact->parameters[parameter].value.shape)) {
            SC_TRY(sc_graph_set_parameter(compact, parameter, whole, error));
            continue;
        }
        SC_TRY(sc_graph_own_parameter(compact, parameter, error));
        sc_tensor part = sc_node_param(compact, to, slot);
        write_slot(&part, &old, graph, from, slot, uses);
    }
    return SC_OK;
}
