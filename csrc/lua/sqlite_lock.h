/* What else the module `secateur.sqlite` has for stores: the lock of who writes, and the kind of file system. */
#ifndef SC_LUA_SQLITE_LOCK_H
#define SC_LUA_SQLITE_LOCK_H

#include <lua.h>

/* Makes the class Lock, and adds the functions `lock` and `shared_file_system` to the table on top. */
void sc_sqlite_lock_register(lua_State *L);

#endif
