/* The class Optimiser. lua/secateur/training/train.lua drives it. */
#include "train/optimiser.h"

#include "base/memory.h"
#include "lua/core.h"
#include "lua/l_graph.h"
#include "lua/l_plan.h"
#include "lua/l_prune.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

static sc_optimiser *check_optimiser(lua_State *L, const char *function) {
    sc_optimiser **box = luaL_testudata(L, 1, SC_LUA_CLASS("Optimiser"));
    if (!box || !*box)
        sc_lua_expected(L, 1, function, "self", "an Optimiser");
    return *box;
}

/* ---- making one ---- */

static const sc_optimiser_kind *field_kind(lua_State *L) {
    const sc_optimiser_kind *kind = &sc_optimiser_adam;
    if (sc_lua_field(L, 2, "kind") != LUA_TNIL) {
        const char *name = sc_lua_check_string(L, lua_gettop(L), "optimiser", "kind");
        kind = sc_optimiser_find(name);
        if (!kind)
            sc_lua_fail(L, "optimiser: kind: expected 'adam', 'adamw' or 'sgd', got '%s'", name);
    }
    lua_pop(L, 1);
    return kind;
}

/* Takes {[name] = {lr_scale =, weight_decay =}} from a field of the options. */
static void read_parameters(lua_State *L, const sc_graph *graph, sc_param_setting *settings) {
    static const char *const known[] = {"lr_scale", "weight_decay", NULL};
    if (sc_lua_field(L, 2, "parameters") != LUA_TNIL) {
        int table = lua_gettop(L);
        if (!lua_istable(L, table))
            sc_lua_expected(L, table, "optimiser", "parameters", "a table of name = settings");
        for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
            int entry = lua_gettop(L);
            sc_param_setting *setting = &settings[sc_lua_check_parameter(L, entry - 1, graph, "optimiser")];
            if (!lua_istable(L, entry))
                sc_lua_expected(L, entry, "optimiser", "parameters", "a table of name = settings");
            sc_lua_check_keys(L, entry, "optimiser", known);
            setting->lr_scale = sc_lua_field_number(L, entry, "optimiser", "lr_scale", setting->lr_scale);
            setting->weight_decay = sc_lua_field_number(L, entry, "optimiser", "weight_decay", setting->weight_decay);
        }
    }
    lua_pop(L, 1);
}

/* Settings per parameter, in a userdata left on the stack. */
static const sc_param_setting *read_settings(lua_State *L, const sc_graph *graph) {
    size_t count = graph->parameter_count;
    sc_param_setting *settings = lua_newuserdatauv(L, (count + 1) * sizeof *settings, 0);
    double weight_decay = sc_lua_field_number(L, 2, "optimiser", "weight_decay", 0);
    for (size_t i = 0; i < count; i++)
        settings[i] = (sc_param_setting){.lr_scale = 1, .weight_decay = weight_decay};
    read_parameters(L, graph, settings);
    const bool *frozen = sc_lua_field_parameters(L, 2, "optimiser", "frozen", graph);
    for (size_t i = 0; i < count && frozen; i++)
        settings[i].frozen = frozen[i];
    return settings;
}

/* The ranges of the units in the field `masked`, in a userdata left on the stack. */
static const sc_param_range *read_masked(lua_State *L, const sc_graph *graph, size_t *count) {
    *count = 0;
    if (sc_lua_field(L, 2, "masked") == LUA_TNIL)
        return NULL;
    size_t list_count;
    const sc_unit_list *lists = sc_lua_check_units(L, lua_gettop(L), "optimiser", graph, &list_count);
    sc_param_range **box = sc_lua_new_object(L, SC_LUA_CLASS("ParamRanges"), sizeof(sc_param_range *));
    sc_error error;
    sc_lua_try(L, sc_mask_ranges(box, count, graph, lists, list_count, &error), &error);
    return *box;
}

