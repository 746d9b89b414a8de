#include "graph/graph.h"

#include "base/memory.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

sc_status sc_graph_create(sc_graph **out, sc_error *error) {
    void *memory;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_graph), error));
    *out = memory;
    (*out)->references = 1;
    (*out)->byte_limit = SIZE_MAX;
    return SC_OK;
}

sc_graph *sc_graph_share(sc_graph *graph) {
    graph->references++;
    return graph;
}

void sc_graph_release(sc_graph *graph) {
    if (!graph || --graph->references > 0)
        return;
    for (size_t i = 0; i < graph->node_count; i++)
        sc_memory_free(graph->nodes[i].name);
    for (size_t i = 0; i < graph->parameter_count; i++) {
        sc_memory_free(graph->parameters[i].name);
        sc_tensor_release(&graph->parameters[i].value);
    }
    sc_name_index_free(&graph->node_names);
    sc_name_index_free(&graph->parameter_names);
    sc_memory_free(graph->nodes);
    sc_memory_free(graph->parameters);
    sc_memory_free(graph);
}

static sc_status copy_text(char **out, const char *text, sc_error *error) {
    void *memory;
    *out = NULL;
    SC_TRY(sc_memory_alloc(&memory, strlen(text) + 1, 1, error));
    *out = strcpy(memory, text);
    return SC_OK;
}

/* Room for one more item in a growing array. */
static sc_status reserve(void **items, size_t *capacity, size_t count, size_t size, sc_error *error) {
    if (count < *capacity)
        return SC_OK;
    size_t wanted = *capacity ? 2 * *capacity : 64;
    void *memory;
    SC_TRY(sc_memory_calloc(&memory, wanted, size, error));
    if (count)
        memcpy(memory, *items, count * size);
    sc_memory_free(*items);
    *items = memory;
    *capacity = wanted;
    return SC_OK;
}

static sc_status reserve_node(sc_graph *graph, sc_error *error) {
    void *items = graph->nodes;
    SC_TRY(reserve(&items, &graph->node_capacity, graph->node_count, sizeof(sc_node), error));
    graph->nodes = items;
    return sc_name_index_reserve(&graph->node_names, error);
}

static sc_status reserve_parameter(sc_graph *graph, sc_error *error) {
    void *items = graph->parameters;
    SC_TRY(reserve(&items, &graph->parameter_capacity, graph->parameter_count, sizeof(sc_parameter), error));
    graph->parameters = items;
    return sc_name_index_reserve(&graph->parameter_names, error);
}

static sc_status copy_into(sc_graph *copy, const sc_graph *graph, sc_error *error) {
    for (size_t i = 0; i < graph->parameter_count; i++) {
        const sc_parameter *from = &graph->parameters[i];
        SC_TRY(reserve_parameter(copy, error));
        sc_parameter *to = &copy->parameters[copy->parameter_count];
        SC_TRY(copy_text(&to->name, from->name, error));
        to->value = sc_tensor_share(&from->value);
        to->trainable = from->trainable;
        to->uses = from->uses;
        sc_name_index_add(&copy->parameter_names, to->name, copy->parameter_count++);
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        SC_TRY(reserve_node(copy, error));
        sc_node *to = &copy->nodes[copy->node_count];
        *to = graph->nodes[i];
        SC_TRY(copy_text(&to->name, graph->nodes[i].name, error));
        sc_name_index_add(&copy->node_names, to->name, copy->node_count++);
    }
    copy->output = graph->output;
    return SC_OK;
}

sc_status sc_graph_copy(sc_graph **out, const sc_graph *graph, sc_error *error) {
    SC_TRY(sc_graph_create(out, error));
    sc_status status = copy_into(*out, graph, error);
    if (status != SC_OK) {
        sc_graph_release(*out);
        *out = NULL;
    }
    return status;
}

ptrdiff_t sc_graph_find_node(const sc_graph *graph, const char *name) {
    return sc_name_index_find(&graph->node_names, name);
}

ptrdiff_t sc_graph_find_parameter(const sc_graph *graph, const char *name) {
    return sc_name_index_find(&graph->parameter_names, name);
}

/* Puts "op 'name': " before the message. */
static sc_status prefix_error(sc_error *error, const sc_op *op, const char *name, sc_status status) {
    char message[sizeof error->message];
    if (error) {
        snprintf(message, sizeof message, "%s", error->message);
        snprintf(error->message, sizeof error->message, "%s '%.200s': %.700s", op->name, name, message);
    }
    return status;
}

/* Plans have laid out their memory for the nodes that were there. */
static sc_status check_unused(const sc_graph *graph, sc_error *error) {
    if (graph->references > 1)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "graph is in use by an execution plan; release it first");
    return SC_OK;
}

