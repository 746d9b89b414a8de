/* What the bindings of the image room share. */
#ifndef SC_LUA_L_IMAGE_H
#define SC_LUA_L_IMAGE_H

#include "image/batch.h"

#include <lua.h>

/* The list of whole numbers in low..high at index, as an array that the collector owns, pushed; low is taken off each.
 * Messages call the list argument. */
size_t *sc_lua_check_index_list(lua_State *L, int index, const char *function, const char *argument, lua_Integer low,
                                lua_Integer high, size_t *count);

/* The fields size, channels, mean, std, augment, seed, epoch of the table at index. */
sc_preprocess sc_lua_check_preprocess(lua_State *L, int index, const char *function);

/* The source at index; raises when it is none, or a closed one. */
sc_image_source *sc_lua_check_image_source(lua_State *L, int index, const char *function, const char *argument);

/* Pushes a batch that the collector owns, empty. */
sc_image_batch *sc_lua_new_image_batch(lua_State *L);

/* Pushes x, positions, failures of a finished batch, and releases it. indices [count], from 0, say which picture stands
 * at which position; the first position counts as first (from 0). */
int sc_lua_push_image_batch(lua_State *L, sc_image_batch *batch, const size_t *indices, size_t first);

/* Pushes the failures alone: a list of {index=, message=}; indices NULL when they are the positions. */
void sc_lua_push_image_failures(lua_State *L, const sc_image_batch *batch, const size_t *indices);

#endif
