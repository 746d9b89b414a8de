/* The class Graph: building and reading. lua/secateur/models wraps it. */
#include "lua/l_graph.h"

#include "base/memory.h"
#include "graph/unit_walk.h"
#include "lua/core.h"
#include "lua/l_attrs.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

#include <stdio.h>
#include <string.h>

sc_graph *sc_lua_check_graph(lua_State *L, int index, const char *function) {
    sc_graph **box = luaL_testudata(L, index, SC_LUA_CLASS("Graph"));
    if (!box || !*box)
        sc_lua_expected(L, index, function, "graph", "a Graph");
    return *box;
}

sc_graph **sc_lua_new_graph(lua_State *L) {
    return sc_lua_new_object(L, SC_LUA_CLASS("Graph"), sizeof(sc_graph *));
}

size_t sc_lua_check_node(lua_State *L, int index, const sc_graph *graph, const char *function) {
    const char *name = sc_lua_check_string(L, index, function, "node");
    ptrdiff_t node = sc_graph_find_node(graph, name);
    if (node == SC_NOT_FOUND)
        sc_lua_fail(L, "%s: node: expected one of the graph, got '%s'", function, name);
    return (size_t)node;
}

size_t sc_lua_check_parameter(lua_State *L, int index, const sc_graph *graph, const char *function) {
    const char *name = sc_lua_check_string(L, index, function, "name");
    ptrdiff_t found = sc_graph_find_parameter(graph, name);
    if (found == SC_NOT_FOUND)
        sc_lua_fail(L, "%s: name: expected a parameter of the graph, got '%s'", function, name);
    return (size_t)found;
}

typedef size_t check_name(lua_State *L, int index, const sc_graph *graph, const char *function);

/* A flag per node or parameter, in a userdata left on the stack; NULL when the field is absent. */
static const bool *field_flags(lua_State *L, int options, const char *function, const char *field, const char *expected,
                               const sc_graph *graph, size_t count, check_name *check) {
    if (sc_lua_field(L, options, field) == LUA_TNIL)
        return NULL;
    int list = lua_gettop(L);
    if (!lua_istable(L, list))
        sc_lua_expected(L, list, function, field, expected);
    bool *flags = lua_newuserdatauv(L, count + 1, 0);
    memset(flags, 0, count + 1);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, list); i++) {
        lua_rawgeti(L, list, i);
        flags[check(L, lua_gettop(L), graph, function)] = true;
        lua_pop(L, 1);
    }
    return flags;
}

const bool *sc_lua_field_nodes(lua_State *L, int options, const char *function, const char *field,
                               const sc_graph *graph) {
    return field_flags(L, options, function, field, "a list of node names", graph, graph->node_count,
                       sc_lua_check_node);
}

const bool *sc_lua_field_parameters(lua_State *L, int options, const char *function, const char *field,
                                    const sc_graph *graph) {
    return field_flags(L, options, function, field, "a list of parameter names", graph, graph->parameter_count,
                       sc_lua_check_parameter);
}

/* graph([bytes]) -> Graph, whose parameters take at most so many bytes. */
static int graph_create(lua_State *L) {
    sc_error error;
    bool limited = !lua_isnoneornil(L, 1);
    lua_Integer bytes = limited ? sc_lua_check_integer(L, 1, "graph", "bytes", 0, LUA_MAXINTEGER) : 0;
    sc_graph **box = sc_lua_new_graph(L);
    sc_lua_try(L, sc_graph_create(box, &error), &error);
    if (limited)
        (*box)->byte_limit = (size_t)bytes;
    return 1;
}

/* One entry {name =, first =, total =} of the bindings table on top of the stack. The name is left there: a finalizer
 * may take it out of the table. */
static void read_binding(lua_State *L, const char *slot, sc_param_binding *binding) {
    static const char *const known[] = {"name", "first", "total", NULL};
    if (!lua_istable(L, -1))
        sc_lua_expected(L, -1, "add", slot, "a table {name =, first =, total =}");
    int table = lua_gettop(L);
    sc_lua_check_keys(L, table, "add", known);
    binding->slot = slot;
    if (sc_lua_field(L, table, "name") != LUA_TNIL)
        binding->name = sc_lua_check_string(L, -1, "add", "name");
    binding->first_row = (size_t)sc_lua_field_integer(L, table, "add", "first", 1, 1, LUA_MAXINTEGER) - 1;
    binding->total_rows = (size_t)sc_lua_field_integer(L, table, "add", "total", 0, 0, LUA_MAXINTEGER);
}