sc_status sc_graph_set_output(sc_graph *graph, size_t node, sc_error *error) {
    SC_TRY(check_unused(graph, error));
    graph->output = node;
    return SC_OK;
}

static sc_status infer_node(sc_op_signature *signature, const sc_graph *graph, const sc_op *op, const char *name,
                            const void *attrs, int input_count, const size_t *inputs, sc_error *error) {
    const sc_shape *shapes[SC_MAX_INPUTS] = {0};
    char text[SC_SHAPE_TEXT];
    SC_TRY(check_unused(graph, error));
    if (name[0] == '\0' || strlen(name) > 200)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "name: expected 1 to 200 characters, got %zu", strlen(name));
    if (sc_graph_find_node(graph, name) != SC_NOT_FOUND)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "node '%s' already exists", name);
    if (input_count < op->min_inputs || input_count > op->max_inputs)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "inputs: expected %d to %d, got %d", op->min_inputs,
                            op->max_inputs, input_count);
    for (int i = 0; i < input_count; i++) {
        if (inputs[i] >= graph->node_count)
            return sc_error_set(error, SC_ERROR_ARGUMENT, "inputs: expected earlier nodes only");
        shapes[i] = &graph->nodes[inputs[i]].shape;
    }
    *signature = (sc_op_signature){0};
    SC_TRY(op->infer(signature, attrs, input_count, shapes, error));
    sc_shape checked;
    const sc_shape *shape = &signature->output;
    SC_TRY(sc_shape_init(&checked, shape->ndim, shape->size, error));
    for (int d = 0; d < shape->ndim; d++)
        if (shape->size[d] == 0 || shape->size[d] > INT_MAX)
            return sc_error_set(error, SC_ERROR_ARGUMENT, "output: expected sizes in 1..%d, got %s", INT_MAX,
                                sc_shape_format(text, shape));
    return SC_OK;
}

static sc_status create_parameter(sc_graph *graph, const char *name, const sc_op_param *spec, const sc_shape *shape,
                                  sc_error *error) {
    sc_shape checked;
    char text[SC_SHAPE_TEXT];
    SC_TRY(sc_shape_init(&checked, shape->ndim, shape->size, error));
    size_t bytes = sc_shape_numel(&checked) * sc_dtype_size(spec->dtype);
    if (bytes > graph->byte_limit)
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "%s: expected at most %zu bytes, what is left for parameters, got %s", spec->name,
                            graph->byte_limit, sc_shape_format(text, &checked));
    SC_TRY(reserve_parameter(graph, error));
    sc_parameter *parameter = &graph->parameters[graph->parameter_count];
    SC_TRY(copy_text(&parameter->name, name, error));
    sc_status status = sc_tensor_create_zero(&parameter->value, spec->dtype, &checked, error);
    if (status != SC_OK) {
        sc_memory_free(parameter->name);
        *parameter = (sc_parameter){0};
        return status;
    }
    parameter->trainable = spec->trainable;
    if (spec->ones && spec->dtype == SC_REAL)
        for (size_t i = 0; i < sc_tensor_numel(&parameter->value); i++)
            sc_tensor_real(&parameter->value)[i] = 1;
    graph->byte_limit -= bytes;
    sc_name_index_add(&graph->parameter_names, parameter->name, graph->parameter_count++);
    return SC_OK;
}

/* Finds or creates the parameter behind one slot of a node. */
static sc_status bind(sc_param_ref *ref, sc_graph *graph, const char *node, const sc_op_param *spec,
                      const sc_param_binding *binding, sc_error *error) {
    char own_name[512], wanted[SC_SHAPE_TEXT], found[SC_SHAPE_TEXT];
    snprintf(own_name, sizeof own_name, "%s.%s", node, spec->name);
    const char *name = binding && binding->name ? binding->name : own_name;
    sc_shape full = spec->shape;
    size_t first = binding ? binding->first_row : 0;
    if (binding && binding->slot && strcmp(binding->slot, spec->name) != 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "parameters: expected '%s', got '%s'", spec->name, binding->slot);
    if (binding && binding->total_rows) {
        if (full.ndim < 1 || first > binding->total_rows || full.size[0] > binding->total_rows - first)
            return sc_error_set(error, SC_ERROR_ARGUMENT, "%s: expected rows within 1..%zu, got %zu..%zu", spec->name,
                                binding->total_rows, first + 1, first + full.size[0]);
        full.size[0] = binding->total_rows;
    }
    ptrdiff_t index = sc_graph_find_parameter(graph, name);
    if (index == SC_NOT_FOUND) {
        index = (ptrdiff_t)graph->parameter_count;
        SC_TRY(create_parameter(graph, name, spec, &full, error));
    }
    const sc_tensor *value = &graph->parameters[index].value;
    if (!sc_shape_equal(&value->shape, &full) || value->dtype != spec->dtype)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "%s: expected %s of shape %s, got %s of shape %s", spec->name,
                            sc_dtype_name(spec->dtype), sc_shape_format(wanted, &full), sc_dtype_name(value->dtype),
                            sc_shape_format(found, &value->shape));
    *ref = (sc_param_ref){
        .present = true, .slot = spec->name, .parameter = (size_t)index, .first_row = first, .shape = spec->shape};
    return SC_OK;
}

