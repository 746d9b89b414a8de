/* The module `secateur.mpi`: what lua/secateur/mpi makes groups of. A module of its own, so that who has no MPI needs
 * no library. Ranks count from 0, channels are those of mpi/transport.h by number.
 *
 * Failures come back as nil and a message; what is raised is misuse, the lack of memory, and Ctrl-C ("interrupted", as
 * the core does). */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "base/interrupt.h"
#include "lua/tensor_access.h"
#include "mpi/transport.h"

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE "secateur.mpi.Message"
#define OWNER "secateur.mpi.Owner"

static lua_State *owner; /* the main thread of the state that uses MPI: the transport is the process's */

/* nil and the message; Ctrl-C is raised. */
static int push_failure(lua_State *L, const sc_error *error) {
    if (error->status == SC_ERROR_INTERRUPTED) {
        lua_pushliteral(L, "interrupted"); /* wherever it was */
        return lua_error(L);
    }
    lua_pushnil(L);
    lua_pushstring(L, error->message);
    return 2;
}

static void begin_call(void) {
    sc_interrupt_begin();
    sc_mpi_begin_call();
}

static void end_call(void) {
    sc_mpi_end_call();
    sc_interrupt_end();
}

static int check_rank(lua_State *L, int index, bool any) {
    lua_Integer rank = luaL_checkinteger(L, index);
    luaL_argcheck(L, rank >= (any ? SC_MPI_ANY : 0) && rank < sc_mpi_find_place()->size, index, "no such rank");
    return (int)rank;
}

/* The list of ranks at index, as an array that the collector owns, pushed. */
static int *check_ranks(lua_State *L, int index, size_t *count) {
    luaL_checktype(L, index, LUA_TTABLE);
    *count = lua_rawlen(L, index);
    luaL_argcheck(L, *count <= INT_MAX, index, "too many");
    int *ranks = lua_newuserdatauv(L, (*count + 1) * sizeof *ranks, 0);
    for (size_t i = 0; i < *count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        ranks[i] = check_rank(L, lua_gettop(L), false);
        lua_pop(L, 1);
    }
    return ranks;
}

static sc_mpi_channel check_channel(lua_State *L, int index) {
    lua_Integer channel = luaL_checkinteger(L, index);
    luaL_argcheck(L, channel >= SC_MPI_TEXT && channel < SC_MPI_CHANNELS, index, "no such channel");
    return (sc_mpi_channel)channel;
}

static void check_started(lua_State *L) {
    if (!owner)
        luaL_error(L, "mpi: not started");
}

static const sc_tensor_access *check_access(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, SC_TENSOR_ACCESS_KEY);
    const sc_tensor_access *access = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!access || access->version != SC_TENSOR_ACCESS_VERSION || access->size != sizeof *access)
        luaL_error(L, "mpi: secateur/mpi.so and the core are not of the same version of Secateur");
    return access;
}

static sc_mpi_numbers check_tensor(lua_State *L, int index, const sc_tensor_access *access) {
    sc_tensor_memory memory = {.data = NULL};
    luaL_argcheck(L, access->look(L, index, &memory), index, "expected a Tensor");
    return (sc_mpi_numbers){.data = memory.data, .size = memory.bytes, .kind = (uint32_t)memory.dtype};
}

/* ---- the functions ---- */

/* library() -> text: the version of the MPI library; starts nothing. */
static int mpi_library(lua_State *L) {
    char text[256];
    sc_mpi_library(text, sizeof text);
    lua_pushstring(L, text);
    return 1;
}

static int release_owner(lua_State *L) {
    (void)L;
    owner = NULL;
    return 0;
}

/* start(mark) -> {rank=, size=, host=, local_size=, core_count=, cores=, is_bound=}, or nil, message. The
 * mark is for the environment, by which children of this process know that they are no ranks. */
