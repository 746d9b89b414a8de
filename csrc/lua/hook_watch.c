#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include "lua/hook_watch.h"

#include <stddef.h>
#include <time.h>

void sc_hook_watch_begin(sc_hook_watch *watch, lua_State *L) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    watch->main = lua_tothread(L, -1);
    lua_pop(L, 1);
    watch->hook = watch->main ? lua_gethook(watch->main) : NULL;
}

bool sc_hook_watch_fired(const sc_hook_watch *watch) {
    return watch->main && lua_gethook(watch->main) != watch->hook;
}

void sc_hook_watch_sleep(long milliseconds) {
    struct timespec pause = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    nanosleep(&pause, NULL);
}
