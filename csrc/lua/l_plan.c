/* The class ExecutionPlan: running a graph. */
#include "lua/l_plan.h"
#include "base/memory.h"
#include "graph/batch_statistics.h"
#include "graph/executor.h"
#include "graph/param_grads.h"
#include "lua/core.h"
#include "lua/l_graph.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

#include <stdio.h>
#include <string.h>

sc_plan *sc_lua_check_plan(lua_State *L, int index, const char *function) {
    sc_plan **box = luaL_testudata(L, index, SC_LUA_CLASS("ExecutionPlan"));
    if (!box)
        sc_lua_expected(L, index, function, "self", "an ExecutionPlan");
    else if (!*box)
        sc_lua_fail(L, "%s: self: expected an ExecutionPlan, got a closed one", function);
    return *box;
}

/* plan(graph, {batch =, backward =, training =, params =, keep = names, keep_grads = names, frozen = parameters,
 * given = names, repeatable =, collect_statistics =}) -> ExecutionPlan */
static int plan_create(lua_State *L) {
    static const char *const known[] = {"batch",      "backward",           "training", "params",
                                        "keep",       "keep_grads",         "frozen",   "given",
                                        "repeatable", "collect_statistics", NULL};
    sc_graph *graph = sc_lua_check_graph(L, 1, "plan");
    if (!lua_istable(L, 2))
        sc_lua_expected(L, 2, "plan", "options", "a table");
    sc_lua_check_keys(L, 2, "plan", known);
    sc_plan_request request = {
        .batch = (size_t)sc_lua_field_integer(L, 2, "plan", "batch", 1, 1, 1 << 24),
        .backward = sc_lua_field_flag(L, 2, "plan", "backward", false),
        .training = sc_lua_field_flag(L, 2, "plan", "training", false),
        .params = sc_lua_field_flag(L, 2, "plan", "params", false),
        .repeatable = sc_lua_field_flag(L, 2, "plan", "repeatable", false),
        .collect_statistics = sc_lua_field_flag(L, 2, "plan", "collect_statistics", false),
        .keep_value = sc_lua_field_nodes(L, 2, "plan", "keep", graph),
        .keep_grad = sc_lua_field_nodes(L, 2, "plan", "keep_grads", graph),
        .frozen = sc_lua_field_parameters(L, 2, "plan", "frozen", graph),
        .given = sc_lua_field_nodes(L, 2, "plan", "given", graph),
    };
    sc_lua_collect_if_due(L);
    sc_plan **box = sc_lua_new_object(L, SC_LUA_CLASS("ExecutionPlan"), sizeof(sc_plan *));
    sc_error error;
    sc_lua_try(L, sc_plan_create(box, graph, &request, &error), &error);
    return 1;
}

int sc_lua_push_node(lua_State *L, const sc_plan *plan, size_t node, const sc_real *data) {
    sc_shape shape = sc_shape_prepend(&plan->graph->nodes[node].shape, plan->current_batch);
    sc_tensor *out;
    sc_lua_push_new(L, SC_REAL, &shape, false, &out);
    memcpy(sc_tensor_data(out), data, sc_tensor_numel(out) * sizeof *data);
    return 1;
}

/* plan:forward(x [, seed]) -> value of the output */
static int plan_forward(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "forward");
    sc_lua_refuse_in_finalizer(L, "forward");
    sc_tensor *x = sc_lua_check_tensor_of(L, 2, "forward", "x", SC_REAL);
    lua_Integer seed = 0;
    if (!lua_isnoneornil(L, 3))
        seed = sc_lua_check_integer(L, 3, "forward", "seed", LUA_MININTEGER, LUA_MAXINTEGER);
    sc_error error;
    sc_lua_try(L, sc_plan_forward(plan, x, (uint64_t)seed, &error), &error);
    return sc_lua_push_node(L, plan, plan->graph->output, sc_plan_value(plan, plan->graph->output));
}

/* plan:forward_from({[node] = Tensor} [, seed]): runs what follows from the values of given nodes; read what was kept
 * with plan:value. */
static int plan_forward_from(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "forward_from");
    sc_lua_refuse_in_finalizer(L, "forward_from");
    if (!lua_istable(L, 2))
        sc_lua_expected(L, 2, "forward_from", "values", "a table of node name = Tensor");
    lua_Integer seed = 0;
    if (!lua_isnoneornil(L, 3))
        seed = sc_lua_check_integer(L, 3, "forward_from", "seed", LUA_MININTEGER, LUA_MAXINTEGER);
    lua_settop(L, 2);
    size_t room = plan->graph->node_count, count = 0;
    const sc_tensor **values = lua_newuserdatauv(L, (room + 1) * sizeof *values, 0);
    size_t *nodes = lua_newuserdatauv(L, (room + 1) * sizeof *nodes, 0);
    luaL_checkstack(L, LUA_MINSTACK, "forward_from");
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1), count++) {
        size_t node = sc_lua_check_node(L, lua_gettop(L) - 1, plan->graph, "forward_from");
        if (count == room)
            sc_lua_fail(L, "forward_from: values: expected each node once");
        nodes[count] = node;
        values[count] = sc_lua_check_tensor(L, -1, "forward_from", plan->graph->nodes[node].name);
    }
    sc_error error;
    sc_lua_try(L, sc_plan_forward_from(plan, nodes, values, count, (uint64_t)seed, &error), &error);
    return 0;
}