static int mpi_start(lua_State *L) {
    const char *mark = luaL_checkstring(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    lua_State *main = lua_tothread(L, -1);
    if (owner && owner != main) {
        lua_pushnil(L);
        lua_pushliteral(L, "another Lua state of this process uses MPI");
        return 2;
    }
    if (!owner) {
        lua_newuserdatauv(L, 0, 0);
        luaL_setmetatable(L, OWNER);
        lua_setfield(L, LUA_REGISTRYINDEX, OWNER);
    }
    sc_error error;
    sc_mpi_begin_call();
    sc_status status = sc_mpi_start(&error);
    sc_mpi_end_call();
    if (status != SC_OK)
        return push_failure(L, &error);
    if (!owner && setenv("SECATEUR_MPI_PROCESS", mark, 1) != 0)
        return luaL_error(L, "not enough memory");
    owner = main;
    const sc_mpi_place *place = sc_mpi_find_place();
    lua_createtable(L, 0, 7);
    lua_pushinteger(L, place->rank);
    lua_setfield(L, -2, "rank");
    lua_pushinteger(L, place->size);
    lua_setfield(L, -2, "size");
    lua_pushinteger(L, place->local_size);
    lua_setfield(L, -2, "local_size");
    lua_pushinteger(L, place->core_count);
    lua_setfield(L, -2, "core_count");
    lua_pushnumber(L, place->cores);
    lua_setfield(L, -2, "cores");
    lua_pushboolean(L, place->is_bound);
    lua_setfield(L, -2, "is_bound");
    lua_pushstring(L, place->host);
    lua_setfield(L, -2, "host");
    return 1;
}

static int push_result(lua_State *L, sc_status status, const sc_error *error) {
    if (status != SC_OK)
        return push_failure(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* send(ranks, channel, text[, label]) -> true, or nil, message. */
static int mpi_send(lua_State *L) {
    check_started(L);
    size_t count, size;
    sc_mpi_channel channel = check_channel(L, 2);
    luaL_checktype(L, 3, LUA_TSTRING);
    const char *bytes = lua_tolstring(L, 3, &size);
    lua_Integer label = luaL_optinteger(L, 4, 0);
    luaL_argcheck(L, label >= 0 && label < 256, 4, "expected a byte");
    int *ranks = check_ranks(L, 1, &count);
    sc_error error;
    begin_call();
    sc_status status = sc_mpi_send(ranks, count, channel, (unsigned)label, bytes, size, &error);
    end_call();
    return push_result(L, status, &error);
}

static int free_message(lua_State *L) {
    sc_mpi_message_free(luaL_checkudata(L, 1, MESSAGE));
    return 0;
}

/* receive(rank, channel[, seconds]) -> rank, text, label; -1 is any rank. nil when the time is over; nil, message. */
static int mpi_receive(lua_State *L) {
    check_started(L);
    int source = check_rank(L, 1, true);
    sc_mpi_channel channel = check_channel(L, 2);
    double seconds = luaL_optnumber(L, 3, -1);
    sc_mpi_message *message = lua_newuserdatauv(L, sizeof *message, 0);
    *message = (sc_mpi_message){.source = SC_MPI_ANY};
    luaL_setmetatable(L, MESSAGE);
    sc_error error;
    begin_call();
    sc_status status = sc_mpi_receive(source, channel, seconds, message, &error);
    end_call();
    if (status != SC_OK)
        return push_failure(L, &error);
    if (message->source == SC_MPI_ANY)
        return lua_pushnil(L), 1;
    lua_pushinteger(L, message->source);
    lua_pushlstring(L, message->bytes, message->size);
    lua_pushinteger(L, message->label);
    sc_mpi_message_free(message);
    return 3;
}

/* send_tensor(ranks, channel, tensor) -> true, or nil, message. */
static int mpi_send_tensor(lua_State *L) {
    check_started(L);
    size_t count;
    sc_mpi_channel channel = check_channel(L, 2);
    int *ranks = check_ranks(L, 1, &count);
    sc_mpi_numbers numbers = check_tensor(L, 3, check_access(L));
    sc_error error;
    begin_call();
    sc_status status = sc_mpi_send_numbers(ranks, count, channel, &numbers, &error);
    end_call();
    return push_result(L, status, &error);
}

/* receive_tensor(rank, channel, tensor) -> true, or nil, message. In place. */
static int mpi_receive_tensor(lua_State *L) {
    check_started(L);
    int source = check_rank(L, 1, false);
    sc_mpi_channel channel = check_channel(L, 2);
    const sc_tensor_access *access = check_access(L);
    sc_mpi_numbers numbers = check_tensor(L, 3, access);
    access->change(L, 3);
    sc_error error;
    bool is_used;
    begin_call();
    sc_status status = sc_mpi_receive_numbers(source, channel, &numbers, &is_used, &error);
    end_call();
    if (is_used && !access->keep(L, 3))
        sc_mpi_abort(1);
    return push_result(L, status, &error);
}

/* report_failure(text) -> true, or nil, message: every wait of the others ends with it. */
static int mpi_report_failure(lua_State *L) {
    check_started(L);
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    sc_error error;
    sc_mpi_begin_call();
    sc_status status = sc_mpi_report_failure(text, size, &error);
    sc_mpi_end_call();
    return push_result(L, status, &error);
}

/* failure([seconds]) -> rank, text of the first that failed, or nil; waits for it, where told for how long. */
static int mpi_failure(lua_State *L) {
    const char *text;
    double seconds = luaL_optnumber(L, 1, 0);
    begin_call();
    int rank = sc_mpi_find_failure(seconds, &text);
    end_call();
    if (rank < 0)
        return lua_pushnil(L), 1;
    lua_pushinteger(L, rank);
    lua_pushstring(L, text);
    return 2;
}

/* pending() -> count, bytes: what was sent and not yet received. */
static int mpi_pending(lua_State *L) {
    check_started(L);
    size_t count, bytes;
    sc_mpi_begin_call();
    sc_mpi_count_pending(&count, &bytes);
    sc_mpi_end_call();
    lua_pushinteger(L, (lua_Integer)count);
    lua_pushinteger(L, (lua_Integer)bytes);
    return 2;
}

/* abort(status): ends all ranks. */
static int mpi_abort(lua_State *L) {
    check_started(L);
    sc_mpi_abort((int)luaL_checkinteger(L, 1));
    return 0;
}

/* set_piece(bytes): the size of pieces, for tests. */
static int mpi_set_piece(lua_State *L) {
    lua_Integer bytes = luaL_checkinteger(L, 1);
    luaL_argcheck(L, bytes > 0 && bytes <= 1 << 30, 1, "expected 1 to 2^30");
    sc_mpi_set_piece((size_t)bytes);
    return 0;
}

static void make_class(lua_State *L, const char *name, lua_CFunction finalize) {
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, finalize);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

__attribute__((visibility("default"))) int luaopen_secateur_mpi(lua_State *L);

/* A table of the functions above. */
int luaopen_secateur_mpi(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"library", mpi_library},
        {"start", mpi_start},
        {"send", mpi_send},
        {"receive", mpi_receive},
        {"send_tensor", mpi_send_tensor},
        {"receive_tensor", mpi_receive_tensor},
        {"report_failure", mpi_report_failure},
        {"failure", mpi_failure},
        {"pending", mpi_pending},
        {"abort", mpi_abort},
        {"set_piece", mpi_set_piece},
        {NULL, NULL},
    };
    luaL_checkversion(L);
    make_class(L, MESSAGE, free_message);
    make_class(L, OWNER, release_owner);
    luaL_newlib(L, functions);
    return 1;
}
