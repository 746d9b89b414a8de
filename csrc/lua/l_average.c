/* The class Average: the moving average of a graph's parameters. lua/secateur/training/train.lua drives it. */
#include "train/average.h"

#include "lua/core.h"
#include "lua/l_graph.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

static sc_average *check_average(lua_State *L, const char *function) {
    sc_average **box = luaL_testudata(L, 1, SC_LUA_CLASS("Average"));
    if (!box || !*box)
        sc_lua_expected(L, 1, function, "self", "an Average");
    return *box;
}

/* average(graph [, {fixed = names of parameters that never change}]) -> Average that starts at what the parameters are
 */
static int ema_create(lua_State *L) {
    static const char *const known[] = {"fixed", NULL};
    sc_graph *graph = sc_lua_check_graph(L, 1, "average");
    const bool *fixed = NULL;
    if (!lua_isnoneornil(L, 2)) {
        if (!lua_istable(L, 2))
            sc_lua_expected(L, 2, "average", "options", "a table");
        sc_lua_check_keys(L, 2, "average", known);
        fixed = sc_lua_field_parameters(L, 2, "average", "fixed", graph);
    }
    sc_average **box = sc_lua_new_object(L, SC_LUA_CLASS("Average"), sizeof(sc_average *));
    sc_error error;
    sc_lua_try(L, sc_average_create(box, graph, fixed, &error), &error);
    return 1;
}

/* average:update(decay): a step towards what the parameters are now; 0 goes all the way. */
static int ema_update(lua_State *L) {
    sc_average *average = check_average(L, "update");
    sc_error error;
    sc_lua_collect_if_due(L);
    sc_lua_try(L, sc_average_update(average, sc_lua_check_number(L, 2, "update", "decay"), &error), &error);
    return 0;
}

/* average:state() -> table: parameter name -> Tensor. Later updates change copies. */
static int ema_state(lua_State *L) {
    sc_average *average = check_average(L, "state");
    lua_newtable(L);
    for (size_t i = 0; i < average->count; i++) {
        lua_pushstring(L, average->graph->parameters[i].name);
        sc_lua_push_shared(L, &average->values[i]);
        lua_rawset(L, -3);
    }
    return 1;
}

/* average:load(state): takes what average:state() gave; all or none. */
static int ema_load(lua_State *L) {
    sc_average *average = check_average(L, "load");
    if (!lua_istable(L, 2))
        sc_lua_expected(L, 2, "load", "state", "a table");
    for (int pass = 0; pass < 2; pass++) /* first all are judged, then all are taken */
        for (size_t i = 0; i < average->count; i++) {
            const char *name = average->graph->parameters[i].name;
            sc_tensor *value = &average->values[i];
            lua_settop(L, 2);
            lua_pushstring(L, name);
            lua_rawget(L, 2);
            sc_tensor *tensor = sc_lua_check_tensor_like(L, 3, "load", name, value);
            if (pass == 1) {
                sc_tensor shared = sc_tensor_share(tensor);
                sc_tensor_release(value);
                *value = shared;
            }
        }
    return 0;
}

static int ema_tostring(lua_State *L) {
    sc_average *const *box = luaL_checkudata(L, 1, SC_LUA_CLASS("Average")), *average = *box;
    if (!average)
        return lua_pushliteral(L, "Average (closed)"), 1;
    size_t fixed = 0;
    for (size_t i = 0; i < average->count; i++)
        fixed += average->fixed[i];
    lua_pushfstring(L, "Average: %I parameters, %I of them fixed", (LUAI_UACINT)average->count, (LUAI_UACINT)fixed);
    return 1;
}

static int ema_finalize(lua_State *L) {
    sc_average **box = luaL_checkudata(L, 1, SC_LUA_CLASS("Average"));
    sc_average_free(*box);
    *box = NULL;
    return 0;
}

void sc_lua_open_average(lua_State *L) {
    static const luaL_Reg functions[] = {{"average", ema_create}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"update", ema_update},  {"state", ema_state},         {"load", ema_load},
                                       {"close", ema_finalize}, {"__tostring", ema_tostring}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    sc_lua_new_class(L, SC_LUA_CLASS("Average"), methods, ema_finalize);
}