static void drop_parameters(sc_graph *graph, size_t count) {
    while (graph->parameter_count > count) {
        sc_parameter *parameter = &graph->parameters[--graph->parameter_count];
        graph->byte_limit += sc_tensor_numel(&parameter->value) * sc_dtype_size(parameter->value.dtype);
        sc_name_index_remove(&graph->parameter_names, parameter->name);
        sc_memory_free(parameter->name);
        sc_tensor_release(&parameter->value);
        *parameter = (sc_parameter){0};
    }
}

/* Makes the node that was prepared behind the others one of them. */
static void join_graph(sc_graph *graph, sc_node *node) {
    for (int k = 0; k < node->input_count; k++) {
        graph->nodes[node->input[k]].reads++;
        graph->nodes[node->input[k]].reader = graph->node_count;
    }
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++)
        if (node->param[slot].present)
            graph->parameters[node->param[slot].parameter].uses++;
    sc_name_index_add(&graph->node_names, node->name, graph->node_count);
    graph->output = graph->node_count++;
}

static sc_status add(sc_graph *graph, const sc_op *op, const char *name, const void *attrs, int input_count,
                     const size_t *inputs, const sc_param_binding *bindings, sc_error *error) {
    sc_op_signature signature;
    SC_TRY(infer_node(&signature, graph, op, name, attrs, input_count, inputs, error));
    SC_TRY(reserve_node(graph, error));
    sc_node *node = &graph->nodes[graph->node_count];
    *node = (sc_node){.op = op, .input_count = input_count, .shape = signature.output, .macs = signature.macs};
    if (op->attrs_size)
        memcpy(node->attrs, attrs, op->attrs_size);
    for (int i = 0; i < input_count; i++)
        node->input[i] = inputs[i];
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++)
        if (signature.params[slot].name)
            SC_TRY(bind(&node->param[slot], graph, name, &signature.params[slot], bindings ? &bindings[slot] : NULL,
                        error));
    SC_TRY(copy_text(&node->name, name, error));
    join_graph(graph, node);
    return SC_OK;
}

sc_status sc_graph_add(sc_graph *graph, const sc_op *op, const char *name, const void *attrs, int input_count,
                       const size_t *inputs, const sc_param_binding *bindings, sc_error *error) {
    size_t parameters = graph->parameter_count;
    sc_status status = add(graph, op, name, attrs, input_count, inputs, bindings, error);
    if (status != SC_OK) {
        drop_parameters(graph, parameters);
        return prefix_error(error, op, name, status);
    }
    return SC_OK;
}

bool sc_node_is_input(const sc_node *node) {
    return node->op->linearity == SC_LINEARITY_SOURCE && !node->param[0].present;
}

sc_tensor sc_node_param(const sc_graph *graph, const sc_node *node, int slot) {
    const sc_param_ref *ref = &node->param[slot];
    if (!ref->present)
        return (sc_tensor){0};
    sc_tensor part = graph->parameters[ref->parameter].value;
    size_t row = 1;
    for (int d = 1; d < ref->shape.ndim; d++)
        row *= ref->shape.size[d];
    part.offset += ref->first_row * row;
    part.shape = ref->shape;
    return part;
}

sc_status sc_graph_set_parameter(sc_graph *graph, size_t index, const sc_tensor *value, sc_error *error) {
    sc_parameter *parameter = &graph->parameters[index];
    char wanted[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    if (!sc_shape_equal(&parameter->value.shape, &value->shape) || parameter->value.dtype != value->dtype)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "'%s': expected %s of shape %s, got %s of shape %s",
                            parameter->name, sc_dtype_name(parameter->value.dtype),
                            sc_shape_format(wanted, &parameter->value.shape), sc_dtype_name(value->dtype),
                            sc_shape_format(got, &value->shape));
    sc_tensor shared = sc_tensor_share(value);
    sc_tensor_release(&parameter->value);
    parameter->value = shared;
    return SC_OK;
}

sc_status sc_graph_own_parameter(sc_graph *graph, size_t index, sc_error *error) {
    return sc_tensor_own(&graph->parameters[index].value, error);
}

ptrdiff_t sc_graph_only_consumer(const sc_graph *graph, size_t node) {
    const sc_node *read = &graph->nodes[node];
    return graph->output != node && read->reads == 1 ? (ptrdiff_t)read->reader : SC_NOT_FOUND;
}
