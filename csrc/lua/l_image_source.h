/* The class ImageSource, for the loader. */
#ifndef SC_LUA_L_IMAGE_SOURCE_H
#define SC_LUA_L_IMAGE_SOURCE_H

#include "image/source.h"

#include <lua.h>

/* The source at index; raises when it is none, or a closed one. */
sc_image_source *sc_lua_check_image_source(lua_State *L, int index, const char *function, const char *argument);

#endif
