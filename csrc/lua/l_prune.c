/* Rewrites of graphs for pruning. lua/secateur/pruning/prune.lua wraps them. */
#include "lua/l_prune.h"

#include "base/size.h"
#include "lua/core.h"
#include "lua/l_graph.h"
#include "lua/support.h"
#include "prune/compact.h"

/* Checks the table at index (node name -> list of units) and counts its lists and units. */
static void measure_lists(lua_State *L, int index, const char *function, size_t *lists, size_t *units) {
    *lists = *units = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        sc_lua_check_string(L, -2, function, "node");
        if (!lua_istable(L, -1))
            sc_lua_expected(L, -1, function, lua_tostring(L, -2), "a list of units");
        ++*lists;
        *units += (size_t)lua_rawlen(L, -1);
    }
}

/* A userdata left on the stack, so that errors do not leak it. */
static void *new_array(lua_State *L, const char *function, size_t count, size_t size) {
    size_t bytes = 0;
    if (!sc_size_multiply(&bytes, count + 1, size))
        sc_lua_fail(L, "%s: too many units", function);
    return lua_newuserdatauv(L, bytes, 0);
}

const sc_unit_list *sc_lua_check_units(lua_State *L, int index, const char *function, const sc_graph *graph,
                                       size_t *count) {
    size_t list_count, unit_count, list = 0, unit = 0;
    if (!lua_istable(L, index))
        sc_lua_expected(L, index, function, "units", "a table of node name = list of units");
    measure_lists(L, index, function, &list_count, &unit_count);
    sc_unit_list *lists = new_array(L, function, list_count, sizeof *lists);
    size_t *units = new_array(L, function, unit_count, sizeof *units);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1), list++) {
        const char *name = lua_tostring(L, -2);
        size_t node = sc_lua_check_node(L, lua_gettop(L) - 1, graph, function);
        size_t length = (size_t)lua_rawlen(L, -1);
        if (list == list_count || length > unit_count - unit)
            sc_lua_fail(L, "%s: units: changed while they were read",
                        function); /* by a finalizer: allocation collects */
        lists[list] = (sc_unit_list){.node = node, .units = units + unit, .count = length};
        for (size_t i = 0; i < length; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            units[unit++] = (size_t)sc_lua_check_integer(L, lua_gettop(L), function, name, 1, LUA_MAXINTEGER) - 1;
            lua_pop(L, 1);
        }
    }
    *count = list;
    return lists;
}

/* mask(graph, {[node] = {units, from 1}}) -> Graph in which those units are silent; it shares all that is untouched. */
static int mask(lua_State *L) {
    sc_graph *graph = sc_lua_check_graph(L, 1, "mask");
    size_t count;
    const sc_unit_list *lists = sc_lua_check_units(L, 2, "mask", graph, &count);
    sc_error error;
    sc_lua_collect_if_due(L);
    sc_graph **box = sc_lua_new_graph(L);
    sc_lua_try(L, sc_graph_mask(box, graph, lists, count, &error), &error);
    return 1;
}

/* compact(graph) -> Graph with the same output and without the units that compute nothing. */
static int compact(lua_State *L) {
    sc_graph *graph = sc_lua_check_graph(L, 1, "compact");
    sc_error error;
    sc_lua_collect_if_due(L);
    sc_graph **box = sc_lua_new_graph(L);
    sc_lua_try(L, sc_graph_compact(box, graph, &error), &error);
    return 1;
}

void sc_lua_open_prune(lua_State *L) {
    static const luaL_Reg functions[] = {{"compact", compact}, {"mask", mask}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
