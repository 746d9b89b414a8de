/* The class Tensor: making, reading and writing tensors. Arithmetic is in l_tensor_math.c. */
#include "lua/l_tensor.h"

#include "base/random.h"
#include "base/size.h"
#include "lua/core.h"
#include "lua/support.h"
#include "tensor/format.h"

#include <math.h>
#include <string.h>

static sc_tensor *check_self(lua_State *L, const char *method) {
    return sc_lua_check_tensor(L, 1, method, "self");
}

/* ---- elements ---- */

static void push_element(lua_State *L, const sc_tensor *tensor, size_t index) {
    switch (tensor->dtype) {
    case SC_REAL:
        lua_pushnumber(L, (lua_Number)sc_tensor_real(tensor)[index]);
        break;
    case SC_INT64:
        lua_pushinteger(L, (lua_Integer)sc_tensor_int64(tensor)[index]);
        break;
    case SC_UINT8:
        lua_pushinteger(L, sc_tensor_uint8(tensor)[index]);
        break;
    }
}

static void store_element(lua_State *L, const sc_tensor *tensor, size_t index, int value, const char *function) {
    switch (tensor->dtype) {
    case SC_REAL:
        sc_tensor_real(tensor)[index] = (sc_real)sc_lua_check_number(L, value, function, "value");
        break;
    case SC_INT64:
        sc_tensor_int64(tensor)[index] =
            sc_lua_check_integer(L, value, function, "value", LUA_MININTEGER, LUA_MAXINTEGER);
        break;
    case SC_UINT8:
        sc_tensor_uint8(tensor)[index] = (uint8_t)sc_lua_check_integer(L, value, function, "value", 0, 255);
        break;
    }
}

/* The element named by the indices (from 1) that start at stack slot `first`. */
static size_t check_indices(lua_State *L, const sc_tensor *tensor, int first, const char *function) {
    int given = lua_gettop(L) - first + 1;
    if (given != tensor->shape.ndim)
        sc_lua_fail(L, "%s: indices: expected %d, got %d", function, tensor->shape.ndim, given);
    size_t index = 0;
    for (int d = 0; d < tensor->shape.ndim; d++) {
        size_t size = tensor->shape.size[d];
        index = index * size + (size_t)sc_lua_check_integer(L, first + d, function, "index", 1, (lua_Integer)size) - 1;
    }
    return index;
}

static int tensor_get(lua_State *L) {
    sc_tensor *tensor = check_self(L, "get");
    push_element(L, tensor, check_indices(L, tensor, 2, "get"));
    return 1;
}

static int tensor_set(lua_State *L) {
    sc_tensor *tensor = check_self(L, "set");
    if (lua_isnone(L, 2))
        return sc_lua_expected(L, 2, "set", "value", "a number");
    store_element(L, tensor, check_indices(L, tensor, 3, "set"), 2, "set");
    sc_tensor_bump_version(tensor);
    lua_settop(L, 1);
    return 1;
}

static int tensor_fill(lua_State *L) {
    sc_tensor *tensor = check_self(L, "fill");
    size_t numel = sc_tensor_numel(tensor), size = sc_dtype_size(tensor->dtype);
    if (lua_isnone(L, 2))
        return sc_lua_expected(L, 2, "fill", "value", "a number");
    if (numel == 0)
        return lua_settop(L, 1), 1;
    store_element(L, tensor, 0, 2, "fill");
    sc_tensor_bump_version(tensor);
    char *data = sc_tensor_data(tensor);
    for (size_t done = 1; done < numel; done *= 2)
        memcpy(data + done * size, data, (numel - done < done ? numel - done : done) * size);
    lua_settop(L, 1);
    return 1;
}

/* ---- making ---- */

