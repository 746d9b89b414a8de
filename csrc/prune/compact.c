#include "prune/compact.h"

#include "base/memory.h"
#include "graph/plan.h"
#include "prune/narrow.h"

#include <stdio.h>
#include <string.h>

#define NOWHERE SIZE_MAX

/* One compaction: the graph, what is known of it, and where its nodes are in the new one. */
typedef struct compaction {
    const sc_graph *graph;
    const sc_unit_use *uses;
    const sc_narrow_binding *bindings;
    sc_graph *out;
    size_t *moved; /* node -> node of out, NOWHERE */
} compaction;

static size_t last_added(const compaction *c) {
    return c->out->node_count - 1;
}

/* ---- what is fixed as a whole ---- */

/* The shape with so many units. */
static sc_shape narrowed_shape(const sc_shape *shape, size_t units) {
    bool last_axis;
    sc_shape narrowed = *shape;
    sc_shape_units(shape, &last_axis);
    narrowed.size[last_axis ? 1 : 0] = units;
    return narrowed;
}

/* A `parameter` of that shape, zero. */
static sc_status add_parameter(compaction *c, const char *name, const sc_shape *shape, const sc_param_binding *binding,
                               sc_error *error) {
    _Alignas(16) unsigned char attrs[SC_MAX_ATTRS_SIZE] = {0};
    const sc_op *op = sc_op_find("parameter");
    for (const sc_attr *attr = op->attrs; attr->name; attr++)
        if (attr->kind == SC_ATTR_SHAPE)
            memcpy(attrs + attr->offset, shape, sizeof *shape);
    return sc_graph_add(c->out, op, name, attrs, 0, NULL, binding, error);
}

static sc_status add_constant(compaction *c, size_t i, sc_error *error) {
    const sc_unit_use *use = &c->uses[i];
    sc_shape shape = narrowed_shape(&c->graph->nodes[i].shape, use->kept_count);
    SC_TRY(add_parameter(c, c->graph->nodes[i].name, &shape, NULL, error));
    sc_tensor value = sc_node_param(c->out, &c->out->nodes[last_added(c)], 0);
    sc_real *to = sc_tensor_real(&value);
    for (size_t k = 0, all = use->units * use->positions; k < all; k++)
        if (use->kept[use->last_axis ? k % use->units : k / use->positions])
            *to++ = use->value[k];
    c->moved[i] = last_added(c);
    return SC_OK;
}

/* ---- sums ---- */

/* An input of a sum: the places, in the narrowed output, of the units that it has. */
typedef struct summand {
    size_t node;    /* of the old graph */
    size_t *places; /* [count], SIZE_MAX: nowhere */
    size_t count;
    bool whole; /* it has all units of the output, in order */
} summand;

/* The place of each kept unit among those that are kept. */
static sc_status number_kept(size_t **out, const sc_unit_use *use, sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, use->units, sizeof **out, error));
    *out = memory;
    for (size_t u = 0, place = 0; u < use->units; u++)
        (*out)[u] = use->kept[u] ? place++ : NOWHERE;
    return SC_OK;
}

static sc_status find_summand(summand *out, const compaction *c, size_t i, int k, const size_t *numbers,
                              sc_error *error) {
    const sc_unit_use *use = &c->uses[i], *in = &c->uses[c->graph->nodes[i].input[k]];
    size_t spread;
    out->node = c->graph->nodes[i].input[k];
    SC_TRY(sc_unit_targets(&out->places, &spread, c->graph, &c->graph->nodes[i], k, error));
    for (size_t u = 0; u < in->units; u++)
        if (in->kept[u]) {
            size_t target = out->places[u];
            out->places[out->count++] = target < use->units ? numbers[target] : NOWHERE;
        }
    out->whole = out->count == use->kept_count;
    for (size_t p = 0; p < out->count; p++)
        out->whole = out->whole && out->places[p] == p;
    return SC_OK;
}

static void write_index(sc_graph *out, const summand *list, int count, int first) {
    sc_tensor index = sc_node_param(out, &out->nodes[out->node_count - 1], 0);
    int64_t *to = sc_tensor_int64(&index);
    for (int k = first; k < count; k++)
        for (size_t p = 0; p < list[k].count; p++)
            *to++ = list[k].places[p] == NOWHERE ? 0 : (int64_t)list[k].places[p] + 1;
}

