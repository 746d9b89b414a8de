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

static int exponential(lua_State *L) {
    return apply(L, sc_exp64, "math.exp");
}

static int logarithm(lua_State *L) {
    return apply(L, sc_log64, "math.log");
}

static int tanh_of(lua_State *L) {
    return apply(L, sc_tanh64, "math.tanh");
}

static int erfc_of(lua_State *L) {
    return apply(L, sc_erfc64, "math.erfc");
}

static int angle(lua_State *L, double (*function)(double), const char *name) {
    double x = sc_lua_check_number(L, 1, name, "x");
    if (!isnan(x) && fabs(x) > SC_MAX_ANGLE)
        return sc_lua_expected(L, 1, name, "x", "a number in -2^20..2^20");
    return apply(L, function, name);
}

static int sine(lua_State *L) {
    return angle(L, sc_sin64, "math.sin");
}

static int cosine(lua_State *L) {
    return angle(L, sc_cos64, "math.cos");
}

/* pow(x, y) -> x^y */
static int power(lua_State *L) {
    double x = sc_lua_check_number(L, 1, "math.pow", "x"), y = sc_lua_check_number(L, 2, "math.pow", "y");
    lua_pushnumber(L, sc_pow64(x, y));
    return 1;
}

void sc_lua_open_math(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"exp", exponential}, {"log", logarithm}, {"tanh", tanh_of}, {"erfc", erfc_of},
        {"sin", sine},        {"cos", cosine},    {"pow", power},    {NULL, NULL},
    };
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "math");
}
