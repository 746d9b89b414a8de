/* Relevance as colours. */
#include "image/colour.h"
#include "lua/core.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

#include <math.h>

#define NAME "image_colour"

static const lua_Integer most_pixels = 65535;

/* A number of the options in low..high. */
static double check_field(lua_State *L, const char *field, double fallback, double low, double high) {
    double value = sc_lua_field_number(L, 3, NAME, field, fallback);
    if (!(value >= low && value <= high))
        sc_lua_fail(L, NAME ": %s: expected a number in %f..%f, got %f", field, low, high, value);
    return value;
}

/* The table of colours at slot 2, and the row of it that means zero. */
static void check_table(lua_State *L, sc_colouring *how) {
    char text[SC_SHAPE_TEXT];
    const sc_tensor *table = sc_lua_check_tensor_of(L, 2, NAME, "table", SC_REAL);
    if (table->shape.ndim != 2 || table->shape.size[0] < 2 || table->shape.size[1] != 3)
        sc_lua_fail(L, NAME ": table: expected [N,3] with N of at least 2, got %s",
                    sc_shape_format(text, &table->shape));
    how->table = sc_tensor_real(table);
    how->entries = table->shape.size[0];
    for (size_t i = 0; i < sc_tensor_numel(table); i++)
        if (!(how->table[i] >= 0 && how->table[i] <= 1))
            sc_lua_fail(L, NAME ": table: expected numbers in 0..1, got %f", (double)how->table[i]);
    how->zero = (size_t)sc_lua_field_integer(L, 3, NAME, "zero", 1, 1, (lua_Integer)how->entries - 1) - 1;
}

/* The picture under the colours, if there is one; it stays on the stack. */
static void check_ground(lua_State *L, sc_colouring *how, size_t height, size_t width) {
    char text[SC_SHAPE_TEXT];
    if (sc_lua_field(L, 3, "ground") == LUA_TNIL)
        return;
    const sc_tensor *ground = sc_lua_check_tensor_of(L, -1, NAME, "ground", SC_REAL);
    if (ground->shape.ndim != 2 || ground->shape.size[0] != height || ground->shape.size[1] != width)
        sc_lua_fail(L, NAME ": ground: expected [%Ix%I], got %s", (LUAI_UACINT)height, (LUAI_UACINT)width,
                    sc_shape_format(text, &ground->shape));
    how->ground = sc_tensor_real(ground);
}

/* image_colour(relevance [H,W], table [N,3], {limit =, zero = 1 (the table's row of no relevance), gamma = 1, ground =
 * [scale H, scale W] of grey levels, overlay = 1, scale = 1}) -> Tensor [3, scale H, scale W]; see image/colour.h. */
static int image_colour(lua_State *L) {
    static const char *const known[] = {"limit", "zero", "gamma", "ground", "overlay", "scale", NULL};
    char text[SC_SHAPE_TEXT];
    sc_error error;
    lua_settop(L, 3);
    const sc_tensor *relevance = sc_lua_check_tensor_of(L, 1, NAME, "relevance", SC_REAL);
    if (relevance->shape.ndim != 2 || sc_tensor_numel(relevance) == 0)
        return sc_lua_fail(L, NAME ": relevance: expected [H,W], got %s", sc_shape_format(text, &relevance->shape));
    if (!lua_istable(L, 3))
        return sc_lua_expected(L, 3, NAME, "options", "a table");
    sc_lua_check_keys(L, 3, NAME, known);
    size_t height = relevance->shape.size[0], width = relevance->shape.size[1];
    sc_colouring how = {
        .limit = check_field(L, "limit", -1, 0, HUGE_VAL), /* it has no default: -1 is refused */
        .gamma = check_field(L, "gamma", 1, 1e-3, 1e3),
        .overlay = check_field(L, "overlay", 1, 0, 1e6),
        .scale = (size_t)sc_lua_field_integer(L, 3, NAME, "scale", 1, 1, most_pixels),
    };
    check_table(L, &how);
    if (height > (size_t)most_pixels / how.scale || width > (size_t)most_pixels / how.scale)
        return sc_lua_fail(L, NAME ": scale: expected at most %I pixels a side, got %I times %s",
                           (LUAI_UACINT)most_pixels, (LUAI_UACINT)how.scale, sc_shape_format(text, &relevance->shape));
    check_ground(L, &how, height * how.scale, width * how.scale);
    sc_shape shape;
    sc_lua_try(L, sc_shape_make(&shape, 3, (size_t[]){3, height * how.scale, width * how.scale}, &error), &error);
    sc_tensor *out;
    sc_lua_push_new(L, SC_REAL, &shape, false, &out);
    sc_lua_try_in(L, NAME, sc_colour(sc_tensor_real(out), sc_tensor_real(relevance), height, width, &how, &error),
                  &error);
    return 1;
}

/* magnitude_percentile(tensor, percentile) -> the magnitude at it, by nearest rank; or nil, message where a value is
 * not finite. */
static int magnitude_percentile(lua_State *L) {
    sc_error error;
    double magnitude;
    const sc_tensor *tensor = sc_lua_check_tensor_of(L, 1, "magnitude_percentile", "tensor", SC_REAL);
    double percentile = sc_lua_check_number(L, 2, "magnitude_percentile", "percentile");
    if (sc_tensor_numel(tensor) == 0)
        return sc_lua_fail(L, "magnitude_percentile: tensor: expected at least one number, got none");
    if (!(percentile > 0 && percentile <= 100))
        return sc_lua_fail(L, "magnitude_percentile: percentile: expected a number in (0, 100], got %f", percentile);
    if (sc_magnitude_percentile(&magnitude, sc_tensor_real(tensor), sc_tensor_numel(tensor), percentile, &error) !=
        SC_OK) {
        lua_pushnil(L);
        lua_pushstring(L, error.message);
        return 2;
    }
    lua_pushnumber(L, magnitude);
    return 1;
}

void sc_lua_open_image_colour(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"image_colour", image_colour}, {"magnitude_percentile", magnitude_percentile}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