/* optimiser(graph [, {kind = "adam", beta1 = 0.9, beta2 = 0.999, eps = 1e-8, momentum = 0.9, nesterov = false,
 * weight_decay = 0, parameters = {[name] = {lr_scale = 1, weight_decay =}}, frozen = names, masked = {[node] =
 * units}}])
 * -> Optimiser with all state zero */
static int optimiser_create(lua_State *L) {
    static const char *const known[] = {"kind",         "beta1",      "beta2",  "eps",    "momentum", "nesterov",
                                        "weight_decay", "parameters", "frozen", "masked", NULL};
    sc_graph *graph = sc_lua_check_graph(L, 1, "optimiser");
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_newtable(L);
    }
    if (!lua_istable(L, 2))
        sc_lua_expected(L, 2, "optimiser", "options", "a table");
    sc_lua_check_keys(L, 2, "optimiser", known);
    sc_optimiser_options options = sc_optimiser_defaults;
    options.beta1 = sc_lua_field_number(L, 2, "optimiser", "beta1", options.beta1);
    options.beta2 = sc_lua_field_number(L, 2, "optimiser", "beta2", options.beta2);
    options.eps = sc_lua_field_number(L, 2, "optimiser", "eps", options.eps);
    options.momentum = sc_lua_field_number(L, 2, "optimiser", "momentum", options.momentum);
    options.nesterov = sc_lua_field_flag(L, 2, "optimiser", "nesterov", options.nesterov);
    const sc_optimiser_kind *kind = field_kind(L);
    const sc_param_setting *settings = read_settings(L, graph);
    size_t masked_count;
    const sc_param_range *masked_ranges = read_masked(L, graph, &masked_count);
    sc_lua_collect_if_due(L);
    sc_optimiser **box = sc_lua_new_object(L, SC_LUA_CLASS("Optimiser"), sizeof(sc_optimiser *));
    sc_error error;
    sc_lua_try(L, sc_optimiser_create(box, graph, kind, &options, settings, masked_ranges, masked_count, &error),
               &error);
    return 1;
}

/* ---- methods ---- */

/* optimiser:step(plan, lr [, scale = 1]): changes all parameters that are trained along the plan's gradients times
 * scale. */
static int optimiser_step(lua_State *L) {
    sc_optimiser *optimiser = check_optimiser(L, "step");
    sc_plan *plan = sc_lua_check_plan(L, 2, "step");
    double lr = sc_lua_check_number(L, 3, "step", "lr");
    double scale = lua_isnoneornil(L, 4) ? 1 : sc_lua_check_number(L, 4, "step", "scale");
    sc_error error;
    sc_lua_try(L, sc_optimiser_step(optimiser, plan, lr, scale, &error), &error);
    return 0;
}

/* optimiser:gradient_norm(plan) -> L2 norm of all gradients that count */
static int optimiser_gradient_norm(lua_State *L) {
    sc_optimiser *optimiser = check_optimiser(L, "gradient_norm");
    sc_plan *plan = sc_lua_check_plan(L, 2, "gradient_norm");
    double norm;
    sc_error error;
    sc_lua_try(L, sc_optimiser_gradient_norm(&norm, optimiser, plan, &error), &error);
    lua_pushnumber(L, norm);
    return 1;
}

static size_t state_total(const sc_optimiser *optimiser) {
    return (size_t)optimiser->state_count * optimiser->count;
}

/* Pushes "m/NAME", "v/NAME" or "momentum/NAME" for tensor i of the state. */
static void push_state_name(lua_State *L, const sc_optimiser *optimiser, size_t i) {
    lua_pushfstring(L, "%s/%s", optimiser->kind->state_names[i / optimiser->count],
                    optimiser->graph->parameters[i % optimiser->count].name);
}

/* optimiser:state() -> table: "m/NAME" and so on -> Tensor, "steps" -> int64 Tensor [1]. Later steps change copies. */
static int optimiser_state(lua_State *L) {
    sc_optimiser *optimiser = check_optimiser(L, "state");
    const sc_shape one = {.ndim = 1, .size = {1}};
    sc_tensor *steps;
    lua_newtable(L);
    for (size_t i = 0; i < state_total(optimiser); i++) {
        if (!optimiser->state[i].storage)
            continue;
        push_state_name(L, optimiser, i);
        sc_lua_push_shared(L, &optimiser->state[i]);
        lua_rawset(L, -3);
    }
    sc_lua_push_new(L, SC_INT64, &one, true, &steps);
    *sc_tensor_int64(steps) = (int64_t)optimiser->steps;
    lua_setfield(L, -2, "steps");
    return 1;
}

