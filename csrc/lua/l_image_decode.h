/* How files are to be decoded, as fields of a table of options. */
#ifndef SC_LUA_L_IMAGE_DECODE_H
#define SC_LUA_L_IMAGE_DECODE_H

#include "image/pixels.h"

#include <lua.h>

/* Reads max_pixels (64 Mpixel unless given) and window ("file" unless given; "full" or {centre, width}) of the table at
 * an absolute index. Raises errors in the function's name. */
sc_decode_options sc_lua_check_decode_options(lua_State *L, int table, const char *function);

#endif
