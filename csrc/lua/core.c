/* The modules `secateur.core_portable`, `core_avx2` and `core_avx512`, one per level of vector instructions, of which
 * lua/secateur/core/init.lua loads one (and `secateur.core_double`, the same in double precision, for gradient checks):
 * the native functions and classes, raw. lua/secateur wraps them. */
#include "lua/core.h"

typedef void (*opener)(lua_State *L);

/* Each adds its functions to the module table on top of the stack and registers its class. */
static const opener openers[] = {
    sc_lua_open_system,      sc_lua_open_tensor,       sc_lua_open_graph,         sc_lua_open_plan,
    sc_lua_open_attribution, sc_lua_open_prune,        sc_lua_open_kmeans,        sc_lua_open_train,
    sc_lua_open_npy,         sc_lua_open_safetensors,  sc_lua_open_file,          sc_lua_open_image,
    sc_lua_open_image_batch, sc_lua_open_image_source, sc_lua_open_image_loader,  sc_lua_open_image_colormap,
    sc_lua_open_gradient,    sc_lua_open_blur,         sc_lua_open_optimiser,     sc_lua_open_ema,
    sc_lua_open_onnx,        sc_lua_open_benchmark,    sc_lua_open_math,          sc_lua_open_covariance,
    sc_lua_open_repair,      sc_lua_open_image_decode, sc_lua_open_tensor_access,
};

#define SC_JOIN(a, b) a##b
#define SC_OPEN_NAME(variant) SC_JOIN(luaopen_secateur_core_, variant)
#define SC_LUA_OPEN SC_OPEN_NAME(SC_VARIANT)

__attribute__((visibility("default"))) int SC_LUA_OPEN(lua_State *L);

int SC_LUA_OPEN(lua_State *L) {
    luaL_checkversion(L);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof openers / sizeof openers[0]; i++)
        openers[i](L);
    return 1;
}
