/* Tables of preprocessing options. */
#include "lua/l_image_preprocess.h"

#include "lua/support.h"

#include <math.h>
#include <stdio.h>

/* Reads list[1] and list[2] of a field; false when the field is absent. */
static bool field_pair(lua_State *L, int table, const char *function, const char *field, double max, double *pair) {
    bool present = sc_lua_field(L, table, field) != LUA_TNIL;
    if (present) {
        int list = lua_gettop(L);
        if (!lua_istable(L, list) || lua_rawlen(L, list) != 2)
            sc_lua_expected(L, list, function, field, "a list of two numbers");
        for (int i = 0; i < 2; i++) {
            lua_rawgeti(L, list, i + 1);
            pair[i] = sc_lua_check_number(L, lua_gettop(L), function, field);
            lua_pop(L, 1);
        }
        if (!(pair[0] > 0 && pair[0] <= pair[1] && pair[1] <= max)) {
            char message[160]; /* lua_pushfstring would write 1.0 for 1 */
            snprintf(message, sizeof message, "expected {min, max} in (0, %g], got {%g, %g}", max, pair[0], pair[1]);
            sc_lua_fail(L, "%s: %s: %s", function, field, message);
        }
    }
    lua_pop(L, 1);
    return present;
}

static double field_within(lua_State *L, int table, const char *function, const char *field, double max) {
    double value = sc_lua_field_number(L, table, function, field, 0);
    if (!(value >= 0 && value <= max)) {
        char message[80];
        snprintf(message, sizeof message, "expected a number in [0, %g], got %g", max, value);
        sc_lua_fail(L, "%s: %s: %s", function, field, message);
    }
    return value;
}

static sc_augment check_augment(lua_State *L, int table, const char *function) {
    static const char *const known[] = {"scale",      "ratio",    "hflip",      "vflip", "rotation",
                                        "brightness", "contrast", "saturation", NULL};
    sc_augment augment = {0};
    sc_lua_check_keys(L, table, function, known);
    field_pair(L, table, function, "scale", 1, augment.scale);
    field_pair(L, table, function, "ratio", 1000, augment.ratio);
    augment.hflip = field_within(L, table, function, "hflip", 1);
    augment.vflip = field_within(L, table, function, "vflip", 1);
    augment.rotation = field_within(L, table, function, "rotation", 180);
    augment.brightness = field_within(L, table, function, "brightness", 1000);
    augment.contrast = field_within(L, table, function, "contrast", 1000);
    augment.saturation = field_within(L, table, function, "saturation", 1000);
    return augment;
}

