#include "lua/support.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char raise_key = 'r'; /* its address is the registry key of the function that raises messages */

void sc_lua_set_raise(lua_State *L, int index) {
    lua_pushvalue(L, index);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &raise_key);
}

/* Raises the message on top of the stack by the function that was set; exhausted: it says that memory ran out. */
static int raise_message(lua_State *L, bool exhausted) {
    luaL_checkstack(L, 3, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &raise_key);
    if (lua_isfunction(L, -1)) {
        lua_pushvalue(L, -2); /* the first stays, for the case that the call comes back */
        lua_pushboolean(L, exhausted);
        lua_call(L, 2, 0);
    } else {
        lua_pop(L, 1);
    }
    return luaL_error(L, "%s", lua_tostring(L, -1));
}

int sc_lua_fail(lua_State *L, const char *format, ...) {
    va_list arguments;
    luaL_checkstack(L, 4, NULL);
    va_start(arguments, format);
    lua_pushvfstring(L, format, arguments);
    va_end(arguments);
    return raise_message(L, false);
}

void sc_lua_try(lua_State *L, sc_status status, const sc_error *error) {
    if (status == SC_OK)
        return;
    if (status == SC_ERROR_INTERRUPTED)
        luaL_error(L, "%s", error->message);
    lua_pushstring(L, error->message);
    raise_message(L, status == SC_ERROR_MEMORY);
}

void sc_lua_try_in(lua_State *L, const char *function, sc_status status, const sc_error *error) {
    if (status != SC_OK && status != SC_ERROR_INTERRUPTED) {
        lua_pushfstring(L, "%s: %s", function, error->message);
        raise_message(L, status == SC_ERROR_MEMORY);
    }
    sc_lua_try(L, status, error);
}

const char *sc_lua_describe(lua_State *L, int index) {
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        return lua_pushfstring(L, "%s", luaL_tolstring(L, index, NULL));
    case LUA_TSTRING: {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        return length <= 60 ? lua_pushfstring(L, "'%s'", text)
                            : lua_pushfstring(L, "a string of %d bytes", (int)length);
    }
    case LUA_TNIL:
    case LUA_TNONE:
        return lua_pushliteral(L, "nil");
    case LUA_TBOOLEAN:
        return lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
    default: {
        if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
            return lua_tostring(L, -1);
        return lua_pushfstring(L, "a %s", luaL_typename(L, index));
    }
    }
}

int sc_lua_expected(lua_State *L, int index, const char *function, const char *argument, const char *expected) {
    bool dot = strcmp(argument, "self") == 0 && lua_type(L, index) != LUA_TUSERDATA; /* x.sum() */
    const char *got = sc_lua_describe(L, index);
    return sc_lua_fail(L, "%s: %s: expected %s, got %s%s", function, argument, expected, got,
                       dot ? "; is there a dot in place of a colon?" : "");
}

lua_Integer sc_lua_check_integer(lua_State *L, int index, const char *function, const char *argument, lua_Integer low,
                                 lua_Integer high) {
    int whole = 0;
    lua_Integer value = 0;
    index = index < 0 ? lua_absindex(L, index) : index; /* the message pushes */
    if (lua_type(L, index) == LUA_TNUMBER)
        value = lua_tointegerx(L, index, &whole);
    if (!whole || value < low || value > high) {
        char expected[80] = "a whole number"; /* not pushed: an argument left out has its index just above the stack */
        if (high != LUA_MAXINTEGER)
            snprintf(expected, sizeof expected, "a whole number in %lld..%lld", (long long)low, (long long)high);
        else if (low != LUA_MININTEGER)
            snprintf(expected, sizeof expected, "a whole number of at least %lld", (long long)low);
        sc_lua_expected(L, index, function, argument, expected);
    }
    return value;
}

double sc_lua_check_number(lua_State *L, int index, const char *function, const char *argument) {
    if (lua_type(L, index) != LUA_TNUMBER)
        sc_lua_expected(L, index, function, argument, "a number");
    return (double)lua_tonumber(L, index);
}

const char *sc_lua_check_string(lua_State *L, int index, const char *function, const char *argument) {
    if (lua_type(L, index) != LUA_TSTRING)
        sc_lua_expected(L, index, function, argument, "a string");
    return lua_tostring(L, index);
}

