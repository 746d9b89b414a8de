/* The class SafetensorsFile: the container, raw. Errors about files start with the path. */
#include "base/interrupt.h"
#include "io/safetensors.h"
#include "lua/core.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

#include <string.h>

#define CLASS SC_LUA_CLASS("SafetensorsFile")

/* The open file at index 1. */
static sc_safetensors *check_safetensors(lua_State *L) {
    sc_safetensors *file = luaL_testudata(L, 1, CLASS);
    if (!file)
        sc_lua_expected(L, 1, "safetensors", "self", "a SafetensorsFile");
    else if (!file->file.path)
        sc_lua_fail(L, "safetensors: the file is closed");
    return file;
}

/* safetensors_open(path) -> file with the methods below. */
static int safetensors_open(lua_State *L) {
    sc_error error;
    const char *path = sc_lua_check_text(L, 1, "safetensors_open", "path");
    sc_safetensors *file = sc_lua_new_object(L, CLASS, sizeof *file);
    sc_lua_try(L, sc_safetensors_open(file, path, &error), &error);
    return 1;
}

/* file:close(): may be called again. */
static int safetensors_close(lua_State *L) {
    sc_safetensors_close(luaL_checkudata(L, 1, CLASS));
    return 0;
}

/* file:header() -> the JSON, as it is. */
static int safetensors_header(lua_State *L) {
    sc_error error;
    luaL_Buffer buffer;
    const sc_safetensors *file = check_safetensors(L);
    char *text = luaL_buffinitsize(L, &buffer, file->header);
    sc_lua_try(L, sc_safetensors_header(file, text, &error), &error);
    luaL_pushresultsize(&buffer, file->header);
    return 1;
}

/* file:bytes() -> the size of all that follows the header. */
static int safetensors_bytes(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)check_safetensors(L)->bytes);
    return 1;
}

/* file:tensor(dtype, shape, first, last) -> Tensor of the bytes first .. last - 1 after the header, counted from 0 as
 * in the header; dtype in the format's words ("F32"). */
static int safetensors_tensor(lua_State *L) {
    static const char function[] = "safetensors";
    sc_error error;
    sc_element element;
    const sc_safetensors *file = check_safetensors(L);
    const char *name = sc_lua_check_string(L, 2, function, "dtype");
    if (!sc_element_from_name(&element, name))
        sc_lua_fail(L, "%s: dtype: expected one of " SC_ELEMENT_NAMES ", got '%s'", function, name);
    sc_shape shape = sc_lua_check_shape_list(L, 3, function);
    uint64_t first = (uint64_t)sc_lua_check_integer(L, 4, function, "first", 0, LUA_MAXINTEGER);
    uint64_t last = (uint64_t)sc_lua_check_integer(L, 5, function, "last", 0, LUA_MAXINTEGER);
    sc_tensor *tensor = sc_lua_new_tensor(L);
    sc_interrupt_begin();
    sc_status status = sc_safetensors_read(tensor, file, element, &shape, first, last, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    return 1;
}

static int safetensors_tostring(lua_State *L) {
    const sc_safetensors *file = luaL_checkudata(L, 1, CLASS);
    if (!file->file.path)
        return lua_pushliteral(L, "SafetensorsFile (closed)"), 1;
    lua_pushfstring(L, "SafetensorsFile: '%s', %I bytes of tensors", file->file.path, (LUAI_UACINT)file->bytes);
    return 1;
}

/* safetensors_write(path, header, tensors): the header as it is, the tensors' bytes in the list's order. The file
 * appears whole or not at all. */
static int safetensors_write(lua_State *L) {
    static const char function[] = "safetensors_write";
    sc_error error;
    size_t length;
    const char *path = sc_lua_check_text(L, 1, function, "path");
    sc_lua_check_string(L, 2, function, "header");
    const char *header = lua_tolstring(L, 2, &length);
    if (!lua_istable(L, 3))
        sc_lua_expected(L, 3, function, "tensors", "a list of tensors");
    size_t count = lua_rawlen(L, 3);
    const sc_tensor **tensors = lua_newuserdatauv(L, (count + 1) * sizeof *tensors, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 3, (lua_Integer)i + 1);
        tensors[i] = sc_lua_check_tensor(L, -1, function, "tensors");
        lua_pop(L, 1); /* the list still holds it */
    }
    sc_interrupt_begin();
    sc_status status = sc_safetensors_write(path, header, length, tensors, count, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    return 0;
}

void sc_lua_open_safetensors(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"header", safetensors_header}, {"bytes", safetensors_bytes},         {"tensor", safetensors_tensor},
        {"close", safetensors_close},   {"__tostring", safetensors_tostring}, {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"safetensors_open", safetensors_open},
        {"safetensors_write", safetensors_write},
        {NULL, NULL},
    };
    sc_lua_new_class(L, CLASS, methods, safetensors_close);
    luaL_setfuncs(L, functions, 0);
}
