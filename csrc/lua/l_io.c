/* Files of tensors, raw: .npy, .npz, safetensors. Errors about files start with the path. */
#include "io/npy.h"
#include "io/safetensors.h"
#include "io/zip.h"
#include "lua/core.h"
#include "lua/support.h"

#include <string.h>

#define ARCHIVE SC_LUA_CLASS("Archive")
#define SAFETENSORS SC_LUA_CLASS("SafetensorsFile")

/* A string without zero bytes, which would name another file than it seems to. */
static const char *check_path(lua_State *L, int index, const char *function) {
    const char *path = sc_lua_check_string(L, index, function, "path");
    if (strlen(path) != lua_rawlen(L, index))
        luaL_error(L, "%s: path: expected a string without zero bytes", function);
    return path;
}

/* npy_load(path) -> Tensor: uint8, int64 (other integers, booleans) or real. */
static int npy_load(lua_State *L) {
    sc_error error;
    const char *path = check_path(L, 1, "npy_load");
    sc_tensor *tensor = sc_lua_new_tensor(L);
    sc_lua_try(L, sc_npy_load(tensor, path, &error), &error);
    return 1;
}

static int archive_close(lua_State *L) {
    sc_zip_close(luaL_checkudata(L, 1, ARCHIVE));
    return 0;
}

/* Pushes an archive that the collector owns. */
static sc_zip *push_archive(lua_State *L, const char *path) {
    sc_error error;
    sc_zip *zip = sc_lua_new_object(L, ARCHIVE, sizeof *zip);
    sc_lua_try(L, sc_zip_open(zip, path, &error), &error);
    return zip;
}

/* The length of the array's name, which is the entry's without ".npy"; 0 when the entry is something else. */
static size_t array_name_length(const sc_zip_entry *entry) {
    bool is_array = entry->name_length > 4 && memcmp(entry->name + entry->name_length - 4, ".npy", 4) == 0;
    return is_array ? entry->name_length - 4 : 0;
}

/* npz_names(path) -> list of the arrays' names, in the archive's order. Reads the directory only. */
static int npz_names(lua_State *L) {
    const sc_zip *zip = push_archive(L, check_path(L, 1, "npz_names"));
    lua_newtable(L);
    for (size_t i = 0; i < zip->count; i++) {
        size_t length = array_name_length(&zip->entries[i]);
        if (length > 0) {
            lua_pushlstring(L, zip->entries[i].name, length);
            lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        }
    }
    sc_zip_close(lua_touserdata(L, -2));
    return 1;
}

/* Pushes the array. */
static void push_entry(lua_State *L, const sc_zip *zip, const sc_zip_entry *entry) {
    sc_error error;
    sc_tensor *tensor = sc_lua_new_tensor(L);
    sc_lua_try(L, sc_npy_load_entry(tensor, zip, entry, &error), &error);
}

static const sc_zip_entry *find_array(const sc_zip *zip, const char *name, size_t length) {
    for (size_t i = 0; i < zip->count; i++)
        if (length > 0 && array_name_length(&zip->entries[i]) == length &&
            memcmp(zip->entries[i].name, name, length) == 0)
            return &zip->entries[i];
    return NULL;
}

/* npz_load(path[, names]) -> table name -> Tensor, of all arrays or of those in the list of names. */
static int npz_load(lua_State *L) {
    const char *path = check_path(L, 1, "npz_load");
    bool all = lua_isnoneornil(L, 2);
    if (!all && !lua_istable(L, 2))
        sc_lua_expected(L, 2, "npz_load", "names", "a list of names");
    lua_settop(L, 2);
    const sc_zip *zip = push_archive(L, path);
    lua_newtable(L);
    for (size_t i = 0; all && i < zip->count; i++) {
        size_t length = array_name_length(&zip->entries[i]);
        if (length > 0) {
            lua_pushlstring(L, zip->entries[i].name, length);
            push_entry(L, zip, &zip->entries[i]);
            lua_rawset(L, 4);
        }
    }
    for (lua_Integer i = 1; !all && lua_rawgeti(L, 2, i) != LUA_TNIL; i++) {
        const char *name = sc_lua_check_string(L, 5, "npz_load", "names");
        const sc_zip_entry *entry = find_array(zip, name, lua_rawlen(L, 5));
        if (!entry)
            luaL_error(L, "'%s': no array '%s' in it", path, name);
        push_entry(L, zip, entry);
        lua_rawset(L, 4);
    }
    lua_settop(L, 4);
    sc_zip_close(lua_touserdata(L, 3));
    return 1;
}

