/* Tables of preprocessing options, for whatever loads images. */
#ifndef SC_LUA_L_IMAGE_PREPROCESS_H
#define SC_LUA_L_IMAGE_PREPROCESS_H

#include "image/preprocess.h"

#include <lua.h>

/* The fields size, channels, resize, interpolation, range, mean, std, augment, seed, epoch of the table at index. */
sc_preprocess sc_lua_check_preprocess(lua_State *L, int index, const char *function);

#endif
