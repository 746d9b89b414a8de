/* Relevance as colours: core.image_colormap. */
#include "image/colormap.h"
#include "lua/core.h"
#include "lua/l_tensor.h"
#include "lua/support.h"

#include <math.h>

#define NAME "image_colormap"

static const lua_Integer max_side = 65535;

/* A number of the options in low..high. */
static double check_field(lua_State *L, const char *field, double fallback, double low, double high) {
    double value = sc_lua_field_number(L, 3, NAME, field, fallback);
    if (!(value >= low && value <= high))
        sc_lua_fail(L, NAME ": %s: expected a number in %f..%f, got %f", field, low, high, value);
    return value;
}

/* The table of colours at slot 2, and the row of it that means zero. */
static void check_table(lua_State *L, sc_colormap *map) {
    char text[SC_SHAPE_TEXT];
    const sc_tensor *table = sc_lua_check_tensor_of(L, 2, NAME, "table", SC_REAL);
    if (table->shape.ndim != 2 || table->shape.size[0] < 2 || table->shape.size[1] != 3)
        sc_lua_fail(L, NAME ": table: expected [N,3] with N of at least 2, got %s",
                    sc_shape_format(text, &table->shape));
    map->table = sc_tensor_real(table);
    map->entries = table->shape.size[0];
    for (size_t i = 0; i < sc_tensor_numel(table); i++)
        if (!(map->table[i] >= 0 && map->table[i] <= 1))
            sc_lua_fail(L, NAME ": table: expected numbers in 0..1, got %f", (double)map->table[i]);
    map->zero = (size_t)sc_lua_field_integer(L, 3, NAME, "zero", 1, 1, (lua_Integer)map->entries - 1) - 1;
}

/* The image under the colours, if there is one; it stays on the stack. */
static void check_background(lua_State *L, sc_colormap *map, size_t height, size_t width) {
    char text[SC_SHAPE_TEXT];
    if (sc_lua_field(L, 3, "background") == LUA_TNIL)
        return;
    const sc_tensor *background = sc_lua_check_tensor_of(L, -1, NAME, "background", SC_REAL);
    if (background->shape.ndim != 2 || background->shape.size[0] != height || background->shape.size[1] != width)
        sc_lua_fail(L, NAME ": background: expected [%Ix%I], got %s", (LUAI_UACINT)height, (LUAI_UACINT)width,
                    sc_shape_format(text, &background->shape));
    map->background = sc_tensor_real(background);
}

/* image_colormap(relevance [H,W], table [N,3], {limit =, zero = 1 (the table's row of no relevance), gamma = 1,
 * background = [scale H, scale W] of grey levels, alpha = 1, scale = 1}) -> Tensor [3, scale H, scale W]; see
 * image/colormap.h. */
static int image_colormap(lua_State *L) {
    static const char *const known[] = {"limit", "zero", "gamma", "background", "alpha", "scale", NULL};
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
    sc_colormap map = {
        .limit = check_field(L, "limit", -1, 0, HUGE_VAL), /* it has no default: -1 is refused */
        .gamma = check_field(L, "gamma", 1, 1e-3, 1e3),
        .alpha = check_field(L, "alpha", 1, 0, 1e6),
        .scale = (size_t)sc_lua_field_integer(L, 3, NAME, "scale", 1, 1, max_side),
    };
    check_table(L, &map);
    if (height > (size_t)max_side / map.scale || width > (size_t)max_side / map.scale)
        return sc_lua_fail(L, NAME ": scale: expected at most %I pixels a side, got %I times %s", (LUAI_UACINT)max_side,
                           (LUAI_UACINT)map.scale, sc_shape_format(text, &relevance->shape));
    check_background(L, &map, height * map.scale, width * map.scale);
    sc_shape shape;
    sc_lua_try(L, sc_shape_init(&shape, 3, (size_t[]){3, height * map.scale, width * map.scale}, &error), &error);
    sc_tensor *out;
    sc_lua_push_new(L, SC_REAL, &shape, false, &out);
    sc_lua_try_in(L, NAME,
                  sc_colormap_apply(sc_tensor_real(out), sc_tensor_real(relevance), height, width, &map, &error),
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

void sc_lua_open_image_colormap(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"image_colormap", image_colormap}, {"magnitude_percentile", magnitude_percentile}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
