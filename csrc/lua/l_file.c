/* The class File: a file whose bytes, zip entries and tensors are read where the caller says. Understanding what it
 * holds is left to Lua. And files that are written whole. Errors start with the path. */
#include "base/atomic_file.h"
#include "base/folder.h"
#include "base/interrupt.h"
#include "io/file_stream.h"
#include "io/strided.h"
#include "io/zip.h"
#include "lua/core.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

#include <string.h>

#define CLASS SC_LUA_CLASS("File")
#define FOLDER SC_LUA_CLASS("Folder")

enum { CHUNK = 1 << 16 }; /* bytes that are summed up at a time */

/* The open file at index 1; its directory is loaded when a zip entry is first asked for. */
static sc_zip *check_file(lua_State *L) {
    sc_zip *zip = luaL_testudata(L, 1, CLASS);
    if (!zip)
        sc_lua_expected(L, 1, "file", "self", "a File");
    else if (!zip->file.path)
        sc_lua_fail(L, "file: the file is closed");
    return zip;
}

/* file_open(path) -> File with the methods below. */
static int file_open(lua_State *L) {
    sc_error error;
    const char *path = sc_lua_check_text(L, 1, "file_open", "path");
    sc_zip *zip = sc_lua_new_object(L, CLASS, sizeof *zip);
    sc_lua_try(L, sc_file_open(&zip->file, path, &error), &error);
    return 1;
}

/* file:close(): may be called again. */
static int file_close(lua_State *L) {
    sc_zip_close(luaL_checkudata(L, 1, CLASS));
    return 0;
}

/* file:size() -> bytes. */
static int file_size(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)check_file(L)->file.size);
    return 1;
}

/* file:modified() -> time of its last change when it was opened, nanoseconds since 1970. */
static int file_modified(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)check_file(L)->file.modified);
    return 1;
}

/* The range of bytes at indices 2 (its offset) and 3 (its length). */
static uint64_t check_range(lua_State *L, const sc_file *file, size_t *length) {
    lua_Integer size = (lua_Integer)file->size;
    lua_Integer offset = sc_lua_check_integer(L, 2, "file", "offset", 0, size);
    *length = (size_t)sc_lua_check_integer(L, 3, "file", "length", 0, size - offset);
    return (uint64_t)offset;
}

/* file:bytes(offset, length) -> string. */
static int file_bytes(lua_State *L) {
    sc_error error;
    luaL_Buffer buffer;
    size_t length;
    const sc_file *file = &check_file(L)->file;
    uint64_t offset = check_range(L, file, &length);
    char *bytes = luaL_buffinitsize(L, &buffer, length);
    sc_lua_try(L, sc_file_read(file, offset, bytes, length, &error), &error);
    luaL_pushresultsize(&buffer, length);
    return 1;
}

/* file:crc32(offset, length) -> the CRC-32 of these bytes. */
static int file_crc32(lua_State *L) {
    sc_error error;
    unsigned char bytes[CHUNK];
    size_t length;
    uint32_t crc = 0;
    const sc_file *file = &check_file(L)->file;
    uint64_t offset = check_range(L, file, &length);
    sc_status status = SC_OK;
    sc_interrupt_begin();
    for (size_t done = 0, count; done < length && status == SC_OK; done += count) {
        count = length - done < CHUNK ? length - done : CHUNK;
        status = sc_file_read_parallel(file, offset + done, bytes, count, &crc, &error);
    }
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    lua_pushinteger(L, (lua_Integer)crc);
    return 1;
}

/* file:zip() -> the number of entries of the zip archive that the file must be. */
static int file_zip(lua_State *L) {
    sc_error error;
    sc_zip *zip = check_file(L);
    if (!zip->sorted) {
        sc_status status = sc_zip_load(zip, &error);
        if (status != SC_OK)
            sc_zip_unload(zip);
        sc_lua_try(L, status, &error);
    }
    lua_pushinteger(L, (lua_Integer)zip->count);
    return 1;
}

/* file:name(i) -> the name of the i-th entry. */
static int file_name(lua_State *L) {
    const sc_zip *zip = check_file(L);
    lua_Integer i = sc_lua_check_integer(L, 2, "file", "entry", 1, (lua_Integer)zip->count);
    lua_pushlstring(L, zip->entries[i - 1].name, zip->entries[i - 1].name_length);
    return 1;
}

/* file:entry(name) -> offset of the entry's stored bytes, how many there are, their CRC-32, whether they are the bytes
 * themselves, neither compressed nor encrypted; or nil when there is no such entry. */
static int file_entry(lua_State *L) {
    sc_error error;
    uint64_t offset;
    const sc_zip *zip = check_file(L);
    const char *name = sc_lua_check_string(L, 2, "file", "entry");
    const sc_zip_entry *entry = sc_zip_find(zip, name, lua_rawlen(L, 2));
    if (!entry)
        return lua_pushnil(L), 1;
    sc_lua_try(L, sc_zip_locate(&offset, zip, entry, &error), &error);
    lua_pushinteger(L, (lua_Integer)offset);
    lua_pushinteger(L, (lua_Integer)entry->compressed);
    lua_pushinteger(L, (lua_Integer)entry->crc);
    lua_pushboolean(L, sc_zip_is_plain(entry));
    return 4;
}

