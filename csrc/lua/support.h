/* What every binding file uses: argument checks, errors, the tensor box, and the collector's view of native memory.
 *
 * A binding function first checks its arguments (these functions raise), then makes its result userdata (so that the
 * collector owns it), and only then calls the core, whose errors go through sc_lua_try. Nothing that malloc gave is
 * held in a plain C variable while a function that may raise is called. */
#ifndef SC_LUA_SUPPORT_H
#define SC_LUA_SUPPORT_H

#include "base/status.h"
#include "tensor/tensor.h"

#include <lauxlib.h>
#include <lua.h>

/* Metatable names differ between the float and the double build, so that both can be loaded side by side. */
#ifdef SC_REAL_IS_DOUBLE
#define SC_LUA_CLASS(name) "secateur.double." name
#else
#define SC_LUA_CLASS(name) "secateur." name
#endif

/* Formats a message as lua_pushfstring does, and raises it: by the function that sc_lua_set_raise was given, so that
 * failures of the core say where the user called just as those of lua/secateur do; by luaL_error while there is none.
 * Does not return; the int is for `return sc_lua_fail(...)`. */
int sc_lua_fail(lua_State *L, const char *format, ...);

/* From now on sc_lua_fail and sc_lua_try call the function at index with their message, and whether it says that memory
 * ran out. */
void sc_lua_set_raise(lua_State *L, int index);

/* Raises the error's message unless status is SC_OK. Ctrl-C is raised by luaL_error, whatever sc_lua_set_raise was
 * given: code that catches failures of the core must not swallow it. */
void sc_lua_try(lua_State *L, sc_status status, const sc_error *error);

/* The same, with the function's name before the message of a failure. */
void sc_lua_try_in(lua_State *L, const char *function, sc_status status, const sc_error *error);

/* Pushes a short description of the value at index, for a message: numbers and strings by value, the rest by type. */
const char *sc_lua_describe(lua_State *L, int index);

/* Raises "function: argument: expected EXPECTED, got <what stands at index>". */
int sc_lua_expected(lua_State *L, int index, const char *function, const char *argument, const char *expected);

/* A whole number in [low, high] at index, else an error in the form above. */
lua_Integer sc_lua_check_integer(lua_State *L, int index, const char *function, const char *argument, lua_Integer low,
                                 lua_Integer high);

/* A number (not a string) at index. */
double sc_lua_check_number(lua_State *L, int index, const char *function, const char *argument);

/* A string (not a number) at index; the pointer lives as long as the value stays on the stack. */
const char *sc_lua_check_string(lua_State *L, int index, const char *function, const char *argument);

/* A string without zero bytes, which would cut it short: a path would name another file than it seems to. */
const char *sc_lua_check_text(lua_State *L, int index, const char *function, const char *argument);

/* A boolean, or fallback when the slot is nil or absent. */
bool sc_lua_check_flag(lua_State *L, int index, const char *function, const char *argument, bool fallback);

/* Pushes the field of a table and returns its type. Raw, as sc_lua_check_keys looks: a metamethod could change the
 * graph or close the tensor that the caller has already looked at. */
int sc_lua_field(lua_State *L, int table, const char *field);

/* Field readers for option tables: push nothing; an absent field gives the fallback. The table itself must have been
 * checked to be one. Unknown keys are refused with sc_lua_check_keys. */
lua_Integer sc_lua_field_integer(lua_State *L, int table, const char *function, const char *field, lua_Integer fallback,
                                 lua_Integer low, lua_Integer high);
double sc_lua_field_number(lua_State *L, int table, const char *function, const char *field, double fallback);
bool sc_lua_field_flag(lua_State *L, int table, const char *function, const char *field, bool fallback);

/* Raises "function: unknown option 'x', expected one of: a, b" unless every key of the table is in the NULL-ended list.
 */
void sc_lua_check_keys(lua_State *L, int table, const char *function, const char *const *known);

/* The list of whole numbers in low..high at index, as an array that the collector owns, pushed; low is taken off each.
 * Messages call the list argument. */
size_t *sc_lua_check_index_list(lua_State *L, int index, const char *function, const char *argument, lua_Integer low,
                                lua_Integer high, size_t *count);

/* The place of a text in a NULL-ended list, or -1. */
int sc_lua_find_choice(const char *text, const char *const *choices);

/* The tensor in the userdata at index; raises when it is none. */
sc_tensor *sc_lua_check_tensor(lua_State *L, int index, const char *function, const char *argument);

/* The tensor at index, or NULL when it is none. */
sc_tensor *sc_lua_test_tensor(lua_State *L, int index);

/* The same, and its element type must be the one named. */
sc_tensor *sc_lua_check_tensor_of(lua_State *L, int index, const char *function, const char *argument, sc_dtype dtype);

/* The same, and its type and shape must be those of another. */
sc_tensor *sc_lua_check_tensor_like(lua_State *L, int index, const char *function, const char *argument,
                                    const sc_tensor *like);

/* Pushes a Tensor userdata that holds nothing yet; the caller fills it through the pointer. Collects garbage first when
 * much native memory was handed out since the last time. */
sc_tensor *sc_lua_new_tensor(lua_State *L);

/* A new userdata of the class, zeroed and with its metatable set. The class must have been made. */
void *sc_lua_new_object(lua_State *L, const char *class_name, size_t size);

/* Registers a class: metatable with these methods, __index to itself, __gc and __close = finalize (idempotent). Where a
 * script's finalizer calls it, under these names or as one of the methods, nothing happens. */
void sc_lua_new_class(lua_State *L, const char *class_name, const luaL_Reg *methods, lua_CFunction finalize);

/* For functions that replace memory which another one, that allocates and so lets finalizers run, may be reading. */
void sc_lua_refuse_in_finalizer(lua_State *L, const char *function);

/* Runs a full collection when native memory has grown by a quarter (64 MiB at least) since the last one: Lua cannot see
 * native bytes, and would let them pile up. Called by sc_lua_new_tensor and by what allocates much without it. */
void sc_lua_collect_if_due(lua_State *L);

#endif
