#include "prune/unit_use.h"

#include "base/memory.h"
#include "graph/executor.h"

#include <string.h>

size_t sc_shape_units(const sc_shape *shape, bool *last_axis) {
    *last_axis = shape->ndim == 2;
    return shape->ndim ? shape->size[*last_axis ? 1 : 0] : 1;
}

sc_real sc_unit_use_value(const sc_unit_use *use, size_t unit, size_t position) {
    return use->value[use->last_axis ? position * use->units + unit : unit * use->positions + position];
}

bool sc_node_takes_bias(const sc_node *node) {
    if (node->op->channels != SC_CHANNELS_PRODUCE)
        return false;
    for (const sc_attr *attr = node->op->attrs; attr && attr->name; attr++)
        if (attr->kind == SC_ATTR_PAIR && strcmp(attr->name, "padding") == 0) {
            size_t pair[2];
            memcpy(pair, node->attrs + attr->offset, sizeof pair);
            if (pair[0] || pair[1])
                return false;
        }
    return true;
}

/* ---- where units go ---- */

static void call_of(sc_op_call *call, const sc_graph *graph, const sc_node *node) {
    sc_plan_describe_call(call, graph, node, 1, false);
}

static void fill_moved(size_t *targets, size_t count, const sc_graph *graph, const sc_node *node, int input,
                       size_t units) {
    const sc_shape *shapes[SC_MAX_INPUTS];
    bool last_axis;
    for (int k = 0; k < node->input_count; k++)
        shapes[k] = &graph->nodes[node->input[k]].shape;
    sc_shape_units(shapes[input], &last_axis);
    sc_unit_map map = {.stride = 1, .count = 1, .step = 1, .last_axis = last_axis};
    node->op->move_units(&map, shapes, input);
    for (size_t u = 0; u < units; u++)
        for (size_t i = 0; i < count; i++)
            targets[u * count + i] = map.first + u * map.stride + i * map.step;
}

sc_status sc_unit_targets(size_t **targets, size_t *count, const sc_graph *graph, const sc_node *node, int input,
                          sc_error *error) {
    bool last_axis;
    const sc_shape *in = &graph->nodes[node->input[input]].shape;
    size_t units = sc_shape_units(in, &last_axis), outputs = sc_shape_units(&node->shape, &last_axis);
    void *memory;
    /* a channel becomes a run of features when maps are flattened; otherwise a unit has one place */
    *count = node->op->move_units && node->shape.ndim == 1 && in->ndim > 1 ? outputs / units : 1;
    SC_TRY(sc_memory_alloc(&memory, units * *count, sizeof **targets, error));
    *targets = memory;
    sc_op_call call;
    call_of(&call, graph, node);
    if (node->op->unit_targets)
        node->op->unit_targets(*targets, &call, input);
    else if (node->op->move_units)
        fill_moved(*targets, *count, graph, node, input, units);
    else
        for (size_t u = 0; u < units; u++)
            (*targets)[u] = u;
    return SC_OK;
}

/* ---- facts ---- */

static sc_unit_facts facts_of(const sc_unit_use *use) {
    return (sc_unit_facts){.count = use->units,
                           .fixed = use->fixed,
                           .zero = use->zero,
                           .uniform = use->uniform,
                           .normalised = use->normalised};
}

static bool all_set(const bool *flags, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!flags[i])
            return false;
    return true;
}

static void set_all(bool *flags, size_t count, bool value) {
    for (size_t i = 0; i < count; i++)
        flags[i] = value;
}

/* The weights of a producer: [units x columns of a group x taps]. */
typedef struct producer {
    const sc_real *weight;
    size_t units, columns, taps, groups;
} producer;

static producer producer_of(const sc_graph *graph, const sc_node *node, size_t inputs) {
    sc_tensor weight = sc_node_param(graph, node, 0);
    producer p = {.weight = sc_tensor_real(&weight), .units = weight.shape.size[0], .columns = weight.shape.size[1]};
    p.taps = sc_shape_numel(&weight.shape) / (p.units * p.columns);
    p.groups = inputs / p.columns;
    return p;
}

static size_t first_input(const producer *p, size_t unit) {
    return unit / (p->units / p->groups) * p->columns;
}

/* Whether a unit reads a column of its group. */
static bool reads(const producer *p, size_t unit, size_t column) {
    const sc_real *taps = p->weight + (unit * p->columns + column) * p->taps;
    for (size_t i = 0; i < p->taps; i++)
        if (taps[i] != 0)
            return true;
    return false;
}