const char *sc_lua_check_text(lua_State *L, int index, const char *function, const char *argument) {
    const char *path = sc_lua_check_string(L, index, function, argument);
    if (strlen(path) != lua_rawlen(L, index))
        sc_lua_fail(L, "%s: %s: expected a string without zero bytes", function, argument);
    return path;
}

bool sc_lua_check_flag(lua_State *L, int index, const char *function, const char *argument, bool fallback) {
    if (lua_isnoneornil(L, index))
        return fallback;
    if (!lua_isboolean(L, index))
        sc_lua_expected(L, index, function, argument, "a boolean");
    return lua_toboolean(L, index);
}

int sc_lua_field(lua_State *L, int table, const char *field) {
    table = lua_absindex(L, table);
    lua_pushstring(L, field);
    return lua_rawget(L, table);
}

lua_Integer sc_lua_field_integer(lua_State *L, int table, const char *function, const char *field, lua_Integer fallback,
                                 lua_Integer low, lua_Integer high) {
    lua_Integer value = fallback;
    if (sc_lua_field(L, table, field) != LUA_TNIL)
        value = sc_lua_check_integer(L, lua_gettop(L), function, field, low, high);
    lua_pop(L, 1);
    return value;
}

double sc_lua_field_number(lua_State *L, int table, const char *function, const char *field, double fallback) {
    double value = fallback;
    if (sc_lua_field(L, table, field) != LUA_TNIL)
        value = sc_lua_check_number(L, lua_gettop(L), function, field);
    lua_pop(L, 1);
    return value;
}

bool sc_lua_field_flag(lua_State *L, int table, const char *function, const char *field, bool fallback) {
    sc_lua_field(L, table, field);
    bool value = sc_lua_check_flag(L, lua_gettop(L), function, field, fallback);
    lua_pop(L, 1);
    return value;
}

int sc_lua_find_choice(const char *text, const char *const *choices) {
    for (int i = 0; choices[i]; i++)
        if (strcmp(choices[i], text) == 0)
            return i;
    return -1;
}

void sc_lua_check_keys(lua_State *L, int table, const char *function, const char *const *known) {
    table = lua_absindex(L, table);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING || sc_lua_find_choice(lua_tostring(L, -1), known) < 0) {
            luaL_Buffer list;
            const char *key = sc_lua_describe(L, -1);
            luaL_buffinit(L, &list);
            for (const char *const *name = known; *name; name++) {
                if (name != known)
                    luaL_addstring(&list, ", ");
                luaL_addstring(&list, *name);
            }
            luaL_pushresult(&list);
            sc_lua_fail(L, "%s: unknown option %s, expected one of: %s", function, key, lua_tostring(L, -1));
        }
    }
}

size_t *sc_lua_check_index_list(lua_State *L, int index, const char *function, const char *argument, lua_Integer low,
                                lua_Integer high, size_t *count) {
    index = lua_absindex(L, index);
    if (!lua_istable(L, index))
        sc_lua_expected(L, index, function, argument, "a list");
    *count = (size_t)lua_rawlen(L, index);
    size_t *items = lua_newuserdatauv(L, (*count + 1) * sizeof *items, 0);
    for (size_t i = 0; i < *count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        items[i] = (size_t)(sc_lua_check_integer(L, lua_gettop(L), function, argument, low, high) - low);
        lua_pop(L, 1);
    }
    return items;
}

sc_tensor *sc_lua_test_tensor(lua_State *L, int index) {
    return luaL_testudata(L, index, SC_LUA_CLASS("Tensor"));
}

sc_tensor *sc_lua_check_tensor(lua_State *L, int index, const char *function, const char *argument) {
    sc_tensor *tensor = sc_lua_test_tensor(L, index);
    if (!tensor)
        sc_lua_expected(L, index, function, argument, "a Tensor");
    else if (!tensor->storage)
        sc_lua_fail(L, "%s: %s: expected a Tensor, got a closed one", function, argument);
    return tensor;
}

sc_tensor *sc_lua_check_tensor_of(lua_State *L, int index, const char *function, const char *argument, sc_dtype dtype) {
    sc_tensor *tensor = sc_lua_check_tensor(L, index, function, argument);
    if (tensor->dtype != dtype)
        sc_lua_fail(L, "%s: %s: expected a tensor of %s, got one of %s", function, argument, sc_dtype_name(dtype),
                    sc_dtype_name(tensor->dtype));
    return tensor;
}

