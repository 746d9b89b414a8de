/* NumPy's files, raw: .npy, .npz. Errors about files start with the path. */
#include "base/interrupt.h"
#include "io/npy.h"
#include "io/npz.h"
#include "io/zip.h"
#include "lua/core.h"
#include "lua/support.h"

#include <string.h>

#define ARCHIVE SC_LUA_CLASS("Archive")

/* npy_load(path) -> Tensor: uint8, int64 (other integers, booleans) or real. */
static int npy_load(lua_State *L) {
    sc_error error;
    const char *path = sc_lua_check_text(L, 1, "npy_load", "path");
    sc_tensor *tensor = sc_lua_new_tensor(L);
    sc_interrupt_begin();
    sc_status status = sc_npy_load(tensor, path, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    return 1;
}

static int archive_close(lua_State *L) {
    sc_zip_close(luaL_checkudata(L, 1, ARCHIVE));
    return 0;
}

/* Pushes an archive that is closed when the calling C function returns or raises: descriptors do not wait for the
 * collector. */
static sc_zip *push_archive(lua_State *L, const char *path) {
    sc_error error;
    sc_zip *zip = sc_lua_new_object(L, ARCHIVE, sizeof *zip);
    lua_toclose(L, -1);
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
    const sc_zip *zip = push_archive(L, sc_lua_check_text(L, 1, "npz_names", "path"));
    lua_newtable(L);
    for (size_t i = 0; i < zip->count; i++) {
        size_t length = array_name_length(&zip->entries[i]);
        if (length > 0) {
            lua_pushlstring(L, zip->entries[i].name, length);
            lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        }
    }
    return 1;
}

/* Pushes the array. */
static void push_entry(lua_State *L, const sc_zip *zip, const sc_zip_entry *entry, sc_npy_budget *budget) {
    sc_error error;
    sc_tensor *tensor = sc_lua_new_tensor(L);
    sc_interrupt_begin();
    sc_status status = sc_npy_load_entry(tensor, zip, entry, budget, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
}

static const sc_zip_entry *find_array(const sc_zip *zip, const char *name, size_t length) {
    for (size_t i = 0; i < zip->count; i++)
        if (length > 0 && array_name_length(&zip->entries[i]) == length &&
            memcmp(zip->entries[i].name, name, length) == 0)
            return &zip->entries[i];
    return NULL;
}

/* Lists the entries that are wanted, as an array that the collector owns, pushed: all arrays, or those that the list of
 * names at index 2 names. */
static const sc_zip_entry **push_wanted(lua_State *L, const sc_zip *zip, size_t *count) {
    bool all = lua_isnil(L, 2);
    size_t most = all ? zip->count : lua_rawlen(L, 2);
    const sc_zip_entry **entries = lua_newuserdatauv(L, (most + 1) * sizeof *entries, 0);
    *count = 0;
    for (size_t i = 0; all && i < most; i++)
        if (array_name_length(&zip->entries[i]) > 0)
            entries[(*count)++] = &zip->entries[i];
    for (size_t i = 0; !all && i < most; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        const char *name = sc_lua_check_string(L, lua_gettop(L), "npz_load", "names");
        entries[i] = find_array(zip, name, lua_rawlen(L, -1));
        if (!entries[i])
            sc_lua_fail(L, "'%s': no array '%s' in it", zip->file.path, name);
        lua_pop(L, 1);
        *count = i + 1;
    }
    return entries;
}

/* What arrays may unpack to that nobody has set a limit for: so much in any case, and so much for each of their bytes.
 * Images and features are packed to a tenth at best, masks to a hundredth, nothing but zeros to a thousandth. */
static uint64_t default_max_bytes(const sc_zip_entry *const *entries, size_t count) {
    enum { RATIO = 100 };
    uint64_t bytes = (uint64_t)256 << 20;
    for (size_t i = 0; i < count; i++) {
        uint64_t more = entries[i]->compressed < UINT64_MAX / RATIO ? RATIO * entries[i]->compressed : UINT64_MAX;
        bytes = more < UINT64_MAX - bytes ? bytes + more : UINT64_MAX;
    }
    return bytes;
}

/* npz_load(path[, names[, max_bytes]]) -> table name -> Tensor, of all arrays or of those in the list of names. They
 * may take max_bytes in memory together: by default 256 MiB and 100 for each byte that is stored of them. */
static int npz_load(lua_State *L) {
    size_t count;
    const char *path = sc_lua_check_text(L, 1, "npz_load", "path");
    if (!lua_isnoneornil(L, 2) && !lua_istable(L, 2))
        sc_lua_expected(L, 2, "npz_load", "names", "a list of names");
    lua_settop(L, 3);
    lua_Integer given = lua_isnil(L, 3) ? 0 : sc_lua_check_integer(L, 3, "npz_load", "max_bytes", 1, LUA_MAXINTEGER);
    const sc_zip *zip = push_archive(L, path);
    const sc_zip_entry *const *entries = (const sc_zip_entry *const *)push_wanted(L, zip, &count);
    sc_npy_budget budget = {.max_bytes = given ? (uint64_t)given : default_max_bytes(entries, count)};
    lua_newtable(L);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(L, entries[i]->name, array_name_length(entries[i]));
        push_entry(L, zip, entries[i], &budget);
        lua_rawset(L, -3);
    }
    return 1;
}

/* npz_write(path, names, tensors): two lists; the array names[i] is tensors[i]. The file appears whole or not at all.
 */
static int npz_write(lua_State *L) {
    static const char function[] = "npz_write";
    sc_error error;
    const char *path = sc_lua_check_text(L, 1, function, "path");
    if (!lua_istable(L, 2))
        sc_lua_expected(L, 2, function, "names", "a list of names");
    if (!lua_istable(L, 3) || lua_rawlen(L, 3) != lua_rawlen(L, 2))
        sc_lua_expected(L, 3, function, "tensors", "a list of tensors, as many as names");
    lua_settop(L, 3);
    size_t count = lua_rawlen(L, 2);
    const char **names = lua_newuserdatauv(L, (count + 1) * sizeof *names, 0);
    const sc_tensor **tensors = lua_newuserdatauv(L, (count + 1) * sizeof *tensors, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        lua_rawgeti(L, 3, (lua_Integer)i + 1);
        names[i] = sc_lua_check_text(L, -2, function, "names");
        tensors[i] = sc_lua_check_tensor(L, -1, function, "tensors");
        lua_pop(L, 2); /* the lists still hold them */
    }
    sc_interrupt_begin();
    sc_status status = sc_npz_write(path, names, tensors, count, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    return 0;
}

void sc_lua_open_npy(lua_State *L) {
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"npy_load", npy_load}, {"npz_names", npz_names}, {"npz_load", npz_load}, {"npz_write", npz_write},
        {NULL, NULL},
    };
    sc_lua_new_class(L, ARCHIVE, none, archive_close);
    luaL_setfuncs(L, functions, 0);
}
