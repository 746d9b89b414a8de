/* The class ImageSource: many images behind one face. Indices count from 1. */
#include "lua/l_image_source.h"

#include "base/interrupt.h"
#include "image/digest.h"
#include "image/extent.h"
#include "image/fault.h"
#include "image/phantom.h"
#include "lua/core.h"
#include "lua/l_image_batch.h"
#include "lua/l_image_decode.h"
#include "lua/l_image_preprocess.h"
#include "lua/support.h"

#include <limits.h>
#include <string.h>

#define CLASS SC_LUA_CLASS("ImageSource")

typedef struct image_source_box {
    sc_image_source *source;
} image_source_box;

static const lua_Integer default_cache = (lua_Integer)512 << 20;

sc_image_source *sc_lua_check_image_source(lua_State *L, int index, const char *function, const char *argument) {
    image_source_box *box = luaL_testudata(L, index, CLASS);
    if (!box)
        sc_lua_expected(L, index, function, argument, "an ImageSource");
    else if (!box->source)
        sc_lua_fail(L, "%s: %s: expected an ImageSource, got a closed one", function, argument);
    return box->source;
}

static size_t cache_bytes(lua_State *L) {
    return (size_t)sc_lua_field_integer(L, 1, "image_source", "cache_bytes", default_cache, 0, LUA_MAXINTEGER);
}

static void create_from_files(lua_State *L, image_source_box *box) {
    static const char *const known[] = {"kind", "paths", "max_pixels", "max_bytes", "window", "cache_bytes", NULL};
    sc_error error;
    sc_lua_check_keys(L, 1, "image_source", known);
    sc_decode_options options = sc_lua_check_decode_options(L, 1, "image_source");
    sc_lua_field(L, 1, "paths");
    int list = lua_gettop(L);
    if (!lua_istable(L, list))
        sc_lua_expected(L, list, "image_source", "paths", "a list of strings");
    size_t count = (size_t)lua_rawlen(L, list);
    const char **paths = lua_newuserdatauv(L, (count + 1) * sizeof *paths, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1); /* the table keeps the string */
        paths[i] = sc_lua_check_text(L, lua_gettop(L), "image_source", "paths");
        lua_pop(L, 1);
    }
    sc_lua_try(L, sc_image_source_create_files(&box->source, paths, count, &options, cache_bytes(L), &error), &error);
}

static void create_from_pixels(lua_State *L, image_source_box *box) {
    static const char *const known[] = {"kind", "pixels", NULL};
    sc_error error;
    sc_lua_check_keys(L, 1, "image_source", known);
    sc_lua_field(L, 1, "pixels");
    const sc_tensor *pixels = sc_lua_check_tensor(L, lua_gettop(L), "image_source", "pixels");
    sc_lua_try_in(L, "image_source", sc_image_source_create_pixels(&box->source, pixels, &error), &error);
}

/* The sets of findings of phantoms, as an array that the collector owns, pushed: given as such, or a class each. */
static uint8_t *check_findings(lua_State *L, size_t *count) {
    sc_lua_field(L, 1, "findings");
    bool sets = !lua_isnil(L, -1);
    if (!sets)
        sc_lua_field(L, 1, "labels");
    const size_t *numbers =
        sets ? sc_lua_check_index_list(L, -1, "image_source", "findings", 0, (1 << SC_PHANTOM_FINDINGS) - 1, count)
             : sc_lua_check_index_list(L, -1, "image_source", "labels", 1, SC_PHANTOM_FINDINGS + 1, count);
    uint8_t *findings = lua_newuserdatauv(L, *count + 1, 0);
    for (size_t i = 0; i < *count; i++)
        findings[i] = (uint8_t)(sets ? numbers[i] : (size_t)1 << numbers[i] >> 1);
    return findings;
}

