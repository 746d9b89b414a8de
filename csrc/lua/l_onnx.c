/* The class Onnx: an ONNX model under construction, raw. lua/secateur/formats/onnx.lua decides what goes into it. */
#include "io/onnx.h"

#include "base/interrupt.h"
#include "base/size.h"
#include "lua/core.h"
#include "lua/support.h"

#define CLASS SC_LUA_CLASS("Onnx")
#define FUNCTION "onnx"

static sc_onnx *check_onnx(lua_State *L) {
    sc_onnx **box = luaL_testudata(L, 1, CLASS);
    if (!box || !*box)
        sc_lua_expected(L, 1, FUNCTION, "model", "an Onnx that is not closed");
    return *box;
}

/* The string in a field of the table. It is left on the stack: a finalizer may take it out of the table. */
static const char *field_text(lua_State *L, int table, const char *field) {
    sc_lua_field(L, table, field);
    return sc_lua_check_text(L, lua_gettop(L), FUNCTION, field);
}

static void check_table(lua_State *L, int index, const char *argument) {
    if (!lua_istable(L, index))
        sc_lua_expected(L, index, FUNCTION, argument, "a table");
}

static int64_t field_version(lua_State *L, const char *field) {
    sc_lua_field(L, 1, field);
    int64_t version = sc_lua_check_integer(L, -1, FUNCTION, field, 1, LUA_MAXINTEGER);
    lua_pop(L, 1);
    return version;
}

/* onnx{ir_version =, opset =, producer =, version =, name =} -> Onnx without nodes. */
static int onnx_create(lua_State *L) {
    static const char *const known[] = {"ir_version", "opset", "producer", "version", "name", NULL};
    sc_error error;
    check_table(L, 1, "header");
    sc_lua_check_keys(L, 1, FUNCTION, known);
    sc_onnx_header header;
    header.ir_version = field_version(L, "ir_version");
    header.opset = field_version(L, "opset");
    header.producer = field_text(L, 1, "producer");
    header.version = field_text(L, 1, "version");
    header.name = field_text(L, 1, "name");
    sc_onnx **box = sc_lua_new_object(L, CLASS, sizeof *box);
    sc_lua_try(L, sc_onnx_create(box, &header, &error), &error);
    return 1;
}

/* model:metadata(key, value) */
static int onnx_metadata(lua_State *L) {
    sc_error error;
    sc_onnx *onnx = check_onnx(L);
    sc_lua_try(L,
               sc_onnx_add_metadata(onnx, sc_lua_check_text(L, 2, FUNCTION, "key"),
                                    sc_lua_check_text(L, 3, FUNCTION, "value"), &error),
               &error);
    return 0;
}

/* The list at index 3; the strings in it stay alive with the list. */
static size_t read_dims(lua_State *L, sc_onnx_dim *dims) {
    check_table(L, 3, "shape");
    size_t count = (size_t)lua_rawlen(L, 3);
    if (count > SC_MAX_DIMS)
        sc_lua_fail(L, "%s: shape: expected at most %d dimensions, got %I", FUNCTION, SC_MAX_DIMS, (LUAI_UACINT)count);
    for (size_t d = 0; d < count; d++) {
        lua_rawgeti(L, 3, (lua_Integer)d + 1);
        if (lua_type(L, -1) == LUA_TSTRING)
            dims[d] = (sc_onnx_dim){.symbol = sc_lua_check_text(L, -1, FUNCTION, "shape")};
        else
            dims[d] = (sc_onnx_dim){.size = sc_lua_check_integer(L, -1, FUNCTION, "shape", 0, LUA_MAXINTEGER)};
        lua_pop(L, 1);
    }
    return count;
}

typedef sc_status add_value(sc_onnx *onnx, const char *name, const sc_onnx_dim *dims, size_t count, sc_error *error);

static int declare(lua_State *L, add_value *add) {
    sc_onnx_dim dims[SC_MAX_DIMS];
    sc_error error;
    sc_onnx *onnx = check_onnx(L);
    const char *name = sc_lua_check_text(L, 2, FUNCTION, "name");
    size_t count = read_dims(L, dims);
    sc_lua_try(L, add(onnx, name, dims, count, &error), &error);
    return 0;
}

/* model:input(name, {size or name of a size, ...}) */
static int onnx_input(lua_State *L) {
    return declare(L, sc_onnx_add_input);
}

/* model:output(name, {size or name of a size, ...}) */
static int onnx_output(lua_State *L) {
    return declare(L, sc_onnx_add_output);
}

/* model:initializer(name, tensor): shared, not copied. */
static int onnx_initializer(lua_State *L) {
    sc_error error;
    sc_onnx *onnx = check_onnx(L);
    const char *name = sc_lua_check_text(L, 2, FUNCTION, "name");
    const sc_tensor *tensor = sc_lua_check_tensor(L, 3, FUNCTION, "tensor");
    sc_lua_try(L, sc_onnx_add_initializer(onnx, name, tensor, &error), &error);
    return 0;
}

