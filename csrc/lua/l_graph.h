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

/* A flag per node from the list of names in a field of the options, in a userdata left on the stack; NULL when the
 * field is absent. */
const bool *sc_lua_field_nodes(lua_State *L, int options, const char *function, const char *field,
                               const sc_graph *graph);

/* The same for a list of names of parameters. */
const bool *sc_lua_field_parameters(lua_State *L, int options, const char *function, const char *field,
                                    const sc_graph *graph);

/* Index of the parameter whose name stands at stack slot `index`; raises when there is none. */
size_t sc_lua_check_parameter(lua_State *L, int index, const sc_graph *graph, const char *function);

#endif
