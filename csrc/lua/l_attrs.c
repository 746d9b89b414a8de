#include "lua/l_attrs.h"

#include "lua/l_tensor.h"
#include "lua/support.h"

#include <limits.h>
#include <math.h>
#include <string.h>

static lua_Integer check_size(lua_State *L, int index, const char *function, const sc_attr *attr) {
    double max = attr->min == 0 && attr->max == 0 ? INT_MAX : attr->max;
    return sc_lua_check_integer(L, index, function, attr->name, (lua_Integer)attr->min, (lua_Integer)max);
}

static void read_pair(lua_State *L, int index, const char *function, const sc_attr *attr, size_t pair[2]) {
    if (!lua_istable(L, index)) {
        pair[0] = pair[1] = (size_t)check_size(L, index, function, attr);
        return;
    }
    if (lua_rawlen(L, index) != 2)
        sc_lua_fail(L, "%s: %s: expected a number or a list of two, got a list of %d", function, attr->name,
                    (int)lua_rawlen(L, index));
    for (int i = 0; i < 2; i++) {
        lua_rawgeti(L, index, i + 1);
        pair[i] = (size_t)check_size(L, lua_gettop(L), function, attr);
        lua_pop(L, 1);
    }
}

static double read_real(lua_State *L, int index, const char *function, const sc_attr *attr) {
    double value = sc_lua_check_number(L, index, function, attr->name);
    bool bounded = attr->min != 0 || attr->max != 0;
    if (!isfinite(value) || (bounded && (value < attr->min || value > attr->max)))
        sc_lua_fail(L, bounded ? "%s: %s: expected a number in [%f, %f], got %f" : "%s: %s: expected a finite number",
                    function, attr->name, attr->min, attr->max, value);
    return value;
}

static int read_choice(lua_State *L, int index, const char *function, const sc_attr *attr) {
    const char *text = sc_lua_check_string(L, index, function, attr->name);
    luaL_Buffer list;
    int found = sc_lua_find_choice(text, attr->choices);
    if (found >= 0)
        return found;
    luaL_buffinit(L, &list);
    for (int i = 0; attr->choices[i]; i++) {
        luaL_addstring(&list, i ? ", " : "one of ");
        luaL_addstring(&list, attr->choices[i]);
    }
    luaL_pushresult(&list);
    return sc_lua_expected(L, index, function, attr->name, lua_tostring(L, -1));
}

static void read_shape(lua_State *L, int index, const char *function, const sc_attr *attr, sc_shape *shape) {
    if (!lua_istable(L, index))
        sc_lua_expected(L, index, function, attr->name, "a list of sizes");
    int count = (int)lua_rawlen(L, index), top = lua_gettop(L);
    luaL_checkstack(L, count + 4, function);
    for (int d = 1; d <= count; d++)
        lua_rawgeti(L, index, d);
    sc_lua_check_shape(L, top + 1, top + count, function, shape);
    lua_settop(L, top);
}

static void read_list(lua_State *L, int index, const char *function, const sc_attr *attr, sc_size_list *list) {
    if (!lua_istable(L, index))
        sc_lua_expected(L, index, function, attr->name, "a list of sizes");
    size_t count = (size_t)lua_rawlen(L, index);
    if (count > SC_MAX_LIST)
        sc_lua_fail(L, "%s: %s: expected at most %d sizes, got %d", function, attr->name, SC_MAX_LIST, (int)count);
    list->count = count;
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        list->sizes[i] = (uint32_t)check_size(L, lua_gettop(L), function, attr);
        lua_pop(L, 1);
    }
}

/* Reads the value at index into one field. */
static void read_attr(lua_State *L, int index, const char *function, const sc_attr *attr, void *field) {
    switch (attr->kind) {
    case SC_ATTR_SIZE: {
        size_t size = (size_t)check_size(L, index, function, attr);
        memcpy(field, &size, sizeof size);
        break;
    }
    case SC_ATTR_PAIR: {
        size_t pair[2];
        read_pair(L, index, function, attr, pair);
        memcpy(field, pair, sizeof pair);
        break;
    }
    case SC_ATTR_REAL: {
        double value = read_real(L, index, function, attr);
        memcpy(field, &value, sizeof value);
        break;
    }
    case SC_ATTR_FLAG:
        *(bool *)field = sc_lua_check_flag(L, index, function, attr->name, false);
        break;
    case SC_ATTR_ENUM:
        *(int *)field = read_choice(L, index, function, attr);
        break;
    case SC_ATTR_SHAPE:
        read_shape(L, index, function, attr, field);
        break;
    case SC_ATTR_LIST:
        read_list(L, index, function, attr, field);
        break;
    }
}

static size_t field_size(sc_attr_kind kind) {
    switch (kind) {
    case SC_ATTR_SIZE:
        return sizeof(size_t);
    case SC_ATTR_PAIR:
        return 2 * sizeof(size_t);
    case SC_ATTR_REAL:
        return sizeof(double);
    case SC_ATTR_FLAG:
        return sizeof(bool);
    case SC_ATTR_ENUM:
        return sizeof(int);
    case SC_ATTR_SHAPE:
        return sizeof(sc_shape);
    case SC_ATTR_LIST:
        return sizeof(sc_size_list);
    }
    return 0;
}

static const sc_attr *find_attr(const sc_op *op, const char *name) {
    for (const sc_attr *attr = op->attrs; attr && attr->name; attr++)
        if (strcmp(attr->name, name) == 0)
            return attr;
    return NULL;
}