static void find_fixed_of_producer(bool *fixed, const sc_graph *graph, const sc_node *node, const sc_unit_use *in) {
    producer p = producer_of(graph, node, in->units);
#pragma omp parallel for schedule(static)
    for (size_t u = 0; u < p.units; u++) {
        fixed[u] = true;
        for (size_t c = 0; c < p.columns && fixed[u]; c++)
            fixed[u] = in->fixed[first_input(&p, u) + c] || !reads(&p, u, c);
    }
}

/* A unit is fixed when all that arrives at its place is. */
static sc_status find_fixed_of_places(sc_unit_use *uses, const sc_graph *graph, size_t i, sc_error *error) {
    const sc_node *node = &graph->nodes[i];
    set_all(uses[i].fixed, uses[i].units, true);
    for (int k = 0; k < node->input_count; k++) {
        const sc_unit_use *in = &uses[node->input[k]];
        size_t *targets, count;
        SC_TRY(sc_unit_targets(&targets, &count, graph, node, k, error));
        for (size_t t = 0; t < in->units * count; t++)
            if (targets[t] < uses[i].units && !in->fixed[t / count])
                uses[i].fixed[targets[t]] = false;
        sc_memory_free(targets);
    }
    return SC_OK;
}

/* A norm with scale 0 gives its shift. */
static sc_status find_unscaled(sc_unit_use *use, const sc_graph *graph, const sc_node *node, sc_error *error) {
    void *memory;
    sc_op_call call;
    SC_TRY(sc_memory_alloc(&memory, 2 * use->units, sizeof(double), error));
    double *scale = memory;
    call_of(&call, graph, node);
    node->op->channel_affine(&call, scale, scale + use->units);
    for (size_t u = 0; u < use->units; u++)
        use->fixed[u] = use->fixed[u] || scale[u] == 0;
    sc_memory_free(memory);
    return SC_OK;
}

static sc_status find_fixed(sc_unit_use *uses, const sc_graph *graph, size_t i, sc_error *error) {
    const sc_node *node = &graph->nodes[i];
    const sc_op *op = node->op;
    sc_unit_facts facts[SC_MAX_INPUTS];
    sc_op_call call;
    if (sc_node_is_input(node))
        return SC_OK;
    uses[i].normalised = op->normalises || (op->inert && uses[node->input[0]].normalised);
    if (op->channels == SC_CHANNELS_PRODUCE) {
        find_fixed_of_producer(uses[i].fixed, graph, node, &uses[node->input[0]]);
    } else if (op->fixed_units) {
        for (int k = 0; k < node->input_count; k++)
            facts[k] = facts_of(&uses[node->input[k]]);
        call_of(&call, graph, node);
        op->fixed_units(uses[i].fixed, &call, facts);
    } else if (op->channels == SC_CHANNELS_MIX && !op->sums_inputs) {
        bool all = true;
        for (int k = 0; k < node->input_count; k++)
            all = all && all_set(uses[node->input[k]].fixed, uses[node->input[k]].units);
        set_all(uses[i].fixed, uses[i].units, all);
    } else {
        SC_TRY(find_fixed_of_places(uses, graph, i, error));
        if (op->channel_affine)
            SC_TRY(find_unscaled(&uses[i], graph, node, error));
    }
    return SC_OK;
}

/* Positions of a pool's windows, say, may differ in the last bit. */
static bool is_same(sc_real a, sc_real b) {
    double scale = (double)(a < 0 ? -a : a), difference = (double)(a < b ? b - a : a - b);
    return difference <= 1e-6 * scale;
}

static void look_at_values(sc_unit_use *use) {
    for (size_t u = 0; u < use->units; u++) {
        use->zero[u] = use->uniform[u] = use->fixed[u];
        for (size_t p = 0; p < use->positions && (use->zero[u] || use->uniform[u]); p++) {
            sc_real value = sc_unit_use_value(use, u, p);
            use->zero[u] = use->zero[u] && value == 0;
            use->uniform[u] = use->uniform[u] && is_same(sc_unit_use_value(use, u, 0), value);
        }
    }
}

