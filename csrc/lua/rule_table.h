/* Relevance rules from Lua tables, by the schema in attribution/rule_schema. */
#ifndef SC_LUA_RULE_TABLE_H
#define SC_LUA_RULE_TABLE_H

#include "attribution/rule.h"

#include <lua.h>

/* Reads the rule at index. False where it is no rule: then a message is pushed that starts with the field, e.g.
 * "groups[1].epsilon: expected a finite number of at least 0, got -1". */
bool sc_lua_read_rule(lua_State *L, int index, sc_rule *rule);

#endif
