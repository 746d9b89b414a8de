/* Allocations that fail on demand, for spec/base/out_of_memory_spec.lua: loaded before the interpreter (LD_PRELOAD),
 * where malloc and its relatives are its own, and by require "spec.failing_malloc", where they are told to fail. What
 * shrinks never fails, as it does not in glibc. */
#define _GNU_SOURCE
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __GLIBC__
/* glibc's own functions under names that are not replaced. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static atomic_bool armed;
static atomic_llong counted;  /* allocations since it was armed */
static long long first, last; /* those of these numbers fail */
static atomic_llong refused;  /* how many did */

static bool fails(void) {
    if (!atomic_load_explicit(&armed, memory_order_acquire))
        return false;
    long long number = atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed) + 1;
    if (number < first || number > last)
        return false;
    atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
    errno = ENOMEM;
    return true;
}

#define VISIBLE __attribute__((visibility("default")))

VISIBLE void *malloc(size_t bytes) {
    return fails() ? NULL : __libc_malloc(bytes);
}

VISIBLE void *calloc(size_t count, size_t bytes) {
    return fails() ? NULL : __libc_calloc(count, bytes);
}

VISIBLE void *realloc(void *block, size_t bytes) {
    bool grows = !block || malloc_usable_size(block) < bytes;
    return grows && bytes && fails() ? NULL : __libc_realloc(block, bytes);
}

VISIBLE void *memalign(size_t alignment, size_t bytes) {
    return fails() ? NULL : __libc_memalign(alignment, bytes);
}

VISIBLE void *aligned_alloc(size_t alignment, size_t bytes) {
    return memalign(alignment, bytes);
}

VISIBLE int posix_memalign(void **block, size_t alignment, size_t bytes) {
    int before = errno;
    void *found = memalign(alignment, bytes);
    errno = before;
    if (!found)
        return ENOMEM;
    *block = found;
    return 0;
}

/* arm(first, last): the allocations of these numbers from now on fail, of all threads; 0 and 0 only count */
static int arm(lua_State *L) {
    first = luaL_checkinteger(L, 1), last = luaL_checkinteger(L, 2);
    atomic_store(&counted, 0);
    atomic_store(&refused, 0);
    atomic_store(&armed, true);
    return 0;
}

/* disarm() -> how many there were, how many failed */
static int disarm(lua_State *L) {
    atomic_store(&armed, false);
    lua_pushinteger(L, atomic_load(&counted));
    lua_pushinteger(L, atomic_load(&refused));
    return 2;
}

VISIBLE int luaopen_spec_failing_malloc(lua_State *L);

/* { arm = function, disarm = function } */
int luaopen_spec_failing_malloc(lua_State *L) {
    static const luaL_Reg functions[] = {{"arm", arm}, {"disarm", disarm}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
#else
typedef int sc_no_failing_malloc;
#endif
