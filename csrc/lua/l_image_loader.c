/* The class ImageLoader: batches made by threads before they are asked for. */
#include "base/interrupt.h"
#include "image/loader.h"
#include "lua/core.h"
#include "lua/l_image_batch.h"
#include "lua/l_image_preprocess.h"
#include "lua/l_image_source.h"
#include "lua/support.h"

#define CLASS SC_LUA_CLASS("ImageLoader")

typedef struct image_loader_box {
    sc_image_loader *loader;
    bool closed;
    size_t count;    /* of samples */
    size_t position; /* samples handed out */
    size_t *indices; /* lives in the user value */
} image_loader_box;

/* image_loader(source, {indices=, repeats=, batch = 32, sizes=, workers = 2, prefetch = 4, and the options of
 * source:batch}) -> ImageLoader. */
static int image_loader(lua_State *L) {
    static const char *const known[] = {"indices", "batch",    "size",    "channels", "resize", "interpolation",
                                        "range",   "mean",     "std",     "augment",  "seed",   "epoch",
                                        "workers", "prefetch", "repeats", "sizes",    NULL};
    const char *name = "image_loader";
    sc_error error;
    sc_image_loader_options options = {0};
    lua_settop(L, 2);
    sc_image_source *source = sc_lua_check_image_source(L, 1, name, "source");
    if (!lua_istable(L, 2))
        return sc_lua_expected(L, 2, name, "options", "a table");
    sc_lua_check_keys(L, 2, name, known);
    options.preprocess = sc_lua_check_preprocess(L, 2, name);
    options.batch = (size_t)sc_lua_field_integer(L, 2, name, "batch", 32, 1, 1 << 20);
    options.workers = (size_t)sc_lua_field_integer(L, 2, name, "workers", 2, 1, 256);
    options.prefetch = (size_t)sc_lua_field_integer(L, 2, name, "prefetch", 4, 1, 1024);
    sc_lua_collect_if_due(L);
    image_loader_box *box = sc_lua_new_object(L, CLASS, sizeof *box);
    sc_lua_field(L, 2, "indices");
    box->indices =
        sc_lua_check_index_list(L, -1, name, "indices", 1, (lua_Integer)sc_image_source_count(source), &options.count);
    options.indices = box->indices;
    box->count = options.count;
    lua_setiuservalue(L, 3, 1);
    size_t count;
    if (sc_lua_field(L, 2, "repeats") != LUA_TNIL) {
        options.repeats = sc_lua_check_index_list(L, -1, name, "repeats", 0, LUA_MAXINTEGER, &count);
        if (count != options.count)
            return sc_lua_fail(L, "%s: repeats: expected one per index, %d, got %d", name, (int)options.count,
                               (int)count);
    }
    if (sc_lua_field(L, 2, "sizes") != LUA_TNIL)
        options.sizes = sc_lua_check_index_list(L, -1, name, "sizes", 0, 1 << 20, &options.size_count);
    sc_lua_try(L, sc_image_loader_create(&box->loader, source, &options, &error), &error);
    lua_settop(L, 3);
    return 1;
}

/* loader:next() -> x, positions, failures as from source:batch, positions within all of the loader's indices; nil after
 * the last batch. x has no rows when none of a batch could be read. */
static int image_loader_next(lua_State *L) {
    sc_error error;
    bool done;
    image_loader_box *box = luaL_testudata(L, 1, CLASS);
    if (!box)
        return sc_lua_expected(L, 1, "next", "loader", "an ImageLoader");
    if (box->closed)
        return sc_lua_fail(L, "next: loader: expected an open ImageLoader, got a closed one");
    sc_image_batch *batch = sc_lua_new_image_batch(L);
    sc_interrupt_begin();
    sc_status status = sc_image_loader_next(box->loader, batch, &done, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    if (done) {
        lua_pushnil(L);
        return 1;
    }
    size_t first = box->position;
    box->position += batch->count;
    sc_lua_push_image_batch(L, batch, box->indices + first, first);
    return 3;
}

/* loader:close(): stops the threads; nothing happens the second time. */
static int image_loader_close(lua_State *L) {
    image_loader_box *box = luaL_checkudata(L, 1, CLASS);
    sc_image_loader *loader = box->loader;
    box->loader = NULL;
    box->closed = true;
    sc_image_loader_destroy(loader);
    return 0;
}

static int image_loader_tostring(lua_State *L) {
    const image_loader_box *box = luaL_checkudata(L, 1, CLASS);
    if (box->closed)
        return lua_pushliteral(L, "ImageLoader (closed)"), 1;
    lua_pushfstring(L, "ImageLoader: %I of %I images handed out", (LUAI_UACINT)box->position, (LUAI_UACINT)box->count);
    return 1;
}

void sc_lua_open_image_loader(lua_State *L) {
    static const luaL_Reg methods[] = {{"next", image_loader_next},
                                       {"close", image_loader_close},
                                       {"__tostring", image_loader_tostring},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"image_loader", image_loader}, {NULL, NULL}};
    sc_lua_new_class(L, CLASS, methods, image_loader_close);
    luaL_setfuncs(L, functions, 0);
}
