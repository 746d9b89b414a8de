/* The Plan userdata, for the other binding files. */
#ifndef SC_LUA_L_PLAN_H
#define SC_LUA_L_PLAN_H

#include "graph/plan.h"

#include <lua.h>

/* The plan at index; raises when it is none. */
sc_plan *sc_lua_check_plan(lua_State *L, int index, const char *function);

#endif