/* plan:profile(x) -> list: the seconds that each forward step takes, in the order of plan:steps(). */
static int plan_profile(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "profile");
    sc_lua_refuse_in_finalizer(L, "profile");
    sc_tensor *x = sc_lua_check_tensor_of(L, 2, "profile", "x", SC_REAL);
    double *seconds = lua_newuserdatauv(L, (plan->forward_count + 1) * sizeof *seconds, 0);
    sc_error error;
    sc_lua_try(L, sc_plan_profile(plan, x, 0, seconds, &error), &error);
    lua_createtable(L, (int)plan->forward_count, 0);
    for (size_t s = 0; s < plan->forward_count; s++) {
        lua_pushnumber(L, seconds[s]);
        lua_rawseti(L, -2, (lua_Integer)s + 1);
    }
    return 1;
}

/* plan:backward(output_grad [, accumulate = false]): gradients; those of parameters are zeroed first unless told not
 * to. */
static int plan_backward(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "backward");
    sc_tensor *grad = sc_lua_check_tensor_of(L, 2, "backward", "output_grad", SC_REAL);
    char wanted[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    sc_shape shape = sc_shape_prepend(&plan->graph->nodes[plan->graph->output].shape, plan->current_batch);
    if (!sc_shape_equal(&shape, &grad->shape))
        sc_lua_fail(L, "backward: output_grad: expected %s, got %s", sc_shape_format(wanted, &shape),
                    sc_shape_format(got, &grad->shape));
    if (!sc_lua_check_flag(L, 3, "backward", "accumulate", false))
        sc_plan_clear_param_grads(plan);
    sc_error error;
    sc_lua_try(L, sc_plan_backward(plan, sc_tensor_real(grad), &error), &error);
    return 0;
}

/* plan:value(node) -> Tensor: a copy of the value, for nodes kept. */
static int plan_value(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "value");
    size_t node = sc_lua_check_node(L, 2, plan->graph, "value");
    const sc_real *data = sc_plan_value(plan, node);
    if (!data)
        sc_lua_fail(L, "value: node: expected one named in keep, after forward(), got '%s'", lua_tostring(L, 2));
    return sc_lua_push_node(L, plan, node, data);
}

/* plan:grad(node) -> Tensor: a copy of the gradient, for nodes kept. */
static int plan_grad(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "grad");
    size_t node = sc_lua_check_node(L, 2, plan->graph, "grad");
    const sc_real *data = sc_plan_grad(plan, node);
    if (!data)
        sc_lua_fail(L, "grad: node: expected one named in keep_grads, after backward(), got '%s'", lua_tostring(L, 2));
    return sc_lua_push_node(L, plan, node, data);
}

/* plan:param_grad(parameter) -> Tensor over the plan's storage. */
static int plan_param_grad(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "param_grad");
    const char *name = sc_lua_check_string(L, 2, "param_grad", "parameter");
    ptrdiff_t index = sc_graph_find_parameter(plan->graph, name);
    if (index == SC_NOT_FOUND || !plan->param_grads[index].storage)
        sc_lua_fail(L, "param_grad: parameter: expected a trainable one of a plan with params, got '%s'", name);
    return sc_lua_push_shared(L, &plan->param_grads[index]);
}

/* plan:gradients() -> Tensor over the plan's storage: the gradients of all parameters as one vector; nil where none is
 * wanted. */
static int plan_gradients(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "gradients");
    if (!plan->grads.storage)
        return lua_pushnil(L), 1;
    return sc_lua_push_shared(L, &plan->grads);
}

/* plan:add_gradients(vector): adds to those of all parameters, in the form of plan:gradients(). */
static int plan_add_gradients(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "add_gradients");
    sc_error error;
    sc_lua_try(L, sc_param_grads_add(plan, sc_lua_check_tensor_of(L, 2, "add_gradients", "gradients", SC_REAL), &error),
               &error);
    return 0;
}

/* plan:clear_gradients(): those of all parameters are zero. */
static int plan_clear_gradients(lua_State *L) {
    sc_plan_clear_param_grads(sc_lua_check_plan(L, 1, "clear_gradients"));
    return 0;
}