static void create_from_phantom(lua_State *L, image_source_box *box) {
    static const char *const known[] = {"kind", "labels", "findings", "seed", "size", "cache_bytes", NULL};
    sc_error error;
    size_t count;
    sc_lua_check_keys(L, 1, "image_source", known);
    lua_Integer seed = sc_lua_field_integer(L, 1, "image_source", "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER);
    size_t size = (size_t)sc_lua_field_integer(L, 1, "image_source", "size", 64, SC_PHANTOM_MIN_SIZE, 4096);
    const uint8_t *findings = check_findings(L, &count);
    sc_lua_try(
        L, sc_image_source_create_phantoms(&box->source, findings, count, size, (uint64_t)seed, cache_bytes(L), &error),
        &error);
}

/* image_source{kind = "files", paths = {...}, max_pixels = 64 Mpixel, max_bytes = 4 * max_pixels, window =, cache_bytes
 * = 512 MiB} or image_source{kind = "pixels", pixels = uint8 Tensor [N,H,W], [N,H,W,1] or [N,H,W,3]} or
 * image_source{kind = "phantom", labels = {1 normal, 2 nodule, 3 effusion, 4 opacity; ...}, or findings = {sums of
 * 1 nodule, 2 effusion, 4 opacity; ...}, seed = 0, size = 64, cache_bytes = 512 MiB} -> ImageSource. */
static int image_source(lua_State *L) {
    if (!lua_istable(L, 1))
        return sc_lua_expected(L, 1, "image_source", "options", "a table");
    lua_settop(L, 1);
    sc_lua_field(L, 1, "kind");
    const char *kind = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    image_source_box *box = sc_lua_new_object(L, CLASS, sizeof *box);
    int result = lua_gettop(L);
    if (strcmp(kind, "files") == 0)
        create_from_files(L, box);
    else if (strcmp(kind, "pixels") == 0)
        create_from_pixels(L, box);
    else if (strcmp(kind, "phantom") == 0)
        create_from_phantom(L, box);
    else
        return sc_lua_expected(L, 2, "image_source", "kind", "'files', 'pixels' or 'phantom'");
    lua_settop(L, result);
    return 1;
}

static int image_source_close(lua_State *L) {
    image_source_box *box = luaL_checkudata(L, 1, CLASS);
    sc_image_source_release(box->source);
    box->source = NULL;
    return 0;
}

static int image_source_tostring(lua_State *L) {
    const image_source_box *box = luaL_checkudata(L, 1, CLASS);
    if (!box->source)
        return lua_pushliteral(L, "ImageSource (closed)"), 1;
    lua_pushfstring(L, "ImageSource: %I images", (LUAI_UACINT)sc_image_source_count(box->source));
    return 1;
}

/* source:count() -> how many images there are, readable or not. */
static int image_source_count(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)sc_image_source_count(sc_lua_check_image_source(L, 1, "count", "source")));
    return 1;
}

