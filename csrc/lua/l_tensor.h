/* Pushing tensors, for the other binding files. */
#ifndef SC_LUA_L_TENSOR_H
#define SC_LUA_L_TENSOR_H

#include "tensor/tensor.h"

#include <lua.h>

/* Pushes a Tensor with new storage; *out (optional) gets it. Returns 1. */
int sc_lua_push_new(lua_State *L, sc_dtype dtype, const sc_shape *shape, bool zero, sc_tensor **out);

/* Pushes a Tensor over the same storage. Returns 1. */
int sc_lua_push_shared(lua_State *L, const sc_tensor *tensor);

/* Pushes the sizes as a list, which prints like "[2x3]". Returns 1. */
int sc_lua_push_shape(lua_State *L, const sc_shape *shape);

/* A shape from the sizes at stack slots first..last. */
void sc_lua_check_shape(lua_State *L, int first, int last, const char *function, sc_shape *out);

/* The same from the list of sizes at index. */
sc_shape sc_lua_check_shape_list(lua_State *L, int index, const char *function);

/* Adds arithmetic, reductions and their metamethods to the class table on top of the stack. */
void sc_lua_add_tensor_math(lua_State *L);

/* Adds sorting, ranks and regrouping to the class table on top of the stack. */
void sc_lua_add_tensor_order(lua_State *L);

#endif