/* An input with a single unit that is nowhere, for one that has all units in another order: the first must not. */
static sc_status add_nothing(compaction *c, size_t i, sc_error *error) {
    char name[256];
    sc_shape shape = narrowed_shape(&c->graph->nodes[i].shape, 1);
    snprintf(name, sizeof name, "%.200s.zero", c->graph->nodes[i].name);
    return add_parameter(c, name, &shape, NULL, error);
}

static sc_status add_index_add(compaction *c, size_t i, const summand *list, int count, sc_error *error) {
    _Alignas(16) unsigned char attrs[SC_MAX_ATTRS_SIZE] = {0};
    const sc_op *op = sc_op_find("index_add");
    size_t inputs[SC_MAX_INPUTS], units = c->uses[i].kept_count;
    summand ordered[SC_MAX_INPUTS + 1];
    int taken = 0;
    for (int round = 0; round < 2; round++) /* a whole one first */
        for (int k = 0; k < count; k++)
            if (list[k].whole == (round == 0))
                ordered[taken++] = list[k];
    bool permuted = !ordered[0].whole && ordered[0].count == units;
    for (int k = 1; permuted && k < count; k++)
        if (ordered[k].count != units) {
            summand other = ordered[k];
            ordered[k] = ordered[0], ordered[0] = other;
            permuted = false;
        }
    size_t nowhere = NOWHERE;
    if (permuted) {
        if (count == SC_MAX_INPUTS)
            return sc_error_set(error, SC_ERROR_ARGUMENT, "'%s': expected fewer than %d inputs in other orders",
                                c->graph->nodes[i].name, SC_MAX_INPUTS);
        SC_TRY(add_nothing(c, i, error));
        memmove(ordered + 1, ordered, (size_t)count++ * sizeof *ordered);
        ordered[0] = (summand){.places = &nowhere, .count = 1};
        inputs[0] = last_added(c);
    }
    for (int k = permuted ? 1 : 0; k < count; k++)
        inputs[k] = c->moved[ordered[k].node];
    for (const sc_attr *attr = op->attrs; attr->name; attr++)
        if (strcmp(attr->name, "units") == 0)
            memcpy(attrs + attr->offset, &units, sizeof units);
    SC_TRY(sc_graph_add(c->out, op, c->graph->nodes[i].name, attrs, count, inputs, NULL, error));
    write_index(c->out, ordered, count, ordered[0].count == units ? 1 : 0);
    return SC_OK;
}

static sc_status add_summands(compaction *c, size_t i, const summand *list, int count, sc_error *error) {
    size_t inputs[SC_MAX_INPUTS];
    bool whole = true;
    for (int k = 0; k < count; k++) {
        whole = whole && list[k].whole;
        inputs[k] = c->moved[list[k].node];
    }
    if (whole && count == 1) { /* nothing is added any more */
        c->moved[i] = inputs[0];
        return SC_OK;
    }
    if (whole)
        SC_TRY(sc_graph_add(c->out, sc_op_find("add"), c->graph->nodes[i].name, NULL, count, inputs, NULL, error));
    else
        SC_TRY(add_index_add(c, i, list, count, error));
    c->moved[i] = last_added(c);
    return SC_OK;
}

static sc_status add_sum(compaction *c, size_t i, sc_error *error) {
    summand list[SC_MAX_INPUTS] = {0};
    const sc_node *node = &c->graph->nodes[i];
    size_t *numbers;
    int count = 0;
    SC_TRY(number_kept(&numbers, &c->uses[i], error));
    sc_status status = SC_OK;
    for (int k = 0; k < node->input_count && status == SC_OK; k++)
        if (c->uses[node->input[k]].kept_count > 0)
            status = find_summand(&list[count++], c, i, k, numbers, error);
    if (status == SC_OK)
        status = add_summands(c, i, list, count, error);
    for (int k = 0; k < count; k++)
        sc_memory_free(list[k].places);
    sc_memory_free(numbers);
    return status;
}

/* ---- everything else ---- */

