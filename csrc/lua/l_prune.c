/* Rewrites of graphs for pruning. lua/secateur/prune.lua wraps them. */
#include "prune/mask.h"

#include "base/memory.h"
#include "lua/core.h"
#include "lua/l_graph.h"
#include "lua/support.h"

/* Checks the table at index (node name -> list of units) and counts its lists and units. */
static void measure_lists(lua_State *L, int index, size_t *lists, size_t *units) {
    *lists = *units = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        sc_lua_check_string(L, -2, "mask", "node");
        if (!lua_istable(L, -1))
            sc_lua_expected(L, -1, "mask", lua_tostring(L, -2), "a list of units");
        ++*lists;
        *units += (size_t)lua_rawlen(L, -1);
    }
}

/* A userdata left on the stack, so that errors do not leak it. */
static void *new_array(lua_State *L, size_t count, size_t size) {
    size_t bytes;
    if (!sc_size_multiply(&bytes, count + 1, size))
        luaL_error(L, "mask: too many units");
    return lua_newuserdatauv(L, bytes, 0);
}

/* mask(graph, {[node] = {units, from 1}}) -> Graph in which those units are silent; it shares all that is untouched. */
static int mask(lua_State *L) {
    sc_graph *graph = sc_lua_check_graph(L, 1, "mask");
    if (!lua_istable(L, 2))
        sc_lua_expected(L, 2, "mask", "units", "a table of node name = list of units");
    size_t list_count, unit_count, list = 0, unit = 0;
    measure_lists(L, 2, &list_count, &unit_count);
    sc_unit_list *lists = new_array(L, list_count, sizeof *lists);
    size_t *units = new_array(L, unit_count, sizeof *units);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1), list++) {
        const char *name = lua_tostring(L, -2);
        size_t node = sc_lua_check_node(L, lua_gettop(L) - 1, graph, "mask");
        size_t count = (size_t)lua_rawlen(L, -1);
        if (list == list_count || count > unit_count - unit)
            luaL_error(L, "mask: units: changed while they were read"); /* by a finalizer: allocation may collect */
        lists[list] = (sc_unit_list){.node = node, .units = units + unit, .count = count};
        for (size_t i = 0; i < count; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            units[unit++] = (size_t)sc_lua_check_integer(L, lua_gettop(L), "mask", name, 1, LUA_MAXINTEGER) - 1;
            lua_pop(L, 1);
        }
    }
    sc_error error;
    sc_lua_collect_if_due(L);
    sc_graph **box = sc_lua_new_graph(L);
    sc_lua_try(L, sc_graph_mask(box, graph, lists, list_count, &error), &error);
    return 1;
}

void sc_lua_open_prune(lua_State *L) {
    static const luaL_Reg functions[] = {{"mask", mask}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