/* The open file at index 1. */
static sc_safetensors *check_file(lua_State *L) {
    sc_safetensors *file = luaL_checkudata(L, 1, SAFETENSORS);
    if (!file->file.path)
        luaL_error(L, "safetensors: the file is closed");
    return file;
}

/* safetensors_open(path) -> file with the methods below. */
static int safetensors_open(lua_State *L) {
    sc_error error;
    const char *path = check_path(L, 1, "safetensors_open");
    sc_safetensors *file = sc_lua_new_object(L, SAFETENSORS, sizeof *file);
    sc_lua_try(L, sc_safetensors_open(file, path, &error), &error);
    return 1;
}

/* file:close(): may be called again. */
static int file_close(lua_State *L) {
    sc_safetensors_close(luaL_checkudata(L, 1, SAFETENSORS));
    return 0;
}

/* file:header() -> the JSON, as it is. */
static int file_header(lua_State *L) {
    sc_error error;
    luaL_Buffer buffer;
    const sc_safetensors *file = check_file(L);
    char *text = luaL_buffinitsize(L, &buffer, file->header);
    sc_lua_try(L, sc_safetensors_header(file, text, &error), &error);
    luaL_pushresultsize(&buffer, file->header);
    return 1;
}

/* file:bytes() -> the size of all that follows the header. */
static int file_bytes(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)check_file(L)->bytes);
    return 1;
}

/* The sizes in the list at index. */
static sc_shape check_shape(lua_State *L, int index, const char *function) {
    size_t sizes[SC_MAX_DIMS];
    sc_shape shape;
    sc_error error;
    if (!lua_istable(L, index))
        sc_lua_expected(L, index, function, "shape", "a list of sizes");
    lua_Unsigned ndim = lua_rawlen(L, index);
    if (ndim > SC_MAX_DIMS)
        luaL_error(L, "%s: shape: expected at most %d dimensions, got %I", function, SC_MAX_DIMS, (LUAI_UACINT)ndim);
    for (lua_Unsigned d = 0; d < ndim; d++) {
        lua_rawgeti(L, index, (lua_Integer)d + 1);
        sizes[d] = (size_t)sc_lua_check_integer(L, -1, function, "shape", 0, LUA_MAXINTEGER);
        lua_pop(L, 1);
    }
    sc_lua_try(L, sc_shape_make(&shape, (int)ndim, sizes, &error), &error);
    return shape;
}

/* file:tensor(dtype, shape, first, last) -> Tensor of the bytes first .. last - 1 after the header, counted from 0 as
 * in the header; dtype in the format's words ("F32"). */
static int file_tensor(lua_State *L) {
    static const char function[] = "safetensors";
    sc_error error;
    sc_element element;
    const sc_safetensors *file = check_file(L);
    const char *name = sc_lua_check_string(L, 2, function, "dtype");
    if (!sc_safetensors_element(&element, name))
        luaL_error(L, "%s: dtype: expected one of BOOL U8 I8 U16 I16 U32 I32 U64 I64 F16 BF16 F32 F64, got '%s'",
                   function, name);
    sc_shape shape = check_shape(L, 3, function);
    uint64_t first = (uint64_t)sc_lua_check_integer(L, 4, function, "first", 0, LUA_MAXINTEGER);
    uint64_t last = (uint64_t)sc_lua_check_integer(L, 5, function, "last", 0, LUA_MAXINTEGER);
    sc_tensor *tensor = sc_lua_new_tensor(L);
    sc_lua_try(L, sc_safetensors_read(tensor, file, element, &shape, first, last, &error), &error);
    return 1;
}

/* safetensors_write(path, header, tensors): the header as it is, the tensors' bytes in the list's order. The file
 * appears whole or not at all. */
static int safetensors_write(lua_State *L) {
    static const char function[] = "safetensors_write";
    sc_error error;
    size_t length;
    const char *path = check_path(L, 1, function);
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
    sc_lua_try(L, sc_safetensors_write(path, header, length, tensors, count, &error), &error);
    return 0;
}

void sc_lua_open_io(lua_State *L) {
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg file_methods[] = {
        {"header", file_header}, {"bytes", file_bytes}, {"tensor", file_tensor}, {"close", file_close}, {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"npy_load", npy_load},
        {"npz_names", npz_names},
        {"npz_load", npz_load},
        {"safetensors_open", safetensors_open},
        {"safetensors_write", safetensors_write},
        {NULL, NULL},
    };
    sc_lua_new_class(L, ARCHIVE, none, archive_close);
    sc_lua_new_class(L, SAFETENSORS, file_methods, file_close);
    luaL_setfuncs(L, functions, 0);
}
