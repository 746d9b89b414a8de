/* Ctrl-C while no Lua runs, for modules without the core. The interpreter's handler sets a hook, which raises at the
 * next instruction of Lua; until a long call or a wait has ended there is none, so that a hook that was not there when
 * it began ends it. */
#ifndef SC_LUA_HOOK_WATCH_H
#define SC_LUA_HOOK_WATCH_H

#include <lua.h>

#include <stdbool.h>

/* A look-out, from `begin` to the end of the call. */
typedef struct sc_hook_watch {
    lua_State *main; /* the thread whose hook the interpreter sets; NULL: nothing to look at */
    lua_Hook hook;   /* that thread's hook when the watch began */
} sc_hook_watch;

/* Begins to watch. Needs one free place on the stack; raises nothing. */
void sc_hook_watch_begin(sc_hook_watch *watch, lua_State *L);

/* Whether Ctrl-C was pressed since. */
bool sc_hook_watch_fired(const sc_hook_watch *watch);

/* Sleeps, so many milliseconds at most: a signal ends it. */
void sc_hook_watch_sleep(long milliseconds);

#endif