/* Bindings are keyed by slot name; which slots there are is known once shapes are judged. Operations call the first one
 * weight, value or index, and the second one bias. */
static void read_bindings(lua_State *L, int index, sc_param_binding *bindings) {
    static const char *const known[] = {"weight", "bias", "value", "index", NULL};
    if (lua_isnoneornil(L, index))
        return;
    if (!lua_istable(L, index))
        sc_lua_expected(L, index, "add", "parameters", "a table");
    sc_lua_check_keys(L, index, "add", known);
    for (int k = 0; known[k]; k++)
        if (sc_lua_field(L, index, known[k]) != LUA_TNIL)
            read_binding(L, known[k], &bindings[strcmp(known[k], "bias") == 0]);
}

/* graph:add(op, name, {input names} [, attributes [, parameters]]) -> name */
static int graph_add(lua_State *L) {
    sc_graph *graph = sc_lua_check_graph(L, 1, "add");
    sc_lua_refuse_in_finalizer(L, "add");
    const char *op_name = sc_lua_check_string(L, 2, "add", "operation");
    const char *name = sc_lua_check_string(L, 3, "add", "name");
    const sc_op *op = sc_op_find(op_name);
    if (!op)
        sc_lua_fail(L, "add: operation: expected one of core.operations(), got '%s'", op_name);
    lua_settop(L, 6);
    size_t inputs[SC_MAX_INPUTS];
    int count = 0;
    if (!lua_isnil(L, 4)) {
        if (!lua_istable(L, 4))
            sc_lua_expected(L, 4, "add", "inputs", "a list of node names");
        if (lua_rawlen(L, 4) > SC_MAX_INPUTS)
            sc_lua_fail(L, "%s '%s': inputs: expected at most %d", op_name, name, SC_MAX_INPUTS);
        for (count = 0; count < (int)lua_rawlen(L, 4); count++) {
            lua_rawgeti(L, 4, count + 1);
            inputs[count] = sc_lua_check_node(L, -1, graph, "add");
            lua_pop(L, 1);
        }
    }
    _Alignas(16) unsigned char attrs[SC_MAX_ATTRS_SIZE] = {0};
    sc_lua_read_attrs(L, 5, op, name, attrs);
    sc_param_binding bindings[SC_MAX_PARAMS] = {0};
    read_bindings(L, 6, bindings);
    sc_error error;
    sc_lua_collect_if_due(L);
    sc_lua_try(L, sc_graph_add(graph, op, name, attrs, count, inputs, bindings, &error), &error);
    lua_settop(L, 3);
    return 1;
}

/* graph:output([name]) -> name: the result of the graph; sets it when given. */
static int graph_output(lua_State *L) {
    sc_graph *graph = sc_lua_check_graph(L, 1, "output");
    sc_error error;
    if (!lua_isnoneornil(L, 2))
        sc_lua_try_in(L, "output", sc_graph_set_output(graph, sc_lua_check_node(L, 2, graph, "output"), &error),
                      &error);
    if (graph->node_count == 0)
        return lua_pushnil(L), 1;
    lua_pushstring(L, graph->nodes[graph->output].name);
    return 1;
}

/* graph:copy() -> Graph that shares all parameters. */
static int graph_copy(lua_State *L) {
    sc_graph *graph = sc_lua_check_graph(L, 1, "copy");
    sc_error error;
    sc_graph **box = sc_lua_new_graph(L);
    sc_lua_try(L, sc_graph_copy(box, graph, &error), &error);
    return 1;
}

/* ---- parameters ---- */

/* graph:parameter(name) -> Tensor over the graph's storage. */
static int graph_parameter(lua_State *L) {
    sc_graph *graph = sc_lua_check_graph(L, 1, "parameter");
    return sc_lua_push_shared(L, &graph->parameters[sc_lua_check_parameter(L, 2, graph, "parameter")].value);
}