/* A number, or a list of one per channel. */
static void field_channels(lua_State *L, int table, const char *function, const char *field, size_t channels,
                           sc_real fallback, bool positive, sc_real out[3]) {
    sc_lua_field(L, table, field);
    int list = lua_gettop(L);
    bool single = lua_type(L, list) == LUA_TNUMBER;
    if (!single && !lua_isnil(L, list) && (!lua_istable(L, list) || lua_rawlen(L, list) != channels))
        sc_lua_expected(L, list, function, field,
                        channels == 1 ? "a number or a list of one number" : "a number or a list of three numbers");
    for (size_t c = 0; c < 3; c++)
        out[c] = fallback;
    for (size_t c = 0; c < channels && !lua_isnil(L, list); c++) {
        if (single)
            lua_pushvalue(L, list);
        else
            lua_rawgeti(L, list, (lua_Integer)c + 1);
        double value = sc_lua_check_number(L, lua_gettop(L), function, field);
        out[c] = (sc_real)value; /* which can overflow, or become 0 */
        if (!isfinite(out[c]) || (positive && !(out[c] > 0)))
            sc_lua_expected(L, lua_gettop(L), function, field, positive ? "finite numbers above 0" : "finite numbers");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* "squash", "crop", "pad", or the length of the shorter side before a crop of `size`. */
static void field_resize(lua_State *L, int table, const char *function, sc_preprocess *out) {
    static const char *const modes[] = {"squash", "crop", "pad", NULL};
    int type = sc_lua_field(L, table, "resize"), index = lua_gettop(L);
    int mode = type == LUA_TSTRING ? sc_lua_find_choice(lua_tostring(L, index), modes) : -1;
    out->shorter = out->size;
    if (type == LUA_TNUMBER) {
        out->resize = SC_RESIZE_CROP;
        out->shorter = (size_t)sc_lua_check_integer(L, index, function, "resize", (lua_Integer)out->size, 16384);
    } else if (mode >= 0)
        out->resize = (sc_resize_mode)mode;
    else if (type != LUA_TNIL)
        sc_lua_expected(L, index, function, "resize", "'squash', 'crop', 'pad' or a size");
    lua_pop(L, 1);
}

static void field_interpolation(lua_State *L, int table, const char *function, sc_preprocess *out) {
    static const char *const kinds[] = {"bilinear", "bicubic", "nearest", NULL};
    int type = sc_lua_field(L, table, "interpolation"), index = lua_gettop(L);
    int kind = type == LUA_TSTRING ? sc_lua_find_choice(lua_tostring(L, index), kinds) : -1;
    if (kind >= 0)
        out->interpolation = (sc_interpolation)kind;
    else if (type != LUA_TNIL)
        sc_lua_expected(L, index, function, "interpolation", "'bilinear', 'bicubic' or 'nearest'");
    lua_pop(L, 1);
}

/* No stored value lies beyond; far beyond, the difference of two would overflow single precision. */
#define MAX_STORED 4294967296.0

/* nil: as stored. */
static void field_range(lua_State *L, int table, const char *function, sc_preprocess *out) {
    static const char *const kinds[] = {"full", "percentile", NULL};
    static const char expected[] = "'full', 'percentile' or {low, high}, low below high, both within 2^32";
    int type = sc_lua_field(L, table, "range"), index = lua_gettop(L);
    int kind = type == LUA_TSTRING ? sc_lua_find_choice(lua_tostring(L, index), kinds) : -1;
    if (type == LUA_TTABLE && lua_rawlen(L, index) == 2) {
        lua_rawgeti(L, index, 1);
        lua_rawgeti(L, index, 2);
        out->range = (sc_value_range){SC_RANGE_GIVEN, sc_lua_check_number(L, index + 1, function, "range"),
                                      sc_lua_check_number(L, index + 2, function, "range")};
        if (!(out->range.low < out->range.high) || fabs(out->range.low) > MAX_STORED ||
            fabs(out->range.high) > MAX_STORED)
            sc_lua_expected(L, index, function, "range", expected);
    } else if (kind >= 0)
        out->range.kind = kind == 0 ? SC_RANGE_FULL : SC_RANGE_PERCENTILE;
    else if (type != LUA_TNIL)
        sc_lua_expected(L, index, function, "range", expected);
    lua_settop(L, index - 1);
}

sc_preprocess sc_lua_check_preprocess(lua_State *L, int index, const char *function) {
    index = lua_absindex(L, index);
    sc_preprocess preprocess = {0};
    sc_lua_field(L, index, "size"); /* has no default */
    preprocess.size = (size_t)sc_lua_check_integer(L, lua_gettop(L), function, "size", 1, 16384);
    lua_pop(L, 1);
    preprocess.channels = (size_t)sc_lua_field_integer(L, index, function, "channels", 3, 1, 3);
    if (preprocess.channels == 2)
        sc_lua_fail(L, "%s: channels: expected 1 or 3, got 2", function);
    field_resize(L, index, function, &preprocess);
    field_interpolation(L, index, function, &preprocess);
    field_range(L, index, function, &preprocess);
    field_channels(L, index, function, "mean", preprocess.channels, 0, false, preprocess.mean);
    field_channels(L, index, function, "std", preprocess.channels, 1, true, preprocess.std);
    lua_Integer seed = sc_lua_field_integer(L, index, function, "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER);
    lua_Integer epoch = sc_lua_field_integer(L, index, function, "epoch", 0, LUA_MININTEGER, LUA_MAXINTEGER);
    preprocess.seed = sc_random_mix((uint64_t)seed, (uint64_t)epoch);
    preprocess.augmented = sc_lua_field(L, index, "augment") != LUA_TNIL;
    if (preprocess.augmented) {
        if (!lua_istable(L, -1))
            sc_lua_expected(L, lua_gettop(L), function, "augment", "a table");
        const char *name = lua_pushfstring(L, "%s: augment", function);
        preprocess.augment = check_augment(L, lua_gettop(L) - 1, name);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return preprocess;
}
