/* The class Ema: the moving average of a graph's parameters. lua/secateur/training/train.lua drives it. */
#include "train/ema.h"

#include "lua/core.h"
#include "lua/l_graph.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

static sc_ema *check_ema(lua_State *L, const char *function) {
    sc_ema **box = luaL_testudata(L, 1, SC_LUA_CLASS("Ema"));
    if (!box || !*box)
        sc_lua_expected(L, 1, function, "self", "an Ema");
    return *box;
}

/* ema(graph [, {fixed = names of parameters that never change}]) -> Ema that starts at what the parameters are
 */
static int ema_create(lua_State *L) {
    static const char *const known[] = {"fixed", NULL};
    sc_graph *graph = sc_lua_check_graph(L, 1, "ema");
    const bool *fixed = NULL;
    if (!lua_isnoneornil(L, 2)) {
        if (!lua_istable(L, 2))
            sc_lua_expected(L, 2, "ema", "options", "a table");
        sc_lua_check_keys(L, 2, "ema", known);
        fixed = sc_lua_field_parameters(L, 2, "ema", "fixed", graph);
    }
    sc_ema **box = sc_lua_new_object(L, SC_LUA_CLASS("Ema"), sizeof(sc_ema *));
    sc_error error;
    sc_lua_try(L, sc_ema_create(box, graph, fixed, &error), &error);
    return 1;
}

/* ema:update(decay): a step towards what the parameters are now; 0 goes all the way. */
static int ema_update(lua_State *L) {
    sc_ema *ema = check_ema(L, "update");
    sc_error error;
    sc_lua_collect_if_due(L);
    sc_lua_try(L, sc_ema_update(ema, sc_lua_check_number(L, 2, "update", "decay"), &error), &error);
    return 0;
}

/* ema:state() -> table: parameter name -> Tensor. Later updates change copies. */
static int ema_state(lua_State *L) {
    sc_ema *ema = check_ema(L, "state");
    lua_newtable(L);
    for (size_t i = 0; i < ema->count; i++) {
        lua_pushstring(L, ema->graph->parameters[i].name);
        sc_lua_push_shared(L, &ema->values[i]);
        lua_rawset(L, -3);
    }
    return 1;
}

/* ema:load(state): takes what ema:state() gave; all or none. */
static int ema_load(lua_State *L) {
    sc_ema *ema = check_ema(L, "load");
    if (!lua_istable(L, 2))
        sc_lua_expected(L, 2, "load", "state", "a table");
    for (int pass = 0; pass < 2; pass++) /* first all are judged, then all are taken */
        for (size_t i = 0; i < ema->count; i++) {
            const char *name = ema->graph->parameters[i].name;
            sc_tensor *value = &ema->values[i];
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
    sc_ema *const *box = luaL_checkudata(L, 1, SC_LUA_CLASS("Ema")), *ema = *box;
    if (!ema)
        return lua_pushliteral(L, "Ema (closed)"), 1;
    size_t fixed = 0;
    for (size_t i = 0; i < ema->count; i++)
        fixed += ema->fixed[i];
    lua_pushfstring(L, "Ema: %I parameters, %I of them fixed", (LUAI_UACINT)ema->count, (LUAI_UACINT)fixed);
    return 1;
}

static int ema_finalize(lua_State *L) {
    sc_ema **box = luaL_checkudata(L, 1, SC_LUA_CLASS("Ema"));
    sc_ema_destroy(*box);
    *box = NULL;
    return 0;
}

void sc_lua_open_ema(lua_State *L) {
    static const luaL_Reg functions[] = {{"ema", ema_create}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"update", ema_update},  {"state", ema_state},         {"load", ema_load},
                                       {"close", ema_finalize}, {"__tostring", ema_tostring}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    sc_lua_new_class(L, SC_LUA_CLASS("Ema"), methods, ema_finalize);
}
