/* The module `spec.openblas`: products by OpenBLAS, a second opinion on ours for spec/kernel/product_spec.lua, and the
 * yardstick of spec/bench/gemm.lua. It stands apart from the core, which links no BLAS: OpenBLAS's bits depend on the
 * processor, on threads and on the place of a number in its matrix, and where it cannot map its buffers it loops for
 * ever. */
#include <cblas.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <stdint.h>

#define CLASS "spec.openblas.Matrix"

enum { MOST = INT_MAX / 4 }; /* elements */

typedef struct matrix {
    int rows, columns;
    float data[];
} matrix;

static matrix *push_matrix(lua_State *L, int rows, int columns) {
    matrix *m = lua_newuserdatauv(L, sizeof *m + (size_t)rows * (size_t)columns * sizeof *m->data, 0);
    *m = (matrix){.rows = rows, .columns = columns};
    luaL_setmetatable(L, CLASS);
    return m;
}

/* matrix(rows) -> Matrix: of a list of lists of numbers, equally long and not empty */
static int from_table(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, lua_geti(L, 1, 1) == LUA_TTABLE, 1, "expected a list of lists");
    lua_Integer rows = luaL_len(L, 1), columns = luaL_len(L, -1);
    luaL_argcheck(L, rows > 0 && columns > 0 && rows <= MOST / columns, 1, "expected lists that are not empty");
    matrix *m = push_matrix(L, (int)rows, (int)columns);
    float *next = m->data;
    for (lua_Integer i = 1; i <= rows; i++) {
        luaL_argcheck(L, lua_geti(L, 1, i) == LUA_TTABLE && luaL_len(L, -1) == columns, 1, "expected equal lengths");
        for (lua_Integer j = 1; j <= columns; j++) {
            lua_geti(L, -1, j);
            *next++ = (float)luaL_checknumber(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    return 1;
}

/* random(rows, columns, seed) -> Matrix: numbers between -1 and 1, to measure with */
static int random_numbers(lua_State *L) {
    lua_Integer rows = luaL_checkinteger(L, 1), columns = luaL_checkinteger(L, 2);
    luaL_argcheck(L, rows > 0 && columns > 0 && rows <= MOST / columns, 1, "expected positive sizes");
    uint32_t state = (uint32_t)luaL_checkinteger(L, 3);
    matrix *m = push_matrix(L, (int)rows, (int)columns);
    for (lua_Integer i = 0; i < rows * columns; i++) {
        state = state * 1664525u + 1013904223u; /* Numerical Recipes' linear congruence */
        m->data[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return 1;
}

/* a:multiply(b) -> Matrix */
static int multiply(lua_State *L) {
    const matrix *a = luaL_checkudata(L, 1, CLASS), *b = luaL_checkudata(L, 2, CLASS);
    luaL_argcheck(L, a->columns == b->rows, 2, "expected as many rows as the first has columns");
    luaL_argcheck(L, a->rows <= MOST / b->columns, 2, "product too large");
    matrix *c = push_matrix(L, a->rows, b->columns);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, a->rows, b->columns, a->columns, 1, a->data, a->columns,
                b->data, b->columns, 0, c->data, b->columns);
    return 1;
}

/* m:totable() -> list of lists of numbers */
static int to_table(lua_State *L) {
    const matrix *m = luaL_checkudata(L, 1, CLASS);
    const float *next = m->data;
    lua_createtable(L, m->rows, 0);
    for (int i = 1; i <= m->rows; i++) {
        lua_createtable(L, m->columns, 0);
        for (int j = 1; j <= m->columns; j++) {
            lua_pushnumber(L, (lua_Number)*next++);
            lua_rawseti(L, -2, j);
        }
        lua_rawseti(L, -2, i);
    }
    return 1;
}

__attribute__((visibility("default"))) int luaopen_spec_openblas(lua_State *L);

/* { matrix = function, random = function } */
int luaopen_spec_openblas(lua_State *L) {
    static const luaL_Reg functions[] = {{"matrix", from_table}, {"random", random_numbers}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"multiply", multiply}, {"totable", to_table}, {NULL, NULL}};
    luaL_newmetatable(L, CLASS);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    luaL_newlib(L, functions);
    return 1;
}
