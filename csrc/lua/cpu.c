/* The module `secateur.cpu`: looks at the processor before OpenBLAS does. An OpenBLAS that is older than an AMD core
 * may give it AVX2 kernels although it has AVX-512, at half the speed. It reads OPENBLAS_CORETYPE once, when it is
 * loaded; so this module, which must be linked without it, sets that variable before `secateur.core` is required. The
 * same goes for the OpenMP library and how long its threads wait at a barrier before they sleep. */
#define _POSIX_C_SOURCE 200809L
#include <lauxlib.h>
#include <lua.h>

#include <stdbool.h>
#include <stdlib.h>

typedef struct cpu_features {
    const char *vendor;
    bool avx2;
    bool avx512; /* with the parts that OpenBLAS's SkylakeX kernels use, and with the system's support */
} cpu_features;

static cpu_features detect(void) {
    cpu_features cpu = {.vendor = "unknown", .avx2 = false, .avx512 = false};
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_is("amd"))
        cpu.vendor = "amd";
    else if (__builtin_cpu_is("intel"))
        cpu.vendor = "intel";
    cpu.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    cpu.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
    return cpu;
}

/* GNU's threads spin at a barrier for milliseconds by default. Alone on the machine that is fastest by little; beside
 * other work the one thread that is waited for cannot run, and everything takes five times as long. */
static void shorten_spinning(void) {
    if (!getenv("GOMP_SPINCOUNT") && !getenv("OMP_WAIT_POLICY"))
        setenv("GOMP_SPINCOUNT", "2000", 0);
}

/* prepare() -> {vendor=, avx2=, avx512=, coretype=, coretype_set=}: sets OPENBLAS_CORETYPE where that helps and the
 * user has not set it; coretype is its value afterwards (absent when unset), coretype_set whether this call has set it.
 * Intel's processors are left alone: OpenBLAS chooses well among them. */
static int prepare(lua_State *L) {
    cpu_features cpu = detect();
    bool set = false;
    shorten_spinning();
    if (cpu.avx512 && cpu.vendor[0] == 'a' && getenv("OPENBLAS_CORETYPE") == NULL)
        set = setenv("OPENBLAS_CORETYPE", "SkylakeX", 0) == 0;
    lua_createtable(L, 0, 5);
    lua_pushstring(L, cpu.vendor);
    lua_setfield(L, -2, "vendor");
    lua_pushboolean(L, cpu.avx2);
    lua_setfield(L, -2, "avx2");
    lua_pushboolean(L, cpu.avx512);
    lua_setfield(L, -2, "avx512");
    lua_pushstring(L, getenv("OPENBLAS_CORETYPE")); /* nil for NULL */
    lua_setfield(L, -2, "coretype");
    lua_pushboolean(L, set);
    lua_setfield(L, -2, "coretype_set");
    return 1;
}

__attribute__((visibility("default"))) int luaopen_secateur_cpu(lua_State *L);

int luaopen_secateur_cpu(lua_State *L) {
    luaL_checkversion(L);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, prepare);
    lua_setfield(L, -2, "prepare");
    return 1;
}
