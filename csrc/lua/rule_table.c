#include "lua/rule_table.h"

#include "attribution/rule_schema.h"
#include "lua/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Where a value stands in the rule: "groups[2].terms[1].bias". The schema's names are few and short. */
typedef struct path {
    char text[96];
} path;

static path path_field(const path *at, const char *field) {
    path inner = {""};
    snprintf(inner.text, sizeof inner.text, "%.63s%s%.31s", at->text, at->text[0] ? "." : "", field);
    return inner;
}

static path path_item(const path *at, int item) {
    path inner = {""};
    snprintf(inner.text, sizeof inner.text, "%.63s[%d]", at->text, item);
    return inner;
}

/* Pushes "path: expected ..., got ..." about the value at index; always false. */
static bool push_fault(lua_State *L, const path *at, const char *expected, int index) {
    const char *got = sc_lua_describe(L, index);
    lua_pushfstring(L, "%s%sexpected %s, got %s", at->text, at->text[0] ? ": " : "", expected, got);
    return false;
}

/* Pushes "path: unknown field ..., expected ..." about the key at index; always false. */
static bool push_unknown(lua_State *L, const path *at, const char *expected, int index) {
    const char *key = sc_lua_describe(L, index);
    lua_pushfstring(L, "%s%sunknown field %s, expected %s", at->text, at->text[0] ? ": " : "", key, expected);
    return false;
}

static bool is_field(lua_State *L, int index, const sc_record *record) {
    if (lua_type(L, index) != LUA_TSTRING)
        return false;
    for (const sc_field *field = record->fields; field->name; field++)
        if (strcmp(lua_tostring(L, index), field->name) == 0 && strlen(field->name) == lua_rawlen(L, index))
            return true;
    return false;
}

/* Whether the value at index is a table with no other fields than the record's. */
static bool check_fields(lua_State *L, int index, const sc_record *record, const path *at) {
    if (!lua_istable(L, index))
        return push_fault(L, at, "a table", index);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (is_field(L, -1, record))
            continue;
        char expected[160] = "one of: ";
        for (const sc_field *field = record->fields; field->name; field++) {
            size_t used = strlen(expected);
            snprintf(expected + used, sizeof expected - used, "%s%s", field == record->fields ? "" : ", ", field->name);
        }
        return push_unknown(L, at, expected, lua_gettop(L));
    }
    return true;
}

/* Each reader takes the value at index into the memory at out; false with a message pushed. */

static bool read_number(lua_State *L, int index, const sc_field *field, const path *at, double *out) {
    double value = lua_isnil(L, index) ? field->fallback : lua_tonumber(L, index);
    bool is_number = lua_isnil(L, index) || lua_type(L, index) == LUA_TNUMBER;
    if (!is_number || !isfinite(value) || (field->non_negative && value < 0))
        return push_fault(L, at, field->non_negative ? "a finite number of at least 0" : "a finite number", index);
    *out = value;
    return true;
}

static bool read_choice(lua_State *L, int index, const sc_field *field, const path *at, int *out) {
    *out = 0;
    if (lua_isnil(L, index))
        return true;
    bool is_text = lua_type(L, index) == LUA_TSTRING;
    if (is_text && field->old_name && strcmp(lua_tostring(L, index), field->old_name) == 0) {
        lua_pushfstring(L, "%s: '%s' is called '%s' now", at->text, field->old_name, field->new_name);
        return false;
    }
    *out = is_text ? sc_lua_find_choice(lua_tostring(L, index), field->choices) : -1;
    if (*out >= 0)
        return true;
    char expected[160] = "one of ";
    for (const char *const *choice = field->choices; *choice; choice++) {
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s'%s'", choice == field->choices ? "" : ", ", *choice);
    }
    return push_fault(L, at, expected, index);
}