int sc_lua_push_new(lua_State *L, sc_dtype dtype, const sc_shape *shape, bool zero, sc_tensor **out) {
    sc_error error;
    sc_tensor *tensor = sc_lua_new_tensor(L);
    sc_lua_try(
        L, zero ? sc_tensor_create_zero(tensor, dtype, shape, &error) : sc_tensor_create(tensor, dtype, shape, &error),
        &error);
    if (out)
        *out = tensor;
    return 1;
}

int sc_lua_push_shared(lua_State *L, const sc_tensor *tensor) {
    sc_tensor *box = sc_lua_new_tensor(L);
    *box = sc_tensor_share(tensor);
    return 1;
}

void sc_lua_check_shape(lua_State *L, int first, int last, const char *function, sc_shape *out) {
    size_t sizes[SC_MAX_DIMS];
    sc_error error;
    int ndim = last - first + 1;
    if (ndim < 0 || ndim > SC_MAX_DIMS)
        sc_lua_fail(L, "%s: shape: expected at most %d sizes, got %d", function, SC_MAX_DIMS, ndim);
    for (int d = 0; d < ndim; d++)
        sizes[d] = (size_t)sc_lua_check_integer(L, first + d, function, "shape", 0, LUA_MAXINTEGER);
    sc_lua_try(L, sc_shape_init(out, ndim, sizes, &error), &error);
}

sc_shape sc_lua_check_shape_list(lua_State *L, int index, const char *function) {
    size_t sizes[SC_MAX_DIMS];
    sc_shape shape;
    sc_error error;
    if (!lua_istable(L, index))
        sc_lua_expected(L, index, function, "shape", "a list of sizes");
    lua_Unsigned ndim = lua_rawlen(L, index);
    if (ndim > SC_MAX_DIMS)
        sc_lua_fail(L, "%s: shape: expected at most %d dimensions, got %I", function, SC_MAX_DIMS, (LUAI_UACINT)ndim);
    for (lua_Unsigned d = 0; d < ndim; d++) {
        lua_rawgeti(L, index, (lua_Integer)d + 1);
        sizes[d] = (size_t)sc_lua_check_integer(L, -1, function, "shape", 0, LUA_MAXINTEGER);
        lua_pop(L, 1);
    }
    sc_lua_try(L, sc_shape_init(&shape, (int)ndim, sizes, &error), &error);
    return shape;
}

static sc_dtype check_dtype(lua_State *L, int index, const char *function) {
    if (lua_isnoneornil(L, index))
        return SC_REAL;
    const char *name = sc_lua_check_string(L, index, function, "dtype");
    for (int dtype = SC_REAL; dtype <= SC_UINT8; dtype++)
        if (strcmp(name, sc_dtype_name((sc_dtype)dtype)) == 0)
            return (sc_dtype)dtype;
    sc_lua_fail(L, "%s: dtype: expected %s, int64 or uint8, got '%s'", function, sc_dtype_name(SC_REAL), name);
    return SC_REAL;
}

/* The shape of a nested table, from its first elements; deeper checks come with the copy. */
static void nested_shape(lua_State *L, int index, sc_shape *out) {
    size_t sizes[SC_MAX_DIMS];
    sc_error error;
    int ndim = 0;
    lua_pushvalue(L, index);
    while (lua_istable(L, -1)) {
        if (ndim == SC_MAX_DIMS)
            sc_lua_fail(L, "tensor: expected at most %d levels of tables", SC_MAX_DIMS);
        sizes[ndim++] = (size_t)lua_rawlen(L, -1);
        lua_rawgeti(L, -1, 1);
    }
    lua_settop(L, lua_gettop(L) - ndim - 1);
    sc_lua_try(L, sc_shape_init(out, ndim, sizes, &error), &error);
}

