/* How a module beside the core (lua/mpi.c) reaches the memory of tensors: the core leaves a table of functions in the
 * registry, whose version and size are checked. A Tensor is known by its class, as everywhere: no pointer goes through
 * Lua. */
#ifndef SC_LUA_TENSOR_ACCESS_H
#define SC_LUA_TENSOR_ACCESS_H

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>

/* The registry's key, and the version of what stands there as a light userdata. */
#define SC_TENSOR_ACCESS_KEY "secateur.tensor_access"
enum { SC_TENSOR_ACCESS_VERSION = 1 };

/* A tensor's memory: good while the tensor is on the stack and nothing else of Lua runs. */
typedef struct sc_tensor_memory {
    void *data;
    size_t bytes;
    int dtype; /* the number of the type of element, as sc_dtype counts; the same in all processes of one version */
    const char *dtype_name;
} sc_tensor_memory;

/* The functions. */
typedef struct sc_tensor_access {
    int version;
    size_t size;                                                  /* of this struct */
    bool (*look)(lua_State *L, int index, sc_tensor_memory *out); /* false when it is no Tensor; raises when closed */
    void (*change)(lua_State *L, int index);                      /* to be called before its numbers change */
    bool (*keep)(lua_State *L, int index);                        /* its memory stays until the process ends */
} sc_tensor_access;

#endif