static void narrow_attrs(unsigned char *attrs, const compaction *c, size_t i) {
    const sc_node *node = &c->graph->nodes[i];
    const bool *inputs[SC_MAX_INPUTS];
    sc_op_call call;
    memcpy(attrs, node->attrs, sizeof node->attrs);
    if (sc_narrow_needs_bias(c->graph, i, c->uses))
        sc_op_set_flag(node->op, attrs, "bias", true);
    for (int k = 0; k < node->input_count; k++)
        inputs[k] = c->uses[node->input[k]].kept;
    sc_plan_describe_call(&call, c->graph, node, 1, false);
    if (node->op->narrow)
        node->op->narrow(attrs, &call, c->uses[i].kept, inputs);
}

static void bindings_of(sc_param_binding *out, const compaction *c, size_t i) {
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++) {
        const sc_narrow_binding *binding = &c->bindings[i * SC_MAX_PARAMS + (size_t)slot];
        out[slot] = (sc_param_binding){
            .name = binding->name, .first_row = binding->first_row, .total_rows = binding->total_rows};
    }
}

/* Inputs in the compact graph. Those of which nothing is left are none: concat joins the others. */
static int inputs_of(size_t *inputs, const compaction *c, const sc_node *node) {
    int count = 0;
    for (int k = 0; k < node->input_count; k++)
        if (c->uses[node->input[k]].kept_count > 0)
            inputs[count++] = c->moved[node->input[k]];
    return count;
}

static sc_status add_narrowed(compaction *c, size_t i, sc_error *error) {
    const sc_node *node = &c->graph->nodes[i];
    _Alignas(16) unsigned char attrs[SC_MAX_ATTRS_SIZE];
    size_t inputs[SC_MAX_INPUTS];
    sc_param_binding bindings[SC_MAX_PARAMS];
    int count = inputs_of(inputs, c, node);
    bindings_of(bindings, c, i);
    if (node->op->channels == SC_CHANNELS_MOVE && count == 1 && node->input_count > 1) {
        c->moved[i] = inputs[0]; /* joined with nothing */
        return SC_OK;
    }
    if (node->op->linearity == SC_LINEARITY_SOURCE && node->param[0].present) {
        sc_shape shape = narrowed_shape(&node->shape, c->uses[i].kept_count);
        SC_TRY(add_parameter(c, node->name, &shape, bindings, error));
    } else {
        narrow_attrs(attrs, c, i);
        SC_TRY(sc_graph_add(c->out, node->op, node->name, attrs, count, inputs, bindings, error));
    }
    c->moved[i] = last_added(c);
    return sc_narrow_values(c->out, c->moved[i], c->graph, i, c->uses, error);
}

static sc_status add_all(compaction *c, sc_error *error) {
    for (size_t i = 0; i < c->graph->node_count; i++) {
        const sc_unit_use *use = &c->uses[i];
        c->moved[i] = NOWHERE;
        if (use->kept_count == 0 && !sc_node_is_input(&c->graph->nodes[i]))
            continue;
        if (use->constant)
            SC_TRY(add_constant(c, i, error));
        else if (c->graph->nodes[i].op->sums_inputs)
            SC_TRY(add_sum(c, i, error));
        else
            SC_TRY(add_narrowed(c, i, error));
    }
    return sc_graph_set_output(c->out, c->moved[c->graph->output], error);
}

sc_status sc_graph_compact(sc_graph **out, sc_graph *graph, sc_error *error) {
    void *moved = NULL;
    sc_unit_use *uses;
    sc_narrow_binding *bindings = NULL;
    compaction c = {.graph = graph};
    *out = NULL;
    SC_TRY(sc_unit_use_find(&uses, graph, error));
    sc_status status = sc_narrow_bindings(&bindings, graph, uses, error);
    if (status == SC_OK)
        status = sc_memory_alloc(&moved, graph->node_count + 1, sizeof(size_t), error);
    if (status == SC_OK)
        status = sc_graph_create(&c.out, error);
    if (status == SC_OK) {
        c.uses = uses;
        c.bindings = bindings;
        c.moved = moved;
        status = add_all(&c, error);
    }
    if (status == SC_OK)
        *out = c.out;
    else
        sc_graph_release(c.out);
    sc_memory_free(moved);
    sc_memory_free(bindings);
    sc_unit_use_free(uses, graph);
    return status;
}
