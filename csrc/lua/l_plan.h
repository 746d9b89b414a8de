/* The ExecutionPlan userdata, for the other binding files. */
#ifndef SC_LUA_L_PLAN_H
#define SC_LUA_L_PLAN_H

#include "graph/plan.h"

#include <lua.h>

/* The plan at index; raises when it is none. */
sc_plan *sc_lua_check_plan(lua_State *L, int index, const char *function);

/* Pushes a Tensor with a copy of data [batch of the last run x shape of the node]. Returns 1. */
int sc_lua_push_node(lua_State *L, const sc_plan *plan, size_t node, const sc_real *data);

/* Pushes a line for whoever prints the plan, or an object of another class that runs it; NULL: a closed one. Returns 1.
 */
int sc_lua_push_plan_text(lua_State *L, const char *class_name, const sc_plan *plan);

#endif
