/* Batches of images as Lua values, for the source and the loader. */
#ifndef SC_LUA_L_IMAGE_BATCH_H
#define SC_LUA_L_IMAGE_BATCH_H

#include "image/batch.h"

#include <lua.h>

/* Pushes a batch that the collector owns, empty. */
sc_image_batch *sc_lua_new_image_batch(lua_State *L);

/* Pushes x, positions, failures of a finished batch, and releases it. indices [count], from 0, say which image stands
 * at which position; the first position counts as first (from 0). */
int sc_lua_push_image_batch(lua_State *L, sc_image_batch *batch, const size_t *indices, size_t first);

/* Pushes the failures alone: a list of {index=, message=}; indices NULL when they are the positions. */
void sc_lua_push_image_failures(lua_State *L, const sc_image_batch *batch, const size_t *indices);

#endif