/* graph:set_parameter(name, tensor): the graph uses this tensor from now on (shared). */
static int graph_set_parameter(lua_State *L) {
    sc_graph *graph = sc_lua_check_graph(L, 1, "set_parameter");
    size_t index = sc_lua_check_parameter(L, 2, graph, "set_parameter");
    sc_error error;
    sc_lua_try(L, sc_graph_set_parameter(graph, index, sc_lua_check_tensor(L, 3, "set_parameter", "tensor"), &error),
               &error);
    return 0;
}

/* graph:own_parameters([{except = list of names}]): clones what is shared with other graphs or tensors, so that it can
 * be changed in place. */
static int graph_own_parameters(lua_State *L) {
    sc_graph *graph = sc_lua_check_graph(L, 1, "own_parameters");
    static const char *const known[] = {"except", NULL};
    const bool *except = NULL;
    sc_error error;
    if (!lua_isnoneornil(L, 2)) {
        if (!lua_istable(L, 2))
            sc_lua_expected(L, 2, "own_parameters", "options", "a table");
        sc_lua_check_keys(L, 2, "own_parameters", known);
        except = sc_lua_field_parameters(L, 2, "own_parameters", "except", graph);
    }
    sc_lua_collect_if_due(L);
    for (size_t i = 0; i < graph->parameter_count; i++)
        if (!except || !except[i])
            sc_lua_try(L, sc_graph_own_parameter(graph, i, &error), &error);
    return 0;
}