/* Copies the table at the top of the stack into elements from *next on. */
static void copy_nested(lua_State *L, const sc_tensor *tensor, int level, size_t *next) {
    size_t size = tensor->shape.size[level];
    luaL_checkstack(L, 4, "tensor");
    if (!lua_istable(L, -1) || lua_rawlen(L, -1) != size)
        sc_lua_fail(L, "tensor: expected tables of one length per level: %d at level %d", (int)size, level + 1);
    for (size_t i = 1; i <= size; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i);
        if (level + 1 < tensor->shape.ndim)
            copy_nested(L, tensor, level + 1, next);
        else
            store_element(L, tensor, (*next)++, lua_gettop(L), "tensor");
        lua_pop(L, 1);
    }
}

/* tensor(nested [, dtype]) or tensor({size, ..., fill = v} [, dtype]) -> Tensor */
static int tensor_create(lua_State *L) {
    sc_shape shape;
    sc_tensor *tensor;
    if (!lua_istable(L, 1))
        sc_lua_expected(L, 1, "tensor", "values", "a table");
    sc_dtype dtype = check_dtype(L, 2, "tensor");
    lua_settop(L, 1);
    if (sc_lua_field(L, 1, "fill") != LUA_TNIL) {
        int ndim = (int)lua_rawlen(L, 1);
        luaL_checkstack(L, ndim + 4, "tensor");
        for (int d = 1; d <= ndim; d++)
            lua_rawgeti(L, 1, d);
        sc_lua_check_shape(L, 3, 2 + ndim, "tensor", &shape);
        sc_lua_push_new(L, dtype, &shape, true, &tensor);
        lua_replace(L, 1);
        lua_settop(L, 2);
        return tensor_fill(L);
    }
    lua_settop(L, 1);
    nested_shape(L, 1, &shape);
    sc_lua_push_new(L, dtype, &shape, true, &tensor);
    lua_insert(L, 1);
    size_t next = 0;
    copy_nested(L, tensor, 0, &next);
    lua_settop(L, 1);
    return 1;
}

/* The sizes before an optional table of options; *options gets its index, or 0. Unknown options are refused. */
static void check_sizes(lua_State *L, const char *function, const char *const *known, sc_shape *shape, int *options) {
    int last = lua_gettop(L);
    *options = 0;
    if (last > 0 && lua_istable(L, last)) {
        *options = last--;
        sc_lua_check_keys(L, *options, function, known);
    }
    sc_lua_check_shape(L, 1, last, function, shape);
}

static int create_filled(lua_State *L, const char *function, double value) {
    static const char *const known[] = {"dtype", NULL};
    sc_shape shape;
    sc_tensor *tensor;
    int options;
    sc_dtype dtype = SC_REAL;
    check_sizes(L, function, known, &shape, &options);
    if (options) {
        sc_lua_field(L, options, "dtype");
        dtype = check_dtype(L, lua_gettop(L), function);
    }
    sc_lua_push_new(L, dtype, &shape, true, &tensor);
    if (value != 0) {
        lua_pushcfunction(L, tensor_fill);
        lua_pushvalue(L, -2);
        if (dtype == SC_REAL)
            lua_pushnumber(L, value);
        else
            lua_pushinteger(L, (lua_Integer)value);
        lua_call(L, 2, 0);
    }
    return 1;
}

static int tensor_zeros(lua_State *L) {
    return create_filled(L, "zeros", 0);
}

static int tensor_ones(lua_State *L) {
    return create_filled(L, "ones", 1);
}

/* full(size, ..., value) -> Tensor */
static int tensor_full(lua_State *L) {
    sc_shape shape;
    sc_tensor *tensor;
    int last = lua_gettop(L);
    if (last < 1)
        sc_lua_expected(L, 1, "full", "value", "sizes and a number");
    sc_lua_check_number(L, last, "full", "value");
    sc_lua_check_shape(L, 1, last - 1, "full", &shape);
    sc_lua_push_new(L, SC_REAL, &shape, true, &tensor);
    lua_insert(L, last); /* before the value */
    lua_rotate(L, 1, 2);
    lua_settop(L, 2);
    return tensor_fill(L);
}