/* The list of strides at index, one per dimension of the shape. */
static void check_strides(lua_State *L, int index, sc_strided *view) {
    if (!lua_istable(L, index))
        sc_lua_expected(L, index, "file", "strides", "a list of strides");
    if (lua_rawlen(L, index) != (lua_Unsigned)view->shape.ndim)
        sc_lua_fail(L, "file: strides: expected %d, got %I", view->shape.ndim, (LUAI_UACINT)lua_rawlen(L, index));
    for (int d = 0; d < view->shape.ndim; d++) {
        lua_rawgeti(L, index, d + 1);
        view->stride[d] = (uint64_t)sc_lua_check_integer(L, -1, "file", "strides", 0, LUA_MAXINTEGER);
        lua_pop(L, 1);
    }
}

/* file:tensor(dtype, shape, strides, offset, first, length, big_endian[, crc]) -> Tensor: a view (strides and offset in
 * elements) of the storage that begins at byte `first`; dtype in the words of safetensors ("F32"). With crc, the view
 * must be the whole storage in order, and is refused when its CRC-32 is another. */
static int file_tensor(lua_State *L) {
    sc_error error;
    sc_strided view = {0};
    const sc_file *file = &check_file(L)->file;
    const char *name = sc_lua_check_string(L, 2, "file", "dtype");
    if (!sc_element_from_name(&view.element, name))
        sc_lua_fail(L, "file: dtype: expected one of " SC_ELEMENT_NAMES ", got '%s'", name);
    view.shape = sc_lua_check_shape_list(L, 3, "file");
    check_strides(L, 4, &view);
    view.offset = (uint64_t)sc_lua_check_integer(L, 5, "file", "offset", 0, LUA_MAXINTEGER);
    lua_Integer size = (lua_Integer)file->size, first = sc_lua_check_integer(L, 6, "file", "first", 0, size);
    view.first = (uint64_t)first;
    view.last = view.first + (uint64_t)sc_lua_check_integer(L, 7, "file", "length", 0, size - first);
    view.big_endian = sc_lua_check_flag(L, 8, "file", "big_endian", false);
    view.checked = !lua_isnoneornil(L, 9);
    if (view.checked)
        view.crc = (uint32_t)sc_lua_check_integer(L, 9, "file", "crc", 0, UINT32_MAX);
    sc_tensor *tensor = sc_lua_new_tensor(L);
    sc_interrupt_begin();
    sc_status status = sc_strided_read(tensor, file, &view, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    return 1;
}

static int file_tostring(lua_State *L) {
    const sc_zip *zip = luaL_checkudata(L, 1, CLASS);
    if (!zip->file.path)
        return lua_pushliteral(L, "File (closed)"), 1;
    lua_pushfstring(L, "File: '%s', %I bytes", zip->file.path, (LUAI_UACINT)zip->file.size);
    return 1;
}

/* file_write(path, content): writes a file whole or not at all, by a temporary file beside it. */
static int file_write(lua_State *L) {
    sc_error error;
    sc_atomic_file file;
    const char *path = sc_lua_check_text(L, 1, "file_write", "path");
    const char *content = sc_lua_check_string(L, 2, "file_write", "content");
    size_t length = lua_rawlen(L, 2);
    sc_interrupt_begin();
    sc_status status = sc_atomic_file_open(&file, path, &error);
    if (status == SC_OK) {
        status = sc_atomic_file_write(&file, content, length, &error);
        if (status == SC_OK)
            status = sc_atomic_file_commit(&file, &error);
        else
            sc_atomic_file_discard(&file);
    }
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    return 0;
}

/* file_try(path): raises what file_write would where no file can be written there; leaves what is there as it is. */
static int file_try(lua_State *L) {
    sc_error error;
    sc_atomic_file file;
    sc_status status = sc_atomic_file_open(&file, sc_lua_check_text(L, 1, "file_try", "path"), &error);
    if (status == SC_OK)
        sc_atomic_file_discard(&file);
    sc_lua_try(L, status, &error);
    return 0;
}

/* file_real(path) -> the path without links; or nil, message where there is nothing. */
static int file_real(lua_State *L) {
    sc_error error;
    char real[SC_FILE_REAL];
    if (sc_file_real(real, sc_lua_check_text(L, 1, "file_real", "path"), &error) == SC_OK)
        return lua_pushstring(L, real), 1;
    lua_pushnil(L);
    lua_pushstring(L, error.message);
    return 2;
}

static int folder_release(lua_State *L) {
    sc_folder_release(luaL_checkudata(L, 1, FOLDER));
    return 0;
}

/* folder_names(path) -> list of the names in a folder but "." and "..", in no order. */
static int folder_names(lua_State *L) {
    sc_error error;
    const char *path = sc_lua_check_text(L, 1, "folder_names", "path");
    sc_folder *folder = sc_lua_new_object(L, FOLDER, sizeof *folder); /* owns the names while Lua may raise */
    sc_lua_try(L, sc_folder_read(folder, path, &error), &error);
    lua_newtable(L);
    lua_Integer count = 0;
    for (size_t at = 0; at < folder->length; at += strlen(folder->names + at) + 1) {
        lua_pushstring(L, folder->names + at);
        lua_rawseti(L, -2, ++count);
    }
    sc_folder_release(folder);
    return 1;
}

void sc_lua_open_file(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"size", file_size},   {"modified", file_modified},   {"bytes", file_bytes}, {"crc32", file_crc32},
        {"zip", file_zip},     {"name", file_name},           {"entry", file_entry}, {"tensor", file_tensor},
        {"close", file_close}, {"__tostring", file_tostring}, {NULL, NULL},
    };
    static const luaL_Reg functions[] = {{"file_open", file_open},       {"file_write", file_write},
                                         {"file_try", file_try},         {"file_real", file_real},
                                         {"folder_names", folder_names}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    sc_lua_new_class(L, CLASS, methods, file_close);
    sc_lua_new_class(L, FOLDER, none, folder_release);
    luaL_setfuncs(L, functions, 0);
}