/* plan:statistics() -> Tensor over the plan's storage: the batch statistics of the last forward run; nil where the plan
 * collects none. */
static int plan_statistics(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "statistics");
    if (!plan->statistics.storage)
        return lua_pushnil(L), 1;
    return sc_lua_push_shared(L, &plan->statistics);
}

/* plan:update_statistics(statistics, samples): changes running averages by the statistics of a batch. */
static int plan_update_statistics(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "update_statistics");
    sc_lua_refuse_in_finalizer(L, "update_statistics");
    const sc_tensor *statistics = sc_lua_check_tensor_of(L, 2, "update_statistics", "statistics", SC_REAL);
    size_t samples = (size_t)sc_lua_check_integer(L, 3, "update_statistics", "samples", 1, 1 << 24);
    sc_error error;
    sc_lua_try(L, sc_batch_statistics_apply(plan, statistics, samples, &error), &error);
    return 0;
}

/* plan:memory() -> bytes of the arena, bytes of scratch */
static int plan_memory(lua_State *L) {
    sc_plan *plan = sc_lua_check_plan(L, 1, "memory");
    lua_pushinteger(L, (lua_Integer)plan->arena_bytes);
    lua_pushinteger(L, (lua_Integer)plan->scratch_bytes);
    return 2;
}

/* The names of the nodes that a step computes, in a table. */
static void push_step_nodes(lua_State *L, const sc_plan *plan, const sc_step *step) {
    ptrdiff_t node = (ptrdiff_t)step->node;
    lua_newtable(L);
    for (lua_Integer k = 1; node != SC_NOT_FOUND; k++) {
        lua_pushstring(L, plan->graph->nodes[node].name);
        lua_rawseti(L, -2, k);
        node = step->kind == SC_STEP_FORWARD ? plan->nodes[node].next_fused : SC_NOT_FOUND;
    }
}

/* plan:steps() -> list of {kind = "forward", "recompute" or "backward", nodes = names}, in the order of a run. The
 * nodes of a forward step are computed as one. */
static int plan_steps(lua_State *L) {
    static const char *const kinds[] = {
        [SC_STEP_FORWARD] = "forward", [SC_STEP_RECOMPUTE] = "recompute", [SC_STEP_BACKWARD] = "backward"};
    const sc_plan *plan = sc_lua_check_plan(L, 1, "steps");
    lua_createtable(L, (int)plan->step_count, 0);
    for (size_t s = 0; s < plan->step_count; s++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, kinds[plan->steps[s].kind]);
        lua_setfield(L, -2, "kind");
        push_step_nodes(L, plan, &plan->steps[s]);
        lua_setfield(L, -2, "nodes");
        lua_rawseti(L, -2, (lua_Integer)s + 1);
    }
    return 1;
}

int sc_lua_push_plan_text(lua_State *L, const char *class_name, const sc_plan *plan) {
    const double mebibyte = 1 << 20;
    char text[256];
    if (!plan)
        return lua_pushfstring(L, "%s (closed)", class_name), 1;
    snprintf(text, sizeof text, "%s: %zu nodes, batch %zu%s%s, %zu steps forward and %zu backward, %.1f MiB",
             class_name, plan->graph->node_count, plan->batch, plan->training ? ", training" : "",
             plan->params ? ", gradients of parameters" : "", plan->forward_count,
             plan->step_count - plan->forward_count, (double)(plan->arena_bytes + plan->scratch_bytes) / mebibyte);
    lua_pushstring(L, text);
    return 1;
}

static int plan_tostring(lua_State *L) {
    sc_plan *const *box = luaL_checkudata(L, 1, SC_LUA_CLASS("ExecutionPlan"));
    return sc_lua_push_plan_text(L, "ExecutionPlan", *box);
}

static int plan_finalize(lua_State *L) {
    sc_plan **box = luaL_checkudata(L, 1, SC_LUA_CLASS("ExecutionPlan"));
    sc_plan_destroy(*box);
    *box = NULL;
    return 0;
}

void sc_lua_open_plan(lua_State *L) {
    static const luaL_Reg functions[] = {{"plan", plan_create}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"forward", plan_forward},
        {"forward_from", plan_forward_from},
        {"backward", plan_backward},
        {"value", plan_value},
        {"grad", plan_grad},
        {"param_grad", plan_param_grad},
        {"gradients", plan_gradients},
        {"add_gradients", plan_add_gradients},
        {"clear_gradients", plan_clear_gradients},
        {"statistics", plan_statistics},
        {"update_statistics", plan_update_statistics},
        {"memory", plan_memory},
        {"profile", plan_profile},
        {"steps", plan_steps},
        {"close", plan_finalize},
        {"__tostring", plan_tostring},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    sc_lua_new_class(L, SC_LUA_CLASS("ExecutionPlan"), methods, plan_finalize);
}
