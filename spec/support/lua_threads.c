/* Lua states in threads of one process, for specs: require "spec.lua_threads". */
#define _POSIX_C_SOURCE 200809L
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 16, MESSAGE = 1024 };

typedef struct task {
    pthread_t thread;
    const char *code, *path, *cpath;
    bool good;
    char message[MESSAGE]; /* what the code returned, or the error */
} task;

static atomic_int running;        /* tasks that have not ended */
static pthread_barrier_t barrier; /* of all tasks */
static atomic_bool met;           /* all tasks have called meet() */
static atomic_int signals;        /* SIGINTs that reached the handler below */

static void on_sigint(int number) {
    (void)number;
    atomic_fetch_add(&signals, 1);
}

/* meet(): waits until all tasks have come here. */
static int meet(lua_State *L) {
    (void)L;
    pthread_barrier_wait(&barrier);
    atomic_store(&met, true);
    return 0;
}

static void set_search_path(lua_State *L, const char *field, const char *value) {
    lua_getglobal(L, "package");
    lua_pushstring(L, value);
    lua_setfield(L, -2, field);
    lua_pop(L, 1);
}

static void *run_task(void *argument) {
    task *own = argument;
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    set_search_path(L, "path", own->path);
    set_search_path(L, "cpath", own->cpath);
    lua_register(L, "meet", meet);
    own->good = luaL_loadstring(L, own->code) == LUA_OK && lua_pcall(L, 0, 1, 0) == LUA_OK;
    snprintf(own->message, sizeof own->message, "%s", luaL_tolstring(L, -1, NULL));
    lua_close(L);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* Sends SIGINTs to the process from when all tasks have met until all have ended. */
static void interrupt_tasks(int count) {
    const struct timespec poll = {.tv_nsec = 1000000};
    while (!atomic_load(&met) && atomic_load(&running) == count)
        nanosleep(&poll, NULL);
    while (atomic_load(&running) > 0) {
        kill(getpid(), SIGINT);
        nanosleep(&poll, NULL);
    }
}

/* run(code, count, path, cpath [, interrupt]) -> list of {good =, message =}, how many SIGINTs came to the handler that
 * was there before the threads, whether it is there afterwards. The code calls meet() once, to begin with the others.
 */
static int run(lua_State *L) {
    static task tasks[MAX_THREADS];
    int count = (int)luaL_checkinteger(L, 2);
    luaL_argcheck(L, count >= 1 && count <= MAX_THREADS, 2, "1 to 16 threads");
    struct sigaction action = {.sa_handler = on_sigint}, after;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    pthread_barrier_init(&barrier, NULL, (unsigned)count);
    atomic_store(&met, false);
    atomic_store(&signals, 0);
    atomic_store(&running, count);
    for (int i = 0; i < count; i++) {
        tasks[i] =
            (task){.code = luaL_checkstring(L, 1), .path = luaL_checkstring(L, 3), .cpath = luaL_checkstring(L, 4)};
        if (pthread_create(&tasks[i].thread, NULL, run_task, &tasks[i]) != 0)
            return luaL_error(L, "no thread");
    }
    if (lua_toboolean(L, 5))
        interrupt_tasks(count);
    lua_newtable(L);
    for (int i = 0; i < count; i++) {
        pthread_join(tasks[i].thread, NULL);
        lua_newtable(L);
        lua_pushboolean(L, tasks[i].good);
        lua_setfield(L, -2, "good");
        lua_pushstring(L, tasks[i].message);
        lua_setfield(L, -2, "message");
        lua_rawseti(L, -2, i + 1);
    }
    pthread_barrier_destroy(&barrier);
    sigaction(SIGINT, NULL, &after);
    lua_pushinteger(L, atomic_load(&signals));
    lua_pushboolean(L, after.sa_handler == on_sigint);
    return 3;
}

__attribute__((visibility("default"))) int luaopen_spec_lua_threads(lua_State *L);
int luaopen_spec_lua_threads(lua_State *L) {
    lua_newtable(L);
    lua_pushcfunction(L, run);
    lua_setfield(L, -2, "run");
    return 1;
}