/* source:check() -> list of {index=, message=}: files that are missing, no image or too large, by their headers. */
static int image_source_check(lua_State *L) {
    sc_error error;
    const sc_image_source *source = sc_lua_check_image_source(L, 1, "check", "source");
    sc_image_batch *batch = sc_lua_new_image_batch(L);
    sc_interrupt_begin();
    sc_status status = sc_image_batch_check(batch, source, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    sc_lua_push_image_failures(L, batch, NULL);
    sc_image_batch_release(batch);
    return 1;
}

/* 0, 1, … as an array that the collector owns, pushed. */
static const size_t *push_all_indices(lua_State *L, size_t count) {
    size_t *indices = lua_newuserdatauv(L, (count + 1) * sizeof *indices, 0);
    for (size_t i = 0; i < count; i++)
        indices[i] = i;
    return indices;
}

/* source:digests([indices]) -> list: per image (of all, unless told) 32 hexadecimal digits that are those of its
 * decoded pixels, or false where it cannot be read. Not cryptographic. Works on all cores, and waits. */
static int image_source_digests(lua_State *L) {
    sc_error error;
    sc_image_source *source = sc_lua_check_image_source(L, 1, "digests", "source");
    size_t all = sc_image_source_count(source), count = all;
    const size_t *indices = lua_isnoneornil(L, 2)
                                ? push_all_indices(L, all)
                                : sc_lua_check_index_list(L, 2, "digests", "indices", 1, (lua_Integer)all, &count);
    sc_image_digest *digests = lua_newuserdatauv(L, (count + 1) * sizeof *digests, 0);
    sc_interrupt_begin();
    sc_status status = sc_image_source_digests(digests, source, indices, count, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    lua_createtable(L, (int)(count < INT_MAX ? count : 0), 0);
    for (size_t i = 0; i < count; i++) {
        if (digests[i].readable)
            lua_pushstring(L, digests[i].text);
        else
            lua_pushboolean(L, false);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static void push_extent(lua_State *L, const sc_image_extent *extent) {
    lua_createtable(L, 0, 4);
    lua_pushnumber(L, extent->low);
    lua_setfield(L, -2, "low");
    lua_pushnumber(L, extent->high);
    lua_setfield(L, -2, "high");
    lua_pushnumber(L, extent->limit);
    lua_setfield(L, -2, "limit");
    if (extent->significant > 0) {
        lua_pushinteger(L, extent->significant);
        lua_setfield(L, -2, "bits");
    }
}

/* source:extents(indices) -> list: per image {low=, high= (its lowest and highest stored value), limit= (the highest
 * that its format allows), bits= (as sBIT of a PNG says, else nil)}, or false where it cannot be read. On all cores. */
static int image_source_extents(lua_State *L) {
    sc_error error;
    size_t count;
    sc_image_source *source = sc_lua_check_image_source(L, 1, "extents", "source");
    const size_t *indices =
        sc_lua_check_index_list(L, 2, "extents", "indices", 1, (lua_Integer)sc_image_source_count(source), &count);
    sc_image_extent *extents = lua_newuserdatauv(L, (count + 1) * sizeof *extents, 0);
    sc_interrupt_begin();
    sc_status status = sc_image_source_extents(extents, source, indices, count, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    lua_newtable(L);
    for (size_t i = 0; i < count; i++) {
        if (extents[i].readable)
            push_extent(L, &extents[i]);
        else
            lua_pushboolean(L, false);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* source:content(index, options of source:batch) -> left, top, width, height of the box that the whole image fills in
 * the square, from 0: all of it, but with resize = "pad". Nil, message where it is damaged. */
static int image_source_content(lua_State *L) {
    sc_error error;
    sc_image_source *source = sc_lua_check_image_source(L, 1, "content", "source");
    size_t index =
        (size_t)sc_lua_check_integer(L, 2, "content", "index", 1, (lua_Integer)sc_image_source_count(source)) - 1;
    if (!lua_istable(L, 3))
        return sc_lua_expected(L, 3, "content", "options", "a table");
    sc_preprocess preprocess = sc_lua_check_preprocess(L, 3, "content");
    sc_pixels pixels;
    sc_interrupt_begin();
    sc_status status = sc_image_fault_report(sc_image_source_load(source, index, &pixels, &error), &error);
    sc_interrupt_end();
    if (status != SC_OK && status != SC_ERROR_FORMAT)
        sc_lua_try(L, status, &error);
    if (status != SC_OK) {
        lua_pushnil(L);
        lua_pushstring(L, error.message);
        return 2;
    }
    sc_box box = sc_preprocess_content(&preprocess, pixels.height, pixels.width);
    sc_pixels_release(&pixels);
    lua_pushinteger(L, (lua_Integer)box.left);
    lua_pushinteger(L, (lua_Integer)box.top);
    lua_pushinteger(L, (lua_Integer)box.width);
    lua_pushinteger(L, (lua_Integer)box.height);
    return 4;
}

/* source:pixels(index) -> Tensor [C,H,W] in 0..1, as decoded. */
static int image_source_pixels(lua_State *L) {
    sc_error error;
    sc_image_source *source = sc_lua_check_image_source(L, 1, "pixels", "source");
    size_t index =
        (size_t)sc_lua_check_integer(L, 2, "pixels", "index", 1, (lua_Integer)sc_image_source_count(source)) - 1;
    sc_tensor *tensor = sc_lua_new_tensor(L);
    sc_pixels pixels;
    sc_interrupt_begin();
    sc_status status = sc_image_fault_report(sc_image_source_load(source, index, &pixels, &error), &error);
    sc_interrupt_end();
    if (status == SC_OK)
        status = sc_pixels_to_tensor(tensor, &pixels, pixels.channels, &error);
    sc_pixels_release(&pixels);
    sc_lua_try_in(L, "pixels", status, &error);
    return 1;
}

/* source:batch(indices, {size=, channels = 3, resize = "squash" ("crop", "pad", or the shorter side before a crop),
 * interpolation = "bilinear" ("bicubic", "nearest"), range= ("full", "percentile", {low, high} in stored units), mean =
 * 0, std = 1, augment=, seed = 0, epoch = 0})
 * -> x Tensor [n,C,size,size] of the images that could be read, their positions in indices, and a list of
 * {index=, message=} of the others. Works on all cores, and waits. */
static int image_source_batch(lua_State *L) {
    static const char *const known[] = {"size", "channels", "resize", "interpolation", "range", "mean",
                                        "std",  "augment",  "seed",   "epoch",         NULL};
    sc_error error;
    size_t count;
    sc_image_source *source = sc_lua_check_image_source(L, 1, "batch", "source");
    if (!lua_istable(L, 3))
        return sc_lua_expected(L, 3, "batch", "options", "a table");
    sc_lua_check_keys(L, 3, "batch", known);
    sc_preprocess preprocess = sc_lua_check_preprocess(L, 3, "batch");
    const size_t *indices =
        sc_lua_check_index_list(L, 2, "batch", "indices", 1, (lua_Integer)sc_image_source_count(source), &count);
    sc_image_batch *batch = sc_lua_new_image_batch(L);
    sc_interrupt_begin();
    sc_status status = sc_image_batch_load(batch, source, indices, count, &preprocess, &error);
    sc_interrupt_end();
    sc_lua_try(L, status, &error);
    return sc_lua_push_image_batch(L, batch, indices, 0);
}

void sc_lua_open_image_source(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"count", image_source_count},         {"check", image_source_check},
        {"digests", image_source_digests},     {"extents", image_source_extents},
        {"content", image_source_content},     {"batch", image_source_batch},
        {"pixels", image_source_pixels},       {"close", image_source_close},
        {"__tostring", image_source_tostring}, {NULL, NULL},
    };
    static const luaL_Reg functions[] = {{"image_source", image_source}, {NULL, NULL}};
    sc_lua_new_class(L, CLASS, methods, image_source_close);
    luaL_setfuncs(L, functions, 0);
}
