/* Process-wide matters: threads, memory accounting, terminal, seeds. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/real.h"
#include "lua/core.h"
#include "lua/support.h"

#include <omp.h>
#include <unistd.h>

/* threads([n]) -> n: the number of threads of the loops and matrix products; sets it when given. */
static int system_threads(lua_State *L) {
    if (!lua_isnoneornil(L, 1))
        omp_set_num_threads((int)sc_lua_check_integer(L, 1, "threads", "count", 1, 1024));
    lua_pushinteger(L, omp_get_max_threads());
    return 1;
}

/* memory([reset_peak]) -> live, peak: bytes of native memory handed out by the core; reset_peak sets the peak to what
 * is live. */
static int system_memory(lua_State *L) {
    if (sc_lua_check_flag(L, 1, "memory", "reset_peak", false))
        sc_memory_reset_peak();
    lua_pushinteger(L, (lua_Integer)sc_memory_live());
    lua_pushinteger(L, (lua_Integer)sc_memory_peak());
    return 2;
}

/* is_terminal() -> boolean: whether stderr is one. */
static int system_is_terminal(lua_State *L) {
    lua_pushboolean(L, isatty(STDERR_FILENO));
    return 1;
}

/* clock() -> seconds since an arbitrary moment, monotonic. */
static int system_clock(lua_State *L) {
    lua_pushnumber(L, sc_clock_seconds());
    return 1;
}

/* mix(a, b) -> integer: a seed made of two numbers. */
static int system_mix(lua_State *L) {
    uint64_t a = (uint64_t)sc_lua_check_integer(L, 1, "mix", "a", LUA_MININTEGER, LUA_MAXINTEGER);
    uint64_t b = (uint64_t)sc_lua_check_integer(L, 2, "mix", "b", LUA_MININTEGER, LUA_MAXINTEGER);
    lua_pushinteger(L, (lua_Integer)(sc_random_mix(a, b) >> 1)); /* non-negative */
    return 1;
}

/* permutation(n, seed) -> list: 1..n in a random order. */
static int system_permutation(lua_State *L) {
    size_t count = (size_t)sc_lua_check_integer(L, 1, "permutation", "n", 0, 1 << 28);
    uint64_t seed = (uint64_t)sc_lua_check_integer(L, 2, "permutation", "seed", LUA_MININTEGER, LUA_MAXINTEGER);
    sc_shape shape = {.ndim = 1, .size = {count}};
    sc_error error;
    sc_tensor *items = sc_lua_new_tensor(L); /* owns the memory while Lua may raise */
    sc_lua_try(L, sc_tensor_create(items, SC_INT64, &shape, &error), &error);
    sc_random random;
    sc_random_seed(&random, seed, 0);
    size_t *order = sc_tensor_data(items);
    for (size_t i = 0; i < count; i++)
        order[i] = i + 1;
    sc_random_shuffle(&random, order, count);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushinteger(L, (lua_Integer)order[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    sc_tensor_release(items);
    return 1;
}

/* set_raise(f): failures of the core are raised by f(message, whether memory ran out), which has to raise an error;
 * Ctrl-C is not. */
static int system_set_raise(lua_State *L) {
    if (!lua_isfunction(L, 1))
        return sc_lua_expected(L, 1, "set_raise", "f", "a function");
    sc_lua_set_raise(L, 1);
    return 0;
}

void sc_lua_open_system(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"threads", system_threads},
        {"memory", system_memory},
        {"is_terminal", system_is_terminal},
        {"clock", system_clock},
        {"mix", system_mix},
        {"permutation", system_permutation},
        {"set_raise", system_set_raise},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, SC_REAL_NAME);
    lua_setfield(L, -2, "real");
}
