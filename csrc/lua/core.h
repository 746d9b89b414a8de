/* The parts that lua/core.c puts together: one opener per binding file. Each is called with the module table on top of
 * the stack, and leaves it there. */
#ifndef SC_LUA_CORE_H
#define SC_LUA_CORE_H

#include <lauxlib.h>
#include <lua.h>

/* Each leaves the stack as it was and raises only when memory is short. */
void sc_lua_open_system(lua_State *L);
void sc_lua_open_math(lua_State *L);
void sc_lua_open_tensor(lua_State *L);
void sc_lua_open_tensor_access(lua_State *L);
void sc_lua_open_graph(lua_State *L);
void sc_lua_open_plan(lua_State *L);
void sc_lua_open_attribution(lua_State *L);
void sc_lua_open_blur(lua_State *L);
void sc_lua_open_gradient(lua_State *L);
void sc_lua_open_prune(lua_State *L);
void sc_lua_open_covariance(lua_State *L);
void sc_lua_open_repair(lua_State *L);
void sc_lua_open_kmeans(lua_State *L);
void sc_lua_open_npy(lua_State *L);
void sc_lua_open_safetensors(lua_State *L);
void sc_lua_open_file(lua_State *L);
void sc_lua_open_onnx(lua_State *L);
void sc_lua_open_benchmark(lua_State *L);
void sc_lua_open_image(lua_State *L);
void sc_lua_open_image_batch(lua_State *L);
void sc_lua_open_image_source(lua_State *L);
void sc_lua_open_image_loader(lua_State *L);
void sc_lua_open_image_colormap(lua_State *L);
void sc_lua_open_image_decode(lua_State *L);
void sc_lua_open_train(lua_State *L);
void sc_lua_open_optimiser(lua_State *L);
void sc_lua_open_ema(lua_State *L);

#endif
