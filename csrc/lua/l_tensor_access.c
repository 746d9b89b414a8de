/* The core's side of lua/tensor_access.h. */
#include "lua/tensor_access.h"

#include "base/memory.h"
#include "lua/core.h"
#include "lua/support.h"

#ifndef SC_REAL_IS_DOUBLE
static bool look(lua_State *L, int index, sc_tensor_memory *out) {
    if (!sc_lua_test_tensor(L, index))
        return false;
    sc_tensor *tensor = sc_lua_check_tensor(L, index, "mpi", "tensor");
    *out = (sc_tensor_memory){.data = sc_tensor_data(tensor),
                              .bytes = sc_tensor_numel(tensor) * sc_dtype_size(tensor->dtype),
                              .dtype = (int)tensor->dtype,
                              .dtype_name = sc_dtype_name(tensor->dtype)};
    return true;
}

static void change(lua_State *L, int index) {
    sc_tensor_bump_version(sc_lua_test_tensor(L, index));
}

static bool keep(lua_State *L, int index) {
    void *box;
    if (sc_memory_alloc(&box, 1, sizeof(sc_tensor), NULL) != SC_OK)
        return false;
    *(sc_tensor *)box = sc_tensor_share(sc_lua_test_tensor(L, index)); /* for good */
    return true;
}
#endif

void sc_lua_open_tensor_access(lua_State *L) {
#ifndef SC_REAL_IS_DOUBLE
    static sc_tensor_access access = {
        .version = SC_TENSOR_ACCESS_VERSION, .size = sizeof access, .look = look, .change = change, .keep = keep};
    lua_pushlightuserdata(L, &access);
    lua_setfield(L, LUA_REGISTRYINDEX, SC_TENSOR_ACCESS_KEY);
#else
    (void)L; /* the gradient checks' core, beside which the other may be loaded */
#endif
}
