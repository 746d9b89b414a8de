/* Batches of images: owned by the collector while they are made, then handed out as Lua values. */
#include "lua/l_image_batch.h"

#include "lua/core.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

#define CLASS SC_LUA_CLASS("ImageBatch")

sc_image_batch *sc_lua_new_image_batch(lua_State *L) {
    sc_lua_collect_if_due(L);
    return sc_lua_new_object(L, CLASS, sizeof(sc_image_batch));
}

static int image_batch_release(lua_State *L) {
    sc_image_batch_release(luaL_checkudata(L, 1, CLASS));
    return 0;
}

void sc_lua_push_image_failures(lua_State *L, const sc_image_batch *batch, const size_t *indices) {
    lua_Integer failures = 0;
    lua_newtable(L);
    for (size_t i = 0; i < batch->count; i++) {
        if (!batch->failed[i])
            continue;
        lua_createtable(L, 0, 2);
        lua_pushinteger(L, (lua_Integer)(indices ? indices[i] : i) + 1);
        lua_setfield(L, -2, "index");
        lua_pushstring(L, batch->messages[i] ? batch->messages[i] : "out of memory");
        lua_setfield(L, -2, "message");
        lua_rawseti(L, -2, ++failures);
    }
}

int sc_lua_push_image_batch(lua_State *L, sc_image_batch *batch, const size_t *indices, size_t first) {
    lua_Integer kept = 0;
    sc_lua_push_shared(L, &batch->pixels);
    lua_newtable(L);
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->failed[i])
            continue;
        lua_pushinteger(L, (lua_Integer)(first + i) + 1);
        lua_rawseti(L, -2, ++kept);
    }
    sc_lua_push_image_failures(L, batch, indices);
    sc_image_batch_release(batch);
    return 3;
}

void sc_lua_open_image_batch(lua_State *L) {
    static const luaL_Reg none[] = {{NULL, NULL}};
    sc_lua_new_class(L, CLASS, none, image_batch_release);
}
