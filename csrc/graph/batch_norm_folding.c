#include "graph/batch_norm_folding.h"

#include "base/memory.h"
#include "graph/plan.h"

#include <stdio.h>
#include <string.h>

enum { WEIGHT, BIAS };

/* Whether another node reads one of this node's parameters (or other rows of it), which folding would change for it. */
static bool shares_parameters(const sc_graph *graph, const sc_node *node) {
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++) {
        size_t own = 0;
        for (int other = 0; other < SC_MAX_PARAMS && node->param[slot].present; other++)
            own += node->param[other].present && node->param[other].parameter == node->param[slot].parameter;
        if (node->param[slot].present && graph->parameters[node->param[slot].parameter].uses != own)
            return true;
    }
    return false;
}

/* Whether the name of the bias that folding would give the node is that of another parameter. */
static bool lacks_bias_name(const sc_graph *graph, const sc_node *node) {
    char name[256]; /* names of nodes have 200 characters at most */
    snprintf(name, sizeof name, "%s.bias", node->name);
    return !node->param[BIAS].present && sc_graph_find_parameter(graph, name) != SC_NOT_FOUND;
}

/* The norm that can be folded into node i, or SC_NOT_FOUND. */
static ptrdiff_t norm_after(const sc_graph *graph, size_t i) {
    const sc_node *node = &graph->nodes[i];
    if (node->op->linearity != SC_LINEARITY_WEIGHTED || node->op->channels != SC_CHANNELS_PRODUCE)
        return SC_NOT_FOUND;
    ptrdiff_t next = sc_graph_only_consumer(graph, i);
    if (next == SC_NOT_FOUND || !graph->nodes[next].op->channel_affine || shares_parameters(graph, node) ||
        lacks_bias_name(graph, node))
        return SC_NOT_FOUND;
    return next;
}

static void scale_row(sc_real *restrict to, const sc_real *restrict from, double scale, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = (sc_real)((double)from[i] * scale);
}

static void fold_values(sc_real *weight, sc_real *bias, const sc_real *old_weight, const sc_real *old_bias,
                        const double *scale, const double *shift, size_t units, size_t per_unit) {
#pragma omp parallel for schedule(static) if (units * per_unit > 65536)
    for (size_t u = 0; u < units; u++) {
        scale_row(weight + u * per_unit, old_weight + u * per_unit, scale[u], per_unit);
        bias[u] = (sc_real)((old_bias ? (double)old_bias[u] : 0) * scale[u] + shift[u]);
    }
}

/* Whether the node has all rows of the parameter in that slot; others must be kept as they are. */
static bool is_whole(const sc_graph *graph, const sc_param_ref *ref) {
    return sc_shape_equal(&ref->shape, &graph->parameters[ref->parameter].value.shape);
}

/* Adds node i of `graph` to `out` under the same parameter names, and with the same values. With `fresh`, weight and
 * bias are about to be written and hold nothing yet, unless they are part of more. */
static sc_status copy_node(sc_graph *out, const sc_graph *graph, size_t i, const unsigned char *attrs, bool fresh,
                           const size_t *moved, sc_error *error) {
    const sc_node *node = &graph->nodes[i];
    size_t inputs[SC_MAX_INPUTS];
    sc_param_binding bindings[SC_MAX_PARAMS] = {0};
    for (int k = 0; k < node->input_count; k++)
        inputs[k] = moved[node->input[k]];
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++) {
        const sc_param_ref *ref = &node->param[slot];
        if (!ref->present)
            continue;
        const sc_parameter *parameter = &graph->parameters[ref->parameter];
        bindings[slot] = (sc_param_binding){
            .name = parameter->name,
            .first_row = ref->first_row,
            .total_rows = parameter->value.shape.ndim ? parameter->value.shape.size[0] : 0,
        };
    }
    SC_TRY(sc_graph_add(out, node->op, node->name, attrs, node->input_count, inputs, bindings, error));
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++)
        if (node->param[slot].present && !(fresh && slot <= BIAS && is_whole(graph, &node->param[slot]))) {
            const sc_node *added = &out->nodes[out->node_count - 1];
            SC_TRY(sc_graph_set_parameter(out, added->param[slot].parameter,
                                          &graph->parameters[node->param[slot].parameter].value, error));
        }
    return SC_OK;
}

static sc_status fold_node(sc_graph *out, const sc_graph *graph, size_t i, size_t norm, const size_t *moved,
                           sc_error *error) {
    const sc_node *node = &graph->nodes[i];
    size_t units = node->param[WEIGHT].shape.size[0];
    size_t per_unit = sc_shape_numel(&node->param[WEIGHT].shape) / units;
    _Alignas(16) unsigned char attrs[SC_MAX_ATTRS_SIZE];
    void *memory;
    memcpy(attrs, node->attrs, sizeof node->attrs);
    sc_op_set_flag(node->op, attrs, "bias", true);
    SC_TRY(copy_node(out, graph, i, attrs, true, moved, error));
    SC_TRY(sc_memory_alloc(&memory, 2 * units, sizeof(double), error));
    double *scale = memory, *shift = scale + units;
    sc_op_call call;
    sc_plan_describe_call(&call, graph, &graph->nodes[norm], 1, false);
    graph->nodes[norm].op->channel_affine(&call, scale, shift);
    const sc_node *added = &out->nodes[out->node_count - 1];
    sc_status status = sc_graph_own_parameter(out, added->param[WEIGHT].parameter, error);
    if (status == SC_OK)
        status = sc_graph_own_parameter(out, added->param[BIAS].parameter, error);
    if (status == SC_OK) {
        sc_tensor weight = sc_node_param(out, added, WEIGHT), bias = sc_node_param(out, added, BIAS);
        sc_tensor old_weight = sc_node_param(graph, node, WEIGHT), old_bias = sc_node_param(graph, node, BIAS);
        fold_values(sc_tensor_real(&weight), sc_tensor_real(&bias), sc_tensor_real(&old_weight),
                    old_bias.storage ? sc_tensor_real(&old_bias) : NULL, scale, shift, units, per_unit);
    }
    sc_memory_free(memory);
    return status;
}

static sc_status fold_all(sc_graph *out, const sc_graph *graph, size_t *moved, sc_error *error) {
    for (size_t i = 0; i < graph->node_count; i++)
        moved[i] = SIZE_MAX;
    for (size_t i = 0; i < graph->node_count; i++) {
        if (moved[i] != SIZE_MAX)
            continue; /* a norm that went into its layer */
        ptrdiff_t norm = norm_after(graph, i);
        if (norm == SC_NOT_FOUND)
            SC_TRY(copy_node(out, graph, i, graph->nodes[i].attrs, false, moved, error));
        else
            SC_TRY(fold_node(out, graph, i, (size_t)norm, moved, error));
        moved[i] = out->node_count - 1;
        if (norm != SC_NOT_FOUND)
            moved[norm] = out->node_count - 1;
    }
    if (graph->node_count > 0)
        out->output = moved[graph->output];
    return SC_OK;
}

sc_status sc_graph_fold_batch_norm(sc_graph **out, const sc_graph *graph, sc_error *error) {
    void *moved;
    *out = NULL;
    SC_TRY(sc_memory_alloc(&moved, graph->node_count + 1, sizeof(size_t), error));
    sc_graph *folded = NULL;
    sc_status status = sc_graph_create(&folded, error);
    if (status == SC_OK)
        status = fold_all(folded, graph, moved, error);
    sc_memory_free(moved);
    if (status != SC_OK)
        sc_graph_release(folded);
    else
        *out = folded;
    return status;
}
