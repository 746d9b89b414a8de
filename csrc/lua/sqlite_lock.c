#define _POSIX_C_SOURCE 200809L /* getpid */
#include "lua/sqlite_lock.h"
#include "base/clock.h"
#include "base/file_lock.h"
#include "base/file_system.h"
#include "lua/hook_watch.h"

#include <lauxlib.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLASS "secateur.sqlite.Lock"

/* How long a wait sleeps between two tries; and how often, a millisecond each, who has just taken a lock is given the
 * time to say who it is. */
enum { PAUSE_MILLISECONDS = 50, TRIES_FOR_A_NAME = 100 };

typedef struct held_lock {
    sc_file_lock lock;
    const char *path; /* of the string in the user value; NULL until there is a lock */
} held_lock;

static int lock_close(lua_State *L) {
    held_lock *box = luaL_checkudata(L, 1, CLASS);
    if (box->path)
        sc_file_lock_release(&box->lock, box->path);
    return 0;
}

/* nil, a message, "busy", and who holds it: {process=, since=, host=, here=, own=} */
static int push_holder(lua_State *L, const sc_file_holder *holder) {
    bool here = sc_file_holder_is_here(holder);
    lua_pushnil(L);
    lua_pushliteral(L, "is held by another");
    lua_pushliteral(L, "busy");
    lua_createtable(L, 0, 5);
    if (holder->process > 0) {
        lua_pushinteger(L, holder->process);
        lua_setfield(L, -2, "process");
        lua_pushstring(L, holder->since);
        lua_setfield(L, -2, "since");
        lua_pushstring(L, holder->host);
        lua_setfield(L, -2, "host");
    }
    lua_pushboolean(L, here);
    lua_setfield(L, -2, "here");
    lua_pushboolean(L, here && holder->process == (long)getpid());
    lua_setfield(L, -2, "own");
    return 4;
}

static int push_problem(lua_State *L, sc_file_lock_result result, int reason) {
    bool none = reason == ENOLCK || reason == ENOSYS || reason == EOPNOTSUPP || reason == EINVAL;
    lua_pushnil(L);
    lua_pushstring(L, result == SC_FILE_LOCK_FOREIGN ? "is something else" : strerror(reason));
    lua_pushstring(L, result == SC_FILE_LOCK_FOREIGN ? "foreign" : none ? "lockless" : "open");
    return 3;
}

/* lock(path[, seconds]) -> Lock, or nil, message, kind ("busy", "foreign": at the path is something that is no lock's,
 * "lockless": the file system has no locks, "open", "interrupt") and, where it is busy, who holds it. Waits for so long
 * (0). The lock is let go by close(), and when the process ends. */
static int sqlite_lock(lua_State *L) {
    size_t length;
    const char *path = luaL_checklstring(L, 1, &length);
    double seconds = luaL_optnumber(L, 2, 0);
    luaL_argcheck(L, strlen(path) == length && length > 0, 1, "expected a path");
    lua_settop(L, 2);
    held_lock *box = lua_newuserdatauv(L, sizeof *box, 1);
    *box = (held_lock){.lock = {.descriptor = -1}};
    luaL_setmetatable(L, CLASS);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    sc_hook_watch watch;
    sc_hook_watch_begin(&watch, L);
    double end = sc_clock_seconds() + seconds;
    for (int tries = 0;; tries++) {
        sc_file_holder holder;
        sc_file_lock_result result = sc_file_lock_take(&box->lock, path, &holder);
        int reason = errno;
        if (result == SC_FILE_LOCK_TAKEN) {
            box->path = path;
            return 1;
        }
        if (result != SC_FILE_LOCK_HELD)
            return push_problem(L, result, reason);
        bool unnamed = holder.process == 0 && tries < TRIES_FOR_A_NAME;
        if (!unnamed && sc_clock_seconds() >= end)
            return push_holder(L, &holder);
        sc_hook_watch_sleep(unnamed ? 1 : PAUSE_MILLISECONDS);
        if (sc_hook_watch_fired(&watch)) {
            lua_pushnil(L);
            lua_pushliteral(L, "interrupted");
            lua_pushliteral(L, "interrupt");
            return 3;
        }
    }
}

/* shared_file_system(path) -> the name of the file system, where other machines may write to it; nil where it is a disk
 * of this machine */
static int sqlite_shared_file_system(lua_State *L) {
    lua_pushstring(L, sc_file_system_shared(luaL_checkstring(L, 1)));
    return 1;
}

void sc_sqlite_lock_register(lua_State *L) {
    static const luaL_Reg methods[] = {{"close", lock_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"lock", sqlite_lock}, {"shared_file_system", sqlite_shared_file_system}, {NULL, NULL}};
    luaL_newmetatable(L, CLASS);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, lock_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, lock_close);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