/* graph:parameters() -> list of {name =, shape =, trainable =, dtype =} */
static int graph_parameters(lua_State *L) {
    const sc_graph *graph = sc_lua_check_graph(L, 1, "parameters");
    lua_createtable(L, (int)graph->parameter_count, 0);
    for (size_t i = 0; i < graph->parameter_count; i++) {
        const sc_parameter *p = &graph->parameters[i];
        lua_createtable(L, 0, 4);
        lua_pushstring(L, p->name);
        lua_setfield(L, -2, "name");
        sc_lua_push_shape(L, &p->value.shape);
        lua_setfield(L, -2, "shape");
        lua_pushboolean(L, p->trainable);
        lua_setfield(L, -2, "trainable");
        lua_pushstring(L, sc_dtype_name(p->value.dtype));
        lua_setfield(L, -2, "dtype");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* ---- nodes ---- */

static void push_params(lua_State *L, const sc_graph *graph, const sc_node *node) {
    lua_createtable(L, SC_MAX_PARAMS, 0);
    for (int slot = 0; slot < SC_MAX_PARAMS; slot++) {
        const sc_param_ref *ref = &node->param[slot];
        if (!ref->present)
            continue;
        const sc_parameter *p = &graph->parameters[ref->parameter];
        lua_createtable(L, 0, 5);
        lua_pushstring(L, ref->slot);
        lua_setfield(L, -2, "slot");
        lua_pushstring(L, p->name);
        lua_setfield(L, -2, "name");
        lua_pushinteger(L, (lua_Integer)ref->first_row + 1);
        lua_setfield(L, -2, "first");
        if (!sc_shape_equal(&p->value.shape, &ref->shape)) {
            lua_pushinteger(L, (lua_Integer)p->value.shape.size[0]);
            lua_setfield(L, -2, "total");
        }
        sc_lua_push_shape(L, &ref->shape);
        lua_setfield(L, -2, "shape");
        lua_rawseti(L, -2, slot + 1);
    }
}

static const char *const channel_names[] = {[SC_CHANNELS_PRODUCE] = "produce",
                                            [SC_CHANNELS_KEEP] = "keep",
                                            [SC_CHANNELS_MOVE] = "move",
                                            [SC_CHANNELS_MIX] = "mix"};
static const char *const linearity_names[] = {
    [SC_LINEARITY_WEIGHTED] = "weighted",   [SC_LINEARITY_FIXED] = "fixed",
    [SC_LINEARITY_ROUTING] = "routing",     [SC_LINEARITY_ELEMENTWISE] = "elementwise",
    [SC_LINEARITY_NONLINEAR] = "nonlinear", [SC_LINEARITY_SOURCE] = "source"};

/* Sets kind, channels and linearity in the table on top of the stack. */
static void push_op_facts(lua_State *L, const sc_op *op) {
    lua_pushstring(L, op->kind);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, channel_names[op->channels]);
    lua_setfield(L, -2, "channels");
    lua_pushstring(L, linearity_names[op->linearity]);
    lua_setfield(L, -2, "linearity");
}

static void push_node(lua_State *L, const sc_graph *graph, const sc_node *node) {
    lua_createtable(L, 0, 10);
    lua_pushstring(L, node->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, node->op->name);
    lua_setfield(L, -2, "op");
    push_op_facts(L, node->op);
    sc_lua_push_attrs(L, node->op, node->attrs);
    lua_setfield(L, -2, "attrs");
    lua_createtable(L, node->input_count, 0);
    for (int k = 0; k < node->input_count; k++) {
        lua_pushstring(L, graph->nodes[node->input[k]].name);
        lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "inputs");
    push_params(L, graph, node);
    lua_setfield(L, -2, "params");
    sc_lua_push_shape(L, &node->shape);
    lua_setfield(L, -2, "shape");
    lua_pushnumber(L, node->macs);
    lua_setfield(L, -2, "macs");
}

/* graph:nodes() -> list of {name =, op =, kind =, channels =, linearity =, attrs =, inputs = names, params = by number
 * of the slot {slot =, name =, first =, total =, shape =}, shape = of one sample, macs = per sample} in order of
 * computation. */
static int graph_nodes(lua_State *L) {
    const sc_graph *graph = sc_lua_check_graph(L, 1, "nodes");
    lua_createtable(L, (int)graph->node_count, 0);
    for (size_t i = 0; i < graph->node_count; i++) {
        push_node(L, graph, &graph->nodes[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* graph:node(name) -> one of graph:nodes(), or nil where no node has the name. */
static int graph_node(lua_State *L) {
    const sc_graph *graph = sc_lua_check_graph(L, 1, "node");
    const char *name = sc_lua_check_string(L, 2, "node", "name");
    ptrdiff_t node = sc_graph_find_node(graph, name);
    if (node == SC_NOT_FOUND || strlen(name) != lua_rawlen(L, 2))
        return lua_pushnil(L), 1;
    push_node(L, graph, &graph->nodes[node]);
    return 1;
}

/* Sets an integer in the table on top of the stack. */
static void set_integer(lua_State *L, const char *field, size_t value) {
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, field);
}

/* graph:unit_walk(name) -> list of {node = name, from = name, first =, stride =, count =, step =, axis = "first" |
 * "last", shared =}: where the units of a node that produces units are further on, see graph/unit_walk.h. Unit u, from
 * 1, is at first + (u - 1) * stride, counted from 1. */
static int graph_unit_walk(lua_State *L) {
    const sc_graph *graph = sc_lua_check_graph(L, 1, "unit_walk");
    size_t producer = sc_lua_check_node(L, 2, graph, "unit_walk"), count;
    if (graph->nodes[producer].op->channels != SC_CHANNELS_PRODUCE)
        sc_lua_fail(L, "unit_walk: node: expected one that produces units, got %s '%s'",
                    graph->nodes[producer].op->name, graph->nodes[producer].name);
    sc_unit_place **box = sc_lua_new_object(L, SC_LUA_CLASS("UnitPlaces"), sizeof(sc_unit_place *));
    sc_error error;
    sc_lua_try(L, sc_unit_walk(box, &count, graph, producer, &error), &error);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        const sc_unit_place *place = &(*box)[i];
        lua_createtable(L, 0, 8);
        lua_pushstring(L, graph->nodes[place->node].name);
        lua_setfield(L, -2, "node");
        lua_pushstring(L, graph->nodes[place->from].name);
        lua_setfield(L, -2, "from");
        set_integer(L, "first", place->units.first + 1);
        set_integer(L, "stride", place->units.stride);
        set_integer(L, "count", place->units.count);
        set_integer(L, "step", place->units.step);
        lua_pushstring(L, place->units.last_axis ? "last" : "first");
        lua_setfield(L, -2, "axis");
        lua_pushboolean(L, place->units.shared);
        lua_setfield(L, -2, "shared");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int unit_places_finalize(lua_State *L) {
    sc_unit_place **box = luaL_checkudata(L, 1, SC_LUA_CLASS("UnitPlaces"));
    sc_memory_free(*box);
    *box = NULL;
    return 0;
}

/* operations() -> list of {name =, doc =, kind =, channels =, linearity =, min_inputs =, max_inputs =,
 * attributes = see sc_lua_describe_attrs} */
static int operations(lua_State *L) {
    size_t count;
    const sc_op *const *ops = sc_op_list(&count);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_createtable(L, 0, 8);
        lua_pushstring(L, ops[i]->name);
        lua_setfield(L, -2, "name");
        push_op_facts(L, ops[i]);
        lua_pushstring(L, sc_op_doc(ops[i]));
        lua_setfield(L, -2, "doc");
        set_integer(L, "min_inputs", (size_t)ops[i]->min_inputs);
        set_integer(L, "max_inputs", (size_t)ops[i]->max_inputs);
        sc_lua_describe_attrs(L, ops[i]);
        lua_setfield(L, -2, "attributes");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* Pushes "  name  operation  [shape of a sample]  inputs", the first two padded to their widths. */
static void push_node_text(lua_State *L, const sc_graph *graph, const sc_node *node, int name_width, int op_width) {
    char line[256], shape[SC_SHAPE_TEXT];
    snprintf(line, sizeof line, "\n  %-*.80s  %-*s  %-*s", name_width, node->name, op_width, node->op->name,
             node->input_count ? 12 : 0, sc_shape_format(shape, &node->shape));
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    luaL_addstring(&buffer, line);
    for (int k = 0; k < node->input_count; k++) {
        luaL_addstring(&buffer, k ? ", " : "  ");
        luaL_addstring(&buffer, graph->nodes[node->input[k]].name);
    }
    luaL_pushresult(&buffer);
}

/* The nodes in order of computation, each with its shape and inputs. */
static int graph_tostring(lua_State *L) {
    enum { MAX_NAME = 40 };
    sc_graph *const *box = luaL_checkudata(L, 1, SC_LUA_CLASS("Graph")), *graph = *box;
    if (!graph)
        return lua_pushliteral(L, "Graph (closed)"), 1;
    int name_width = 0, op_width = 0;
    size_t numbers = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        int name = (int)strlen(graph->nodes[i].name), op = (int)strlen(graph->nodes[i].op->name);
        name_width = name > name_width && name <= MAX_NAME ? name : name_width;
        op_width = op > op_width ? op : op_width;
    }
    for (size_t i = 0; i < graph->parameter_count; i++)
        numbers += sc_tensor_numel(&graph->parameters[i].value);
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    lua_pushfstring(L, "Graph: %I nodes, %I parameters of %I numbers", (LUAI_UACINT)graph->node_count,
                    (LUAI_UACINT)graph->parameter_count, (LUAI_UACINT)numbers);
    luaL_addvalue(&buffer);
    for (size_t i = 0; i < graph->node_count; i++) {
        push_node_text(L, graph, &graph->nodes[i], name_width, op_width);
        luaL_addvalue(&buffer);
    }
    luaL_pushresult(&buffer);
    return 1;
}

static int graph_finalize(lua_State *L) {
    sc_graph **box = luaL_checkudata(L, 1, SC_LUA_CLASS("Graph"));
    sc_graph_release(*box);
    *box = NULL;
    return 0;
}

void sc_lua_open_graph(lua_State *L) {
    static const luaL_Reg functions[] = {{"graph", graph_create}, {"operations", operations}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"add", graph_add},
        {"output", graph_output},
        {"copy", graph_copy},
        {"parameter", graph_parameter},
        {"set_parameter", graph_set_parameter},
        {"own_parameters", graph_own_parameters},
        {"parameters", graph_parameters},
        {"nodes", graph_nodes},
        {"node", graph_node},
        {"unit_walk", graph_unit_walk},
        {"__tostring", graph_tostring},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    sc_lua_new_class(L, SC_LUA_CLASS("Graph"), methods, graph_finalize);
    sc_lua_new_class(L, SC_LUA_CLASS("UnitPlaces"), none, unit_places_finalize);
}
