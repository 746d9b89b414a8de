/* What benchmarks and specs measure the kernels against. */
#include "kernel/peak.h"
#include "lua/core.h"
#include "lua/support.h"

#include <omp.h>

/* peak_gflops([threads [, seconds = 0.2]]) -> number: GFLOP/s of multiply-adds in registers alone. */
static int peak_gflops(lua_State *L) {
    lua_Integer threads =
        lua_isnoneornil(L, 1) ? omp_get_max_threads() : sc_lua_check_integer(L, 1, "peak_gflops", "threads", 1, 1024);
    double seconds = lua_isnoneornil(L, 2) ? 0.2 : sc_lua_check_number(L, 2, "peak_gflops", "seconds");
    lua_pushnumber(L, sc_peak_gflops((int)threads, seconds));
    return 1;
}

void sc_lua_open_benchmark(lua_State *L) {
    static const luaL_Reg functions[] = {{"peak_gflops", peak_gflops}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