/* What random tensors have in common: checks sizes and options, whose index *options gets (or 0), seeds the generator
 * and pushes a tensor of unset numbers. */
static sc_tensor *create_random(lua_State *L, const char *function, const char *const *known, int *options,
                                sc_random *random) {
    sc_shape shape;
    sc_tensor *tensor;
    lua_Integer seed = 0;
    check_sizes(L, function, known, &shape, options);
    if (*options)
        seed = sc_lua_field_integer(L, *options, function, "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER);
    sc_lua_push_new(L, SC_REAL, &shape, false, &tensor);
    sc_random_seed(random, (uint64_t)seed, 0);
    return tensor;
}

/* randn(size, ..., {seed = 0, mean = 0, std = 1, truncate = none}) -> Tensor: normal numbers; those further than
 * truncate standard deviations from the mean are drawn again. */
static int tensor_randn(lua_State *L) {
    static const char *const known[] = {"seed", "mean", "std", "truncate", NULL};
    int options;
    sc_random random;
    double mean = 0, std = 1, truncate = INFINITY;
    sc_tensor *tensor = create_random(L, "randn", known, &options, &random);
    if (options) {
        mean = sc_lua_field_number(L, options, "randn", "mean", mean);
        std = sc_lua_field_number(L, options, "randn", "std", std);
        truncate = sc_lua_field_number(L, options, "randn", "truncate", truncate);
        if (!(truncate >= 0.5))
            sc_lua_fail(L, "randn: truncate: expected at least 0.5, got %f", truncate);
    }
    size_t count = sc_tensor_numel(tensor);
    for (size_t i = 0; i < count; i++) {
        double value;
        do
            value = sc_random_normal(&random);
        while (fabs(value) > truncate);
        sc_tensor_real(tensor)[i] = (sc_real)(mean + std * value);
    }
    return 1;
}

/* rand(size, ..., {seed = 0, low = 0, high = 1}) -> Tensor: uniform numbers in [low, high). */
static int tensor_rand(lua_State *L) {
    static const char *const known[] = {"seed", "low", "high", NULL};
    int options;
    sc_random random;
    double low = 0, high = 1;
    sc_tensor *tensor = create_random(L, "rand", known, &options, &random);
    if (options) {
        low = sc_lua_field_number(L, options, "rand", "low", low);
        high = sc_lua_field_number(L, options, "rand", "high", high);
    }
    size_t count = sc_tensor_numel(tensor);
    for (size_t i = 0; i < count; i++) {
        sc_real value = (sc_real)sc_random_between(&random, low, high);
        sc_tensor_real(tensor)[i] = (double)value < high ? value : (sc_real)low; /* rounded up to the end */
    }
    return 1;
}

/* ---- shape ---- */

/* The metatable of lists of sizes: they print like "[2x3]". */
static int shape_tostring(lua_State *L) {
    luaL_Buffer buffer;
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_buffinit(L, &buffer);
    luaL_addchar(&buffer, '[');
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, 1); i++) {
        if (i > 1)
            luaL_addchar(&buffer, 'x');
        lua_rawgeti(L, 1, i);
        luaL_tolstring(L, -1, NULL);
        lua_remove(L, -2);
        luaL_addvalue(&buffer);
    }
    luaL_addchar(&buffer, ']');
    luaL_pushresult(&buffer);
    return 1;
}

static void set_shape_metatable(lua_State *L) {
    if (luaL_newmetatable(L, SC_LUA_CLASS("Shape"))) {
        lua_pushnil(L); /* for messages it stays a table */
        lua_setfield(L, -2, "__name");
        lua_pushcfunction(L, shape_tostring);
        lua_setfield(L, -2, "__tostring");
    }
    lua_setmetatable(L, -2);
}

