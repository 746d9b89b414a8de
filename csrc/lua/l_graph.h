/* The Graph userdata, for the other binding files. */
#ifndef SC_LUA_L_GRAPH_H
#define SC_LUA_L_GRAPH_H

#include "graph/graph.h"

#include <lua.h>

/* The graph at index; raises when it is none. */
sc_graph *sc_lua_check_graph(lua_State *L, int index, const char *function);

/* Pushes a Graph that holds nothing yet; the caller puts an sc_graph into it, which it then owns. */
sc_graph **sc_lua_new_graph(lua_State *L);

/* Index of the node whose name stands at stack slot `index`; raises when there is none. */
size_t sc_lua_check_node(lua_State *L, int index, const sc_graph *graph, const char *function);

#endif
