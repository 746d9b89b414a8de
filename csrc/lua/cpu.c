/* The module `secateur.cpu`: looks at the processor before anything else does. It tells which variant of the core to
 * load (lua/secateur/core/init.lua does). The OpenMP library reads once, when it is loaded, how long its threads wait
 * at a barrier before they sleep; so this module, which must be linked without it, says so before the core is required.
 */
#define _POSIX_C_SOURCE 200809L
#include <lauxlib.h>
#include <lua.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct cpu_features {
    const char *vendor;
    bool avx2;
    bool avx512; /* F, BW, CD, DQ and VL, with the system's support */
} cpu_features;

static cpu_features detect(void) {
    cpu_features cpu = {.vendor = "unknown", .avx2 = false, .avx512 = false};
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_is("amd"))
        cpu.vendor = "amd";
    else if (__builtin_cpu_is("intel"))
        cpu.vendor = "intel";
    /* every processor with AVX2 and BMI2 has the other small extensions that the level is compiled for */
    cpu.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    cpu.avx512 = cpu.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                 __builtin_cpu_supports("avx512cd");
#endif
    return cpu;
}

/* Levels of vector instructions, lowest first; the core is compiled once for each. */
static const char *const levels[] = {"portable", "avx2", "avx512"};

static size_t highest_level(const cpu_features *cpu) {
    return cpu->avx512 ? 2 : cpu->avx2 ? 1 : 0;
}

/* The level in use: SECATEUR_CPU's, or the highest. A name that is none, or one that the processor does not have, is an
 * error: what was to be forced would not be what runs. */
static const char *choose_level(lua_State *L, const cpu_features *cpu) {
    size_t highest = highest_level(cpu);
    const char *wanted = getenv("SECATEUR_CPU");
    if (!wanted || !*wanted)
        return levels[highest];
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(levels[i], wanted) != 0)
            continue;
        if (i > highest)
            luaL_error(L, "SECATEUR_CPU: expected at most %s, the highest level of this processor, got '%s'",
                       levels[highest], wanted);
        return levels[i];
    }
    luaL_error(L, "SECATEUR_CPU: expected avx512, avx2 or portable, got '%s'", wanted);
    return NULL;
}

/* GNU's threads spin at a barrier for milliseconds by default. Alone on the machine that is fastest by little; beside
 * other work the one thread that is waited for cannot run, and everything takes five times as long. */
static void shorten_spinning(void) {
    if (!getenv("GOMP_SPINCOUNT") && !getenv("OMP_WAIT_POLICY"))
        setenv("GOMP_SPINCOUNT", "2000", 0);
}

/* prepare() -> {vendor=, avx2=, avx512=}: what the processor has; the environment is set for the OpenMP library. */
static int cpu_prepare(lua_State *L) {
    cpu_features cpu = detect();
    shorten_spinning();
    lua_createtable(L, 0, 3);
    lua_pushstring(L, cpu.vendor);
    lua_setfield(L, -2, "vendor");
    lua_pushboolean(L, cpu.avx2);
    lua_setfield(L, -2, "avx2");
    lua_pushboolean(L, cpu.avx512);
    lua_setfield(L, -2, "avx512");
    return 1;
}

__attribute__((visibility("default"))) int luaopen_secateur_cpu(lua_State *L);

/* A table: prepare (see above), level (in use: "avx512", "avx2" or "portable"), levels (all that this processor has).
 */
int luaopen_secateur_cpu(lua_State *L) {
    luaL_checkversion(L);
    cpu_features cpu = detect();
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, cpu_prepare);
    lua_setfield(L, -2, "prepare");
    lua_pushstring(L, choose_level(L, &cpu));
    lua_setfield(L, -2, "level");
    size_t count = highest_level(&cpu) + 1;
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, levels[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "levels");
    return 1;
}