/* One run on a black image, with the values of all nodes. */
static sc_status run_once(sc_plan **out, sc_graph *graph, sc_error *error) {
    void *memory;
    sc_tensor x = {0};
    size_t input = 0;
    while (input < graph->node_count && !sc_node_is_input(&graph->nodes[input]))
        input++;
    if (input == graph->node_count)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "compact: expected a graph with an input");
    SC_TRY(sc_memory_alloc(&memory, graph->node_count, sizeof(bool), error));
    set_all(memory, graph->node_count, true);
    sc_plan_request request = {.batch = 1, .keep_value = memory};
    sc_shape shape = sc_shape_prepend(&graph->nodes[input].shape, 1);
    sc_status status = sc_plan_create(out, graph, &request, error);
    if (status == SC_OK)
        status = sc_tensor_create_zero(&x, SC_REAL, &shape, error);
    if (status == SC_OK)
        status = sc_plan_forward(*out, &x, 0, error);
    sc_tensor_release(&x);
    sc_memory_free(memory);
    return status;
}

static sc_status copy_value(sc_unit_use *use, const sc_real *value, sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, use->units * use->positions, sizeof *value, error));
    use->value = memory;
    memcpy(use->value, value, use->units * use->positions * sizeof *value);
    return SC_OK;
}

static sc_status find_facts(sc_unit_use *uses, const sc_graph *graph, const sc_plan *plan, sc_error *error) {
    for (size_t i = 0; i < graph->node_count; i++) {
        const sc_real *value = sc_plan_value(plan, i);
        bool any = false;
        SC_TRY(find_fixed(uses, graph, i, error));
        for (size_t u = 0; u < uses[i].units; u++)
            any = any || uses[i].fixed[u];
        if (!any)
            continue;
        if (!value) /* nothing that the output is made of */
            set_all(uses[i].fixed, uses[i].units, false);
        else {
            SC_TRY(copy_value(&uses[i], value, error));
            look_at_values(&uses[i]);
        }
    }
    return SC_OK;
}

/* ---- what is kept ---- */

/* Sets a flag; whether it was not set before. */
static bool keep(bool *flag, bool wanted) {
    bool changed = wanted && !*flag;
    *flag = *flag || wanted;
    return changed;
}

/* Groups are kept whole: each has as many inputs and outputs as the others. */
static bool keep_groups(sc_unit_use *out, sc_unit_use *in, const producer *p) {
    bool changed = false;
    size_t per_group = p->units / p->groups;
    for (size_t g = 0; g < p->groups; g++) {
        bool any = false;
        for (size_t u = 0; u < per_group; u++)
            any = any || out->kept[g * per_group + u];
        for (size_t c = 0; c < p->columns; c++)
            any = any || in->kept[g * p->columns + c];
        for (size_t u = 0; u < per_group; u++)
            changed |= keep(&out->kept[g * per_group + u], any);
        for (size_t c = 0; c < p->columns; c++)
            changed |= keep(&in->kept[g * p->columns + c], any);
    }
    return changed;
}

static bool keep_of_producer(sc_unit_use *out, sc_unit_use *in, const sc_graph *graph, const sc_node *node) {
    producer p = producer_of(graph, node, in->units);
    if (p.groups > 1)
        return keep_groups(out, in, &p);
    bool takes_bias = sc_node_takes_bias(node), changed = false;
#pragma omp parallel for schedule(static) reduction(|| : changed)
    for (size_t c = 0; c < p.columns; c++) {
        if (in->kept[c] || in->zero[c] || (in->uniform[c] && takes_bias))
            continue;
        for (size_t u = 0; u < p.units && !in->kept[c]; u++)
            if (out->kept[u] && reads(&p, u, c))
                in->kept[c] = changed = true;
    }
    return changed;
}

static sc_status keep_places(bool *changed, sc_unit_use *uses, const sc_graph *graph, const sc_node *node,
                             sc_unit_use *out, sc_error *error) {
    for (int k = 0; k < node->input_count; k++) {
        sc_unit_use *in = &uses[node->input[k]];
        size_t *targets, count;
        SC_TRY(sc_unit_targets(&targets, &count, graph, node, k, error));
        for (size_t t = 0; t < in->units * count; t++) {
            size_t u = t / count;
            if (targets[t] >= out->units || (node->op->sums_inputs && in->zero[u] && !in->kept[u]))
                continue;
            *changed |= keep(&in->kept[u], out->kept[targets[t]]);
        }
        for (size_t t = 0; t < in->units * count; t++)
            if (targets[t] < out->units)
                *changed |= keep(&out->kept[targets[t]], in->kept[t / count]);
        sc_memory_free(targets);
    }
    return SC_OK;
}

static size_t count_kept(const sc_unit_use *use) {
    size_t count = 0;
    for (size_t u = 0; u < use->units; u++)
        count += use->kept[u];
    return count;
}

