/* core.math: elementary functions of numbers whose results are the same bits on every machine. Lua's own come from the
 * C library, and decide nothing that should be reproducible. */
#include "base/math64.h"
#include "lua/core.h"
#include "lua/support.h"

#include <math.h>

static int apply(lua_State *L, double (*function)(double), const char *name) {
    lua_pushnumber(L, function(sc_lua_check_number(L, 1, name, "x")));
    return 1;
}

static int math_exp(lua_State *L) {
    return apply(L, sc_exp64, "math.exp");
}

static int math_log(lua_State *L) {
    return apply(L, sc_log64, "math.log");
}

static int math_tanh(lua_State *L) {
    return apply(L, sc_tanh64, "math.tanh");
}

static int math_erfc(lua_State *L) {
    return apply(L, sc_erfc64, "math.erfc");
}

static int apply_to_angle(lua_State *L, double (*function)(double), const char *name) {
    double x = sc_lua_check_number(L, 1, name, "x");
    if (!isnan(x) && fabs(x) > SC_MAX_ANGLE)
        return sc_lua_expected(L, 1, name, "x", "a number in -2^20..2^20");
    return apply(L, function, name);
}

static int math_sin(lua_State *L) {
    return apply_to_angle(L, sc_sin64, "math.sin");
}

static int math_cos(lua_State *L) {
    return apply_to_angle(L, sc_cos64, "math.cos");
}

/* pow(x, y) -> x^y */
static int math_pow(lua_State *L) {
    double x = sc_lua_check_number(L, 1, "math.pow", "x"), y = sc_lua_check_number(L, 2, "math.pow", "y");
    lua_pushnumber(L, sc_pow64(x, y));
    return 1;
}

void sc_lua_open_math(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"exp", math_exp}, {"log", math_log}, {"tanh", math_tanh}, {"erfc", math_erfc},
        {"sin", math_sin}, {"cos", math_cos}, {"pow", math_pow},   {NULL, NULL},
    };
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "math");
}