static bool read_numbers(lua_State *L, int index, const sc_field *field, const path *at, char *out) {
    int count = 0;
    if (!lua_isnil(L, index)) {
        bool good = lua_istable(L, index) && lua_rawlen(L, index) >= 1;
        good = good && lua_rawlen(L, index) <= (size_t)field->max_count;
        if (!good) {
            char expected[80];
            snprintf(expected, sizeof expected, "a list of 1 to %d numbers", field->max_count);
            return push_fault(L, at, expected, index);
        }
        count = (int)lua_rawlen(L, index);
    }
    memcpy(out + field->count_offset, &count, sizeof count);
    for (int i = 0; i < count; i++) {
        path inner = path_item(at, i + 1);
        lua_rawgeti(L, index, i + 1);
        double value = lua_tonumber(L, -1);
        if (lua_type(L, -1) != LUA_TNUMBER || !isfinite(value))
            return push_fault(L, &inner, "a finite number", lua_gettop(L));
        memcpy(out + field->offset + (size_t)i * sizeof value, &value, sizeof value);
        lua_pop(L, 1);
    }
    return true;
}

static bool read_record(lua_State *L, int index, const sc_record *record, const path *at, char *out);

static bool read_list(lua_State *L, int index, const sc_field *field, const path *at, char *out) {
    size_t count = lua_istable(L, index) ? lua_rawlen(L, index) : 0;
    if (count < 1 || count > (size_t)field->max_count) {
        char expected[80];
        snprintf(expected, sizeof expected, "a list of 1 to %d %s", field->max_count, field->name);
        return push_fault(L, at, expected, index);
    }
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TNUMBER)
            return push_unknown(L, at, "a list", lua_gettop(L));
    }
    int items = (int)count;
    memcpy(out + field->count_offset, &items, sizeof items);
    for (int i = 0; i < items; i++) {
        path inner = path_item(at, i + 1);
        lua_rawgeti(L, index, i + 1);
        char *item = out + field->offset + (size_t)i * field->record->size;
        if (!read_record(L, lua_gettop(L), field->record, &inner, item))
            return false;
        lua_pop(L, 1);
    }
    return true;
}

/* The field's value is at index, the record's memory at out. */
static bool read_value(lua_State *L, int index, const sc_field *field, const path *at, char *out) {
    switch (field->type) {
    case SC_FIELD_NUMBER:
        return read_number(L, index, field, at, (double *)(void *)(out + field->offset));
    case SC_FIELD_CHOICE:
        return read_choice(L, index, field, at, (int *)(void *)(out + field->offset));
    case SC_FIELD_TEXT:
        return lua_isnil(L, index) || lua_type(L, index) == LUA_TSTRING || push_fault(L, at, "a string", index);
    case SC_FIELD_RECORD:
        return lua_isnil(L, index) || read_record(L, index, field->record, at, out + field->offset);
    case SC_FIELD_NUMBERS:
        return read_numbers(L, index, field, at, out);
    case SC_FIELD_LIST:
        return read_list(L, index, field, at, out);
    case SC_FIELD_ABSENT:
        return lua_isnil(L, index) || push_fault(L, at, field->absent_expected, index);
    }
    return true;
}

static bool read_record(lua_State *L, int index, const sc_record *record, const path *at, char *out) {
    luaL_checkstack(L, 8, NULL);
    if (!check_fields(L, index, record, at))
        return false;
    for (const sc_field *field = record->fields; field->name; field++) {
        path inner = path_field(at, field->name);
        sc_lua_field(L, index, field->name);
        if (!read_value(L, lua_gettop(L), field, &inner, out))
            return false;
        lua_pop(L, 1);
    }
    return true;
}

bool sc_lua_read_rule(lua_State *L, int index, sc_rule *rule) {
    const path at = {""}, kind = path_field(&at, sc_rule_kind_field.name);
    memset(rule, 0, sizeof *rule);
    index = lua_absindex(L, index);
    luaL_checkstack(L, 8, NULL);
    if (!check_fields(L, index, sc_rule_schema(SC_RULE_LINEAR), &at))
        return false;
    sc_lua_field(L, index, sc_rule_kind_field.name);
    if (!read_value(L, lua_gettop(L), &sc_rule_kind_field, &kind, (char *)rule))
        return false;
    lua_pop(L, 1);
    return read_record(L, index, sc_rule_schema(rule->kind), &at, (char *)rule);
}
