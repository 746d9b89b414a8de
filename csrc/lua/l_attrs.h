/* Attribute structs of operations to and from Lua tables. */
#ifndef SC_LUA_L_ATTRS_H
#define SC_LUA_L_ATTRS_H

#include "op/op.h"

#include <lua.h>

/* Fills attrs (of SC_MAX_ATTRS_SIZE bytes) from the table at index (or nil: defaults). Unknown, missing and wrong
 * attributes raise "op 'node': attribute: expected X, got Y". */
void sc_lua_read_attrs(lua_State *L, int index, const sc_op *op, const char *node, void *attrs);

/* Pushes the table that sc_lua_read_attrs would read. */
void sc_lua_push_attrs(lua_State *L, const sc_op *op, const void *attrs);

/* Pushes a list of {name =, kind =, required =, default =, min =, max =, choices =, same_as =}: what the attributes of
 * an operation may be. */
void sc_lua_describe_attrs(lua_State *L, const sc_op *op);

#endif
