/* Lists of units, for the other binding files. */
#ifndef SC_LUA_L_PRUNE_H
#define SC_LUA_L_PRUNE_H

#include "prune/mask.h"

#include <lua.h>

/* Reads the table at index (node name -> list of units, from 1) into lists that userdata left on the stack hold; *count
 * gets their number. Units are judged by those who use them. */
const sc_unit_list *sc_lua_check_units(lua_State *L, int index, const char *function, const sc_graph *graph,
                                       size_t *count);

#endif