/* The tensor of a table's field, whose name is on top of the stack and stays there; it lives as long as the table. */
static sc_tensor *check_entry(lua_State *L, int table, const sc_tensor *like) {
    const char *name = lua_tostring(L, -1);
    lua_pushvalue(L, -1);
    lua_rawget(L, table);
    sc_tensor *tensor = sc_lua_check_tensor_like(L, -1, "load", name, like);
    lua_pop(L, 1);
    return tensor;
}

/* optimiser:load(state): takes state and the number of steps from what optimiser:state() gave; all or none. */
static int optimiser_load(lua_State *L) {
    sc_optimiser *optimiser = check_optimiser(L, "load");
    const sc_tensor one = {.dtype = SC_INT64, .shape = {.ndim = 1, .size = {1}}};
    if (!lua_istable(L, 2))
        sc_lua_expected(L, 2, "load", "state", "a table");
    lua_settop(L, 2);
    lua_pushliteral(L, "steps");
    int64_t steps = *sc_tensor_int64(check_entry(L, 2, &one));
    if (steps < 0)
        sc_lua_fail(L, "load: steps: expected at least 0");
    for (int pass = 0; pass < 2; pass++) /* first all are judged, then all are taken */
        for (size_t i = 0; i < state_total(optimiser); i++) {
            if (!optimiser->state[i].storage)
                continue;
            lua_settop(L, 2);
            push_state_name(L, optimiser, i);
            sc_tensor *tensor = check_entry(L, 2, &optimiser->state[i]);
            if (pass == 1) {
                sc_tensor shared = sc_tensor_share(tensor);
                sc_tensor_release(&optimiser->state[i]);
                optimiser->state[i] = shared;
            }
        }
    optimiser->steps = (size_t)steps;
    optimiser->state_masked = false;
    return 0;
}

static int optimiser_tostring(lua_State *L) {
    sc_optimiser *const *box = luaL_checkudata(L, 1, SC_LUA_CLASS("Optimiser")), *optimiser = *box;
    if (!optimiser)
        return lua_pushliteral(L, "Optimiser (closed)"), 1;
    size_t trained = 0;
    for (size_t i = 0; i < optimiser->count; i++)
        trained += !optimiser->settings[i].frozen;
    lua_pushfstring(L, "Optimiser: %s of %I of %I parameters, after %I steps", optimiser->kind->name,
                    (LUAI_UACINT)trained, (LUAI_UACINT)optimiser->count, (LUAI_UACINT)optimiser->steps);
    return 1;
}

static int optimiser_finalize(lua_State *L) {
    sc_optimiser **box = luaL_checkudata(L, 1, SC_LUA_CLASS("Optimiser"));
    sc_optimiser_destroy(*box);
    *box = NULL;
    return 0;
}

static int param_ranges_finalize(lua_State *L) {
    sc_param_range **box = luaL_checkudata(L, 1, SC_LUA_CLASS("ParamRanges"));
    sc_memory_free(*box);
    *box = NULL;
    return 0;
}

void sc_lua_open_optimiser(lua_State *L) {
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {{"optimiser", optimiser_create}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"step", optimiser_step},
                                       {"gradient_norm", optimiser_gradient_norm},
                                       {"state", optimiser_state},
                                       {"load", optimiser_load},
                                       {"close", optimiser_finalize},
                                       {"__tostring", optimiser_tostring},
                                       {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    sc_lua_new_class(L, SC_LUA_CLASS("Optimiser"), methods, optimiser_finalize);
    sc_lua_new_class(L, SC_LUA_CLASS("ParamRanges"), none, param_ranges_finalize);
}