static void refuse_unknown(lua_State *L, int index, const sc_op *op, const char *function) {
    const char *known[32] = {0};
    size_t count = 0;
    for (const sc_attr *attr = op->attrs; attr && attr->name && count < 31; attr++)
        known[count++] = attr->name;
    sc_lua_check_keys(L, index, function, known);
}

void sc_lua_read_attrs(lua_State *L, int index, const sc_op *op, const char *node, void *attrs) {
    const char *function = lua_pushfstring(L, "%s '%s'", op->name, node); /* stays on the stack while in use */
    sc_op_default_attrs(op, attrs);
    bool given = !lua_isnoneornil(L, index);
    if (given && !lua_istable(L, index))
        sc_lua_expected(L, index, function, "attributes", "a table");
    if (given)
        refuse_unknown(L, index, op, function);
    for (const sc_attr *attr = op->attrs; attr && attr->name; attr++) {
        void *field = (char *)attrs + attr->offset;
        if (given && sc_lua_field(L, index, attr->name) != LUA_TNIL) {
            read_attr(L, lua_gettop(L), function, attr, field);
        } else if (attr->required) {
            sc_lua_fail(L, "%s: %s: missing", function, attr->name);
        } else if (attr->same_as) {
            memcpy(field, (char *)attrs + find_attr(op, attr->same_as)->offset, field_size(attr->kind));
        }
        if (given)
            lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void push_sizes(lua_State *L, const size_t *sizes, int count) {
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushinteger(L, (lua_Integer)sizes[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

/* Nothing for an empty one, as where it is not given. */
static void push_list(lua_State *L, const sc_size_list *list) {
    if (list->count == 0) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, (int)list->count, 0);
    for (size_t i = 0; i < list->count; i++) {
        lua_pushinteger(L, (lua_Integer)list->sizes[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

void sc_lua_push_attrs(lua_State *L, const sc_op *op, const void *attrs) {
    lua_newtable(L);
    for (const sc_attr *attr = op->attrs; attr && attr->name; attr++) {
        const void *field = (const char *)attrs + attr->offset;
        switch (attr->kind) {
        case SC_ATTR_SIZE:
            lua_pushinteger(L, (lua_Integer) * (const size_t *)field);
            break;
        case SC_ATTR_PAIR:
            push_sizes(L, field, 2);
            break;
        case SC_ATTR_REAL:
            lua_pushnumber(L, *(const double *)field);
            break;
        case SC_ATTR_FLAG:
            lua_pushboolean(L, *(const bool *)field);
            break;
        case SC_ATTR_ENUM:
            lua_pushstring(L, attr->choices[*(const int *)field]);
            break;
        case SC_ATTR_SHAPE:
            push_sizes(L, ((const sc_shape *)field)->size, ((const sc_shape *)field)->ndim);
            break;
        case SC_ATTR_LIST:
            push_list(L, field);
            break;
        }
        lua_setfield(L, -2, attr->name);
    }
}

/* Sets the field "default" of the table on top of the stack, unless the attribute has none. */
static void describe_default(lua_State *L, const sc_attr *attr) {
    if (attr->required || attr->same_as || attr->kind == SC_ATTR_SHAPE || attr->kind == SC_ATTR_LIST)
        return;
    if (attr->kind == SC_ATTR_FLAG)
        lua_pushboolean(L, attr->fallback != 0);
    else if (attr->kind == SC_ATTR_ENUM)
        lua_pushstring(L, attr->choices[(int)attr->fallback]);
    else if (attr->kind == SC_ATTR_REAL)
        lua_pushnumber(L, attr->fallback);
    else
        lua_pushinteger(L, (lua_Integer)attr->fallback);
    lua_setfield(L, -2, "default");
}

static void describe_bounds(lua_State *L, const sc_attr *attr) {
    if (attr->min == 0 && attr->max == 0)
        return;
    lua_pushnumber(L, attr->min);
    lua_setfield(L, -2, "min");
    lua_pushnumber(L, attr->max);
    lua_setfield(L, -2, "max");
}

static void describe_choices(lua_State *L, const sc_attr *attr) {
    if (!attr->choices)
        return;
    lua_newtable(L);
    for (int i = 0; attr->choices[i]; i++) {
        lua_pushstring(L, attr->choices[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "choices");
}

void sc_lua_describe_attrs(lua_State *L, const sc_op *op) {
    static const char *const kinds[] = {
        [SC_ATTR_SIZE] = "size", [SC_ATTR_PAIR] = "pair",   [SC_ATTR_REAL] = "real", [SC_ATTR_FLAG] = "flag",
        [SC_ATTR_ENUM] = "enum", [SC_ATTR_SHAPE] = "shape", [SC_ATTR_LIST] = "list"};
    lua_Integer count = 0;
    lua_newtable(L);
    for (const sc_attr *attr = op->attrs; attr && attr->name; attr++) {
        lua_newtable(L);
        lua_pushstring(L, attr->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, kinds[attr->kind]);
        lua_setfield(L, -2, "kind");
        lua_pushboolean(L, attr->required);
        lua_setfield(L, -2, "required");
        lua_pushstring(L, attr->same_as);
        lua_setfield(L, -2, "same_as");
        describe_default(L, attr);
        describe_bounds(L, attr);
        describe_choices(L, attr);
        lua_rawseti(L, -2, ++count);
    }
}