int sc_lua_push_shape(lua_State *L, const sc_shape *shape) {
    lua_createtable(L, shape->ndim, 0);
    for (int d = 0; d < shape->ndim; d++) {
        lua_pushinteger(L, (lua_Integer)shape->size[d]);
        lua_rawseti(L, -2, d + 1);
    }
    set_shape_metatable(L);
    return 1;
}

/* shape() -> list of sizes */
static int tensor_shape(lua_State *L) {
    return sc_lua_push_shape(L, &check_self(L, "shape")->shape);
}

static int tensor_size(lua_State *L) {
    sc_tensor *tensor = check_self(L, "size");
    int d = (int)sc_lua_check_integer(L, 2, "size", "dimension", 1, tensor->shape.ndim);
    lua_pushinteger(L, (lua_Integer)tensor->shape.size[d - 1]);
    return 1;
}

static int tensor_numel(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)sc_tensor_numel(check_self(L, "numel")));
    return 1;
}

static int tensor_dtype(lua_State *L) {
    lua_pushstring(L, sc_dtype_name(check_self(L, "dtype")->dtype));
    return 1;
}

static int tensor_clone(lua_State *L) {
    sc_tensor *tensor = check_self(L, "clone");
    sc_error error;
    sc_lua_try(L, sc_tensor_clone(sc_lua_new_tensor(L), tensor, &error), &error);
    return 1;
}

/* copy(from) -> itself, with the elements of a tensor of the same shape and type. */
static int tensor_copy(lua_State *L) {
    sc_tensor *tensor = check_self(L, "copy");
    const sc_tensor *from = sc_lua_check_tensor_like(L, 2, "copy", "from", tensor);
    memmove(sc_tensor_data(tensor), sc_tensor_data(from), sc_tensor_numel(from) * sc_dtype_size(from->dtype));
    sc_tensor_bump_version(tensor);
    lua_settop(L, 1);
    return 1;
}

/* reshape(size, ...) or reshape({size, ...}): one size may be -1. */
static int tensor_reshape(lua_State *L) {
    sc_tensor *tensor = check_self(L, "reshape");
    sc_shape shape;
    sc_error error;
    if (lua_istable(L, 2)) {
        int count = (int)lua_rawlen(L, 2);
        luaL_checkstack(L, count + 4, "reshape");
        for (int d = 1; d <= count; d++)
            lua_rawgeti(L, 2, d);
        lua_remove(L, 2);
    }
    int last = lua_gettop(L);
    size_t known = 1;
    int open = 0;
    for (int i = 2; i <= last; i++) {
        lua_Integer given = sc_lua_check_integer(L, i, "reshape", "size", -1, LUA_MAXINTEGER);
        if (given == -1 && open)
            sc_lua_fail(L, "reshape: size: expected at most one -1");
        if (given == -1)
            open = i;
        else if (!sc_size_multiply(&known, known, (size_t)given))
            sc_lua_fail(L, "reshape: size: too many elements");
    }
    if (open) {
        lua_pushinteger(L, known ? (lua_Integer)(sc_tensor_numel(tensor) / known) : 0);
        lua_replace(L, open);
    }
    sc_lua_check_shape(L, 2, last, "reshape", &shape);
    sc_lua_try(L, sc_tensor_reshape(sc_lua_new_tensor(L), tensor, &shape, &error), &error);
    return 1;
}

/* view(i [, j]): rows i..j of the first dimension, shared storage. */
static int tensor_view(lua_State *L) {
    sc_tensor *tensor = check_self(L, "view");
    sc_error error;
    lua_Integer rows = tensor->shape.ndim ? (lua_Integer)tensor->shape.size[0] : 0;
    lua_Integer first = sc_lua_check_integer(L, 2, "view", "first row", 1, rows);
    lua_Integer last = first;
    if (!lua_isnoneornil(L, 3))
        last = sc_lua_check_integer(L, 3, "view", "last row", first, rows);
    sc_lua_try(L, sc_tensor_rows(sc_lua_new_tensor(L), tensor, (size_t)first - 1, (size_t)(last - first) + 1, &error),
               &error);
    return 1;
}