/* Calls `add` for each name of the list in a field of the node. */
static void add_names(lua_State *L, sc_onnx *onnx, const char *field,
                      sc_status (*add)(sc_onnx *onnx, const char *value, sc_error *error)) {
    sc_error error;
    sc_lua_field(L, 2, field);
    int list = lua_gettop(L);
    check_table(L, list, field);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, list); i++) {
        lua_rawgeti(L, list, i);
        sc_lua_try(L, add(onnx, sc_lua_check_text(L, -1, FUNCTION, field), &error), &error);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* Memory for the list on top of the stack, in a userdata pushed there. */
static void *push_array(lua_State *L, size_t count, size_t size) {
    size_t bytes = 0;
    if (!sc_size_multiply(&bytes, count + 1, size))
        sc_lua_fail(L, "%s: attributes: too many numbers", FUNCTION);
    return lua_newuserdatauv(L, bytes, 0);
}

/* A list of whole numbers at index: ints. One that starts with another number: floats. */
static void add_list(lua_State *L, sc_onnx *onnx, const char *name, int index) {
    sc_error error;
    size_t count = (size_t)lua_rawlen(L, index);
    lua_rawgeti(L, index, 1);
    bool whole = count == 0 || lua_isinteger(L, -1);
    lua_pop(L, 1);
    int64_t *ints = whole ? push_array(L, count, sizeof *ints) : NULL;
    float *floats = whole ? NULL : push_array(L, count, sizeof *floats);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        if (whole)
            ints[i] = sc_lua_check_integer(L, -1, FUNCTION, name, LUA_MININTEGER, LUA_MAXINTEGER);
        else
            floats[i] = (float)sc_lua_check_number(L, -1, FUNCTION, name);
        lua_pop(L, 1);
    }
    sc_lua_try(L,
               whole ? sc_onnx_node_ints(onnx, name, ints, count, &error)
                     : sc_onnx_node_floats(onnx, name, floats, count, &error),
               &error);
    lua_pop(L, 1);
}

/* The pair {name, value} on top of the stack, the value's type gives the attribute's. */
static void add_attribute(lua_State *L, sc_onnx *onnx) {
    sc_error error;
    check_table(L, -1, "attributes");
    int pair = lua_gettop(L);
    lua_rawgeti(L, pair, 1);
    const char *name = sc_lua_check_text(L, -1, FUNCTION, "attributes");
    lua_rawgeti(L, pair, 2);
    int value = pair + 2;
    if (lua_isinteger(L, value))
        sc_lua_try(L, sc_onnx_node_int(onnx, name, lua_tointeger(L, value), &error), &error);
    else if (lua_type(L, value) == LUA_TNUMBER)
        sc_lua_try(L, sc_onnx_node_float(onnx, name, lua_tonumber(L, value), &error), &error);
    else if (lua_type(L, value) == LUA_TSTRING)
        sc_lua_try(L, sc_onnx_node_string(onnx, name, sc_lua_check_text(L, value, FUNCTION, name), &error), &error);
    else if (lua_istable(L, value))
        add_list(L, onnx, name, value);
    else
        sc_lua_try(L, sc_onnx_node_tensor(onnx, name, sc_lua_check_tensor(L, value, FUNCTION, name), &error), &error);
    lua_settop(L, pair);
}

/* model:node{op =, name =, inputs = names, outputs = names [, attributes = {{name, value}, ...}]}; a value is a whole
 * number (int), another number (float), a string, a list of either kind of number, or a Tensor. */
static int onnx_node(lua_State *L) {
    static const char *const known[] = {"op", "name", "inputs", "outputs", "attributes", NULL};
    sc_error error;
    sc_onnx *onnx = check_onnx(L);
    check_table(L, 2, "node");
    sc_lua_check_keys(L, 2, FUNCTION, known);
    const char *op = field_text(L, 2, "op"), *name = field_text(L, 2, "name");
    sc_lua_try(L, sc_onnx_add_node(onnx, op, name, &error), &error);
    add_names(L, onnx, "inputs", sc_onnx_node_input);
    add_names(L, onnx, "outputs", sc_onnx_node_output);
    if (sc_lua_field(L, 2, "attributes") == LUA_TNIL)
        return 0;
    int list = lua_gettop(L);
    check_table(L, list, "attributes");
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, list); i++) {
        lua_rawgeti(L, list, i);
        add_attribute(L, onnx);
        lua_pop(L, 1);
    }
    return 0;
}

/* model:write(path): the file appears whole or not at all. */
static int onnx_write(lua_State *L) {
    sc_error error;
    const sc_onnx *onnx = check_onnx(L);
    const char *path = sc_lua_check_text(L, 2, FUNCTION, "path");
    sc_interrupt_begin();
    sc_status status = sc_onnx_write(onnx, path, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    return 0;
}

static int onnx_tostring(lua_State *L) {
    sc_onnx *const *box = luaL_checkudata(L, 1, CLASS);
    if (!*box)
        return lua_pushliteral(L, "Onnx (closed)"), 1;
    lua_pushfstring(L, "Onnx: %I nodes", (LUAI_UACINT)sc_onnx_node_count(*box));
    return 1;
}

static int onnx_close(lua_State *L) {
    sc_onnx **box = luaL_checkudata(L, 1, CLASS);
    sc_onnx_destroy(*box);
    *box = NULL;
    return 0;
}

void sc_lua_open_onnx(lua_State *L) {
    static const luaL_Reg functions[] = {{"onnx", onnx_create}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"metadata", onnx_metadata},       {"input", onnx_input}, {"output", onnx_output},
        {"initializer", onnx_initializer}, {"node", onnx_node},   {"write", onnx_write},
        {"__tostring", onnx_tostring},     {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    sc_lua_new_class(L, CLASS, methods, onnx_close);
}