/* Through the operation's own keep_units; or, without, everything. */
static bool keep_mixed(sc_unit_use *uses, const sc_graph *graph, const sc_node *node, sc_unit_use *out) {
    bool *inputs[SC_MAX_INPUTS];
    sc_unit_facts facts[SC_MAX_INPUTS];
    size_t before = count_kept(out), after = 0;
    sc_op_call call;
    for (int k = 0; k < node->input_count; k++) {
        sc_unit_use *in = &uses[node->input[k]];
        inputs[k] = in->kept;
        facts[k] = facts_of(in);
        before += count_kept(in);
        if (!node->op->keep_units)
            set_all(in->kept, in->units, true);
    }
    call_of(&call, graph, node);
    if (node->op->keep_units)
        node->op->keep_units(out->kept, inputs, &call, facts);
    else
        set_all(out->kept, out->units, true);
    for (int k = 0; k < node->input_count; k++)
        after += count_kept(&uses[node->input[k]]);
    return before != after + count_kept(out);
}

/* Whether all that is kept of a node is fixed, so that nothing has to be computed. Scores of an attention and what is
 * made of them stay: as numbers per pair of tokens they would be larger than what they are made of. */
static bool is_constant(const sc_unit_use *use, const sc_node *node) {
    for (size_t u = 0; u < use->units; u++)
        if (use->kept[u] && !use->fixed[u])
            return false;
    return node->op->linearity != SC_LINEARITY_SOURCE && !node->op->fixed_units;
}

static sc_status keep_of_node(bool *changed, sc_unit_use *uses, const sc_graph *graph, size_t i, sc_error *error) {
    const sc_node *node = &graph->nodes[i];
    sc_unit_use *out = &uses[i];
    out->kept_count = count_kept(out);
    out->constant = out->kept_count && is_constant(out, node);
    if (out->kept_count == 0 || out->constant || node->input_count == 0)
        return SC_OK;
    if (node->op->channels == SC_CHANNELS_PRODUCE)
        *changed |= keep_of_producer(out, &uses[node->input[0]], graph, node);
    else if (node->op->channels == SC_CHANNELS_MIX && !node->op->sums_inputs)
        *changed |= keep_mixed(uses, graph, node, out);
    else
        SC_TRY(keep_places(changed, uses, graph, node, out, error));
    return SC_OK;
}

static sc_status find_kept(sc_unit_use *uses, const sc_graph *graph, sc_error *error) {
    if (all_set(uses[graph->output].fixed, uses[graph->output].units))
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "every path from the images to the output is dead: the logits are the same for all images");
    for (size_t i = 0; i < graph->node_count; i++) /* images stay as they are */
        set_all(uses[i].kept, uses[i].units, i == graph->output || sc_node_is_input(&graph->nodes[i]));
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = graph->node_count; i-- > 0;)
            SC_TRY(keep_of_node(&changed, uses, graph, i, error));
        for (size_t i = 0; i < graph->node_count; i++)
            SC_TRY(keep_of_node(&changed, uses, graph, i, error));
    }
    return SC_OK;
}

static sc_status allocate(sc_unit_use *use, const sc_node *node, sc_error *error) {
    void *memory;
    use->units = sc_shape_units(&node->shape, &use->last_axis);
    use->positions = sc_shape_numel(&node->shape) / use->units;
    SC_TRY(sc_memory_calloc(&memory, use->units, 4 * sizeof(bool), error));
    use->fixed = memory;
    use->zero = use->fixed + use->units;
    use->uniform = use->zero + use->units;
    use->kept = use->uniform + use->units;
    return SC_OK;
}

sc_status sc_unit_use_find(sc_unit_use **out, sc_graph *graph, sc_error *error) {
    void *memory;
    sc_plan *plan = NULL;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, graph->node_count + 1, sizeof **out, error));
    sc_unit_use *uses = memory;
    sc_status status = SC_OK;
    for (size_t i = 0; i < graph->node_count && status == SC_OK; i++)
        status = allocate(&uses[i], &graph->nodes[i], error);
    if (status == SC_OK)
        status = run_once(&plan, graph, error);
    if (status == SC_OK)
        status = find_facts(uses, graph, plan, error);
    sc_plan_destroy(plan);
    if (status == SC_OK)
        status = find_kept(uses, graph, error);
    if (status == SC_OK)
        *out = uses;
    else
        sc_unit_use_free(uses, graph);
    return status;
}

void sc_unit_use_free(sc_unit_use *uses, const sc_graph *graph) {
    for (size_t i = 0; uses && i < graph->node_count; i++) {
        sc_memory_free(uses[i].fixed);
        sc_memory_free(uses[i].value);
    }
    sc_memory_free(uses);
}