static void push_nested(lua_State *L, const sc_tensor *tensor, int level, size_t *next) {
    if (level >= tensor->shape.ndim || level >= SC_MAX_DIMS) {
        push_element(L, tensor, (*next)++);
        return;
    }
    size_t count = tensor->shape.size[level];
    luaL_checkstack(L, 4, "totable");
    lua_createtable(L, count < 1 << 26 ? (int)count : 0, 0);
    for (size_t i = 1; i <= count; i++) {
        push_nested(L, tensor, level + 1, next);
        lua_rawseti(L, -2, (lua_Integer)i);
    }
}

static int tensor_totable(lua_State *L) {
    size_t next = 0;
    push_nested(L, check_self(L, "totable"), 0, &next);
    return 1;
}

/* ---- metamethods ---- */

/* t[i]: the element of a vector, else a view of row i; nil outside, so that ipairs ends. Other keys are methods. */
static int tensor_index(lua_State *L) {
    sc_tensor *tensor = sc_lua_test_tensor(L, 1);
    int whole = 0;
    lua_Integer i = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &whole) : 0;
    if (!whole) {
        lua_pushvalue(L, 2);
        lua_rawget(L, lua_upvalueindex(1));
        return 1;
    }
    if (!tensor || !tensor->storage || tensor->shape.ndim == 0 || i < 1 || (size_t)i > tensor->shape.size[0])
        return lua_pushnil(L), 1;
    if (tensor->shape.ndim == 1)
        return push_element(L, tensor, (size_t)i - 1), 1;
    sc_error error;
    sc_tensor *row = sc_lua_new_tensor(L);
    sc_lua_try(L, sc_tensor_rows(row, tensor, (size_t)i - 1, 1, &error), &error);
    row->shape = sc_shape_drop_first(&tensor->shape);
    return 1;
}

static int tensor_len(lua_State *L) {
    sc_tensor *tensor = check_self(L, "#");
    lua_pushinteger(L, tensor->shape.ndim ? (lua_Integer)tensor->shape.size[0] : 0);
    return 1;
}

static int tensor_tostring(lua_State *L) {
    sc_tensor *tensor = sc_lua_test_tensor(L, 1);
    if (!tensor || !tensor->storage)
        return lua_pushliteral(L, "Tensor (closed)"), 1;
    char text[SC_TENSOR_TEXT];
    lua_pushstring(L, sc_tensor_format(text, tensor));
    return 1;
}

static int tensor_close(lua_State *L) {
    sc_tensor *tensor = sc_lua_test_tensor(L, 1);
    if (tensor)
        sc_tensor_release(tensor);
    return 0;
}

void sc_lua_open_tensor(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"tensor", tensor_create}, {"zeros", tensor_zeros}, {"ones", tensor_ones}, {"full", tensor_full},
        {"randn", tensor_randn},   {"rand", tensor_rand},   {NULL, NULL},
    };
    static const luaL_Reg methods[] = {
        {"get", tensor_get},
        {"set", tensor_set},
        {"fill", tensor_fill},
        {"shape", tensor_shape},
        {"size", tensor_size},
        {"numel", tensor_numel},
        {"dtype", tensor_dtype},
        {"clone", tensor_clone},
        {"copy", tensor_copy},
        {"reshape", tensor_reshape},
        {"view", tensor_view},
        {"totable", tensor_totable},
        {"close", tensor_close},
        {"__len", tensor_len},
        {"__tostring", tensor_tostring},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    sc_lua_new_class(L, SC_LUA_CLASS("Tensor"), methods, tensor_close);
    luaL_getmetatable(L, SC_LUA_CLASS("Tensor"));
    sc_lua_add_tensor_math(L);
    sc_lua_add_tensor_order(L);
    lua_pushliteral(L, "Tensor");
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, tensor_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