sc_tensor *sc_lua_check_tensor_like(lua_State *L, int index, const char *function, const char *argument,
                                    const sc_tensor *like) {
    char wanted[SC_SHAPE_TEXT], got[SC_SHAPE_TEXT];
    sc_tensor *tensor = sc_lua_check_tensor_of(L, index, function, argument, like->dtype);
    if (!sc_shape_equal(&tensor->shape, &like->shape))
        sc_lua_fail(L, "%s: %s: expected %s, got %s", function, argument, sc_shape_format(wanted, &like->shape),
                    sc_shape_format(got, &tensor->shape));
    return tensor;
}

sc_tensor *sc_lua_new_tensor(lua_State *L) {
    sc_lua_collect_if_due(L);
    return sc_lua_new_object(L, SC_LUA_CLASS("Tensor"), sizeof(sc_tensor));
}

void *sc_lua_new_object(lua_State *L, const char *class_name, size_t size) {
    void *object = lua_newuserdatauv(L, size, 1);
    memset(object, 0, size);
    luaL_setmetatable(L, class_name);
    return object;
}

static bool in_finalizer(lua_State *L) {
    return lua_gc(L, LUA_GCCOUNT) < 0; /* since Lua 5.4.4 the collector answers nothing there */
}

void sc_lua_refuse_in_finalizer(lua_State *L, const char *function) {
    if (in_finalizer(L))
        sc_lua_fail(L, "%s: must not be called from a finalizer", function);
}

/* Whether the C function that runs was called by the collector itself, be it while a hook runs. */
static bool is_called_by_collector(lua_State *L) {
    lua_Debug frame;
    if (!lua_getstack(L, 0, &frame) || !lua_getinfo(L, "n", &frame))
        return false;
    return strcmp(frame.namewhat, "hook") == 0 ||
           (strcmp(frame.namewhat, "metamethod") == 0 && strcmp(frame.name, "__gc") == 0);
}

/* Whatever allocates in Lua may run the finalizers of scripts, in the middle of functions that have already looked at
 * their arguments. What a finalizer closes by hand stays open, and is left to the collector. */
static int close_unless_in_finalizer(lua_State *L) {
    if (in_finalizer(L) && !is_called_by_collector(L))
        return 0;
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static void set_closer(lua_State *L, const char *name, lua_CFunction finalize) {
    lua_pushcfunction(L, finalize);
    lua_pushcclosure(L, close_unless_in_finalizer, 1);
    lua_setfield(L, -2, name);
}

void sc_lua_new_class(lua_State *L, const char *class_name, const luaL_Reg *methods, lua_CFunction finalize) {
    luaL_newmetatable(L, class_name);
    luaL_setfuncs(L, methods, 0);
    if (lua_getfield(L, -1, "__index") == LUA_TNIL) {
        lua_pushvalue(L, -2);
        lua_setfield(L, -3, "__index");
    }
    lua_pop(L, 1);
    for (const luaL_Reg *method = methods; finalize && method->name; method++)
        if (method->func == finalize)
            set_closer(L, method->name, finalize);
    if (finalize) {
        set_closer(L, "__gc", finalize);
        set_closer(L, "__close", finalize);
    }
    lua_pop(L, 1);
}

/* A quarter more than what is live, at least 64 MiB. */
static size_t next_collection(size_t live) {
    const size_t min_growth = (size_t)64 << 20;
    return live + (live / 4 > min_growth ? live / 4 : min_growth);
}

void sc_lua_collect_if_due(lua_State *L) {
    static const char key = 'k'; /* its address is the registry key of the size at which to collect next */
    size_t live = sc_memory_live();
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
    size_t due = (size_t)lua_tointeger(L, -1), next = next_collection(live);
    lua_pop(L, 1);
    if (due != 0 && live <= due && next >= due)
        return;
    if (due != 0 && live > due) {
        lua_gc(L, LUA_GCCOLLECT);
        next = next_collection(sc_memory_live());
    } /* else much was given back since, and what comes now must not grow to the old size */
    lua_pushinteger(L, (lua_Integer)next);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}
