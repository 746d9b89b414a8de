/* Single images, raw: what a file is, file -> tensor, tensor -> PNG, resizing. */
#include "base/interrupt.h"
#include "image/fault.h"
#include "image/pixels.h"
#include "image/resample.h"
#include "image/save.h"
#include "lua/core.h"
#include "lua/l_image_decode.h"
#include "lua/support.h"

#include <string.h>

#define PIXELS SC_LUA_CLASS("Pixels")

/* image_info(path) -> width, height, channels (as stored), bits (8 or 16); or nil, message where it is no
 * image. Reads the header only. What the machine refuses (memory, descriptors, rights) is an error. */
static int image_info(lua_State *L) {
    sc_error error;
    sc_image_header header;
    const char *path = sc_lua_check_text(L, 1, "image_info", "path");
    sc_image_limits none = {.max_pixels = SIZE_MAX, .max_bytes = SIZE_MAX};
    sc_status status = sc_image_header_load(&header, path, &none, &error);
    if (status != SC_OK && status != SC_ERROR_FORMAT)
        sc_lua_try(L, status, &error);
    if (status != SC_OK) {
        lua_pushnil(L);
        lua_pushstring(L, error.message);
        return 2;
    }
    lua_pushinteger(L, (lua_Integer)header.width);
    lua_pushinteger(L, (lua_Integer)header.height);
    lua_pushinteger(L, header.channels);
    lua_pushinteger(L, header.bits);
    return 4;
}

static int pixels_release(lua_State *L) {
    sc_pixels_release(luaL_checkudata(L, 1, PIXELS));
    return 0;
}

/* image_load(path[, {channels = 1 or 3 (default: 1 for grey, else 3), max_pixels = 64 Mpixel, max_bytes = 4 *
 * max_pixels (of decoded samples), window = the file's}]) -> Tensor [C,H,W] in 0..1. window, of DICOM files alone:
 * "file", "full" or {centre, width}. */
static int image_load(lua_State *L) {
    static const char *const known[] = {"channels", "max_pixels", "max_bytes", "window", NULL};
    sc_error error;
    size_t channels = 0;
    sc_decode_options reading = {.limits.max_pixels = SC_IMAGE_MAX_PIXELS};
    const char *path = sc_lua_check_text(L, 1, "image_load", "path");
    if (!lua_isnoneornil(L, 2)) {
        if (!lua_istable(L, 2))
            return sc_lua_expected(L, 2, "image_load", "options", "a table");
        sc_lua_check_keys(L, 2, "image_load", known);
        channels = (size_t)sc_lua_field_integer(L, 2, "image_load", "channels", 0, 1, 3);
        if (channels == 2)
            return sc_lua_fail(L, "image_load: channels: expected 1 or 3, got 2");
        reading = sc_lua_check_decode_options(L, 2, "image_load");
    }
    sc_tensor *tensor = sc_lua_new_tensor(L);
    sc_pixels *pixels = sc_lua_new_object(L, PIXELS, sizeof *pixels);
    sc_interrupt_begin();
    sc_status status = sc_image_fault_report(sc_pixels_load(pixels, path, &reading, &error), &error);
    sc_interrupt_end();
    sc_lua_try_in(L, "image_load", status, &error);
    sc_lua_try(L, sc_pixels_to_tensor(tensor, pixels, channels ? channels : pixels->channels, &error), &error);
    sc_pixels_release(pixels);
    lua_pop(L, 1);
    return 1;
}

/* image_save(path, tensor): writes a PNG. [H,W], [1,H,W] or [3,H,W]; real in 0..1 (clamped, NaN is an error) or uint8.
 */
static int image_save(lua_State *L) {
    sc_error error;
    const char *path = sc_lua_check_text(L, 1, "image_save", "path");
    const sc_tensor *tensor = sc_lua_check_tensor(L, 2, "image_save", "tensor");
    sc_lua_try_in(L, "image_save", sc_image_save(path, tensor, &error), &error);
    return 0;
}

/* A closed scratch is an empty one, so that finishing twice is safe. */
#define SCRATCH SC_LUA_CLASS("ResampleScratch")

static int resample_scratch_release(lua_State *L) {
    sc_resample_scratch_release(luaL_checkudata(L, 1, SCRATCH));
    return 0;
}

/* image_resize(tensor [C,H,W], height, width) -> Tensor [C,height,width], antialiased bilinear. */
static int image_resize(lua_State *L) {
    sc_error error;
    char text[SC_SHAPE_TEXT];
    const sc_tensor *image = sc_lua_check_tensor_of(L, 1, "image_resize", "tensor", SC_REAL);
    size_t height = (size_t)sc_lua_check_integer(L, 2, "image_resize", "height", 1, 65535);
    size_t width = (size_t)sc_lua_check_integer(L, 3, "image_resize", "width", 1, 65535);
    const size_t *size = image->shape.size;
    if (image->shape.ndim != 3 || sc_tensor_numel(image) == 0)
        return sc_lua_fail(L, "image_resize: tensor: expected [C,H,W], got %s", sc_shape_format(text, &image->shape));
    sc_shape shape;
    sc_lua_try(L, sc_shape_init(&shape, 3, (size_t[]){size[0], height, width}, &error), &error);
    sc_resample_scratch *scratch = sc_lua_new_object(L, SCRATCH, sizeof *scratch);
    sc_tensor *out = sc_lua_new_tensor(L);
    sc_lua_try(L, sc_tensor_create(out, SC_REAL, &shape, &error), &error);
    sc_resample_request request = sc_resample_box((sc_box){.width = size[2], .height = size[1]}, height, width);
    for (size_t c = 0; c < size[0]; c++) {
        sc_pixels plane = {.data = sc_tensor_real(image) + c * size[1] * size[2],
                           .width = size[2],
                           .height = size[1],
                           .channels = 1,
                           .depth = SC_DEPTH_REAL};
        sc_lua_try(L, sc_resample(sc_tensor_real(out) + c * height * width, &request, &plane, scratch, &error), &error);
    }
    sc_resample_scratch_release(scratch);
    return 1;
}

/* image_crop(tensor [C,H,W], left, top, width, height) -> Tensor [C,height,width], a copy; left and top from 0. */
static int image_crop(lua_State *L) {
    static const char function[] = "image_crop";
    sc_error error;
    char text[SC_SHAPE_TEXT];
    const sc_tensor *image = sc_lua_check_tensor_of(L, 1, function, "tensor", SC_REAL);
    const size_t *size = image->shape.size;
    if (image->shape.ndim != 3 || sc_tensor_numel(image) == 0)
        return sc_lua_fail(L, "%s: tensor: expected [C,H,W], got %s", function, sc_shape_format(text, &image->shape));
    size_t left = (size_t)sc_lua_check_integer(L, 2, function, "left", 0, (lua_Integer)size[2] - 1);
    size_t top = (size_t)sc_lua_check_integer(L, 3, function, "top", 0, (lua_Integer)size[1] - 1);
    size_t width = (size_t)sc_lua_check_integer(L, 4, function, "width", 1, (lua_Integer)(size[2] - left));
    size_t height = (size_t)sc_lua_check_integer(L, 5, function, "height", 1, (lua_Integer)(size[1] - top));
    sc_shape shape;
    sc_lua_try(L, sc_shape_init(&shape, 3, (size_t[]){size[0], height, width}, &error), &error);
    sc_tensor *out = sc_lua_new_tensor(L);
    sc_lua_try(L, sc_tensor_create(out, SC_REAL, &shape, &error), &error);
    for (size_t c = 0; c < size[0]; c++)
        for (size_t y = 0; y < height; y++)
            memcpy(sc_tensor_real(out) + (c * height + y) * width,
                   sc_tensor_real(image) + (c * size[1] + top + y) * size[2] + left, width * sizeof(sc_real));
    return 1;
}

void sc_lua_open_image(lua_State *L) {
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"image_info", image_info},     {"image_load", image_load}, {"image_save", image_save},
        {"image_resize", image_resize}, {"image_crop", image_crop}, {NULL, NULL},
    };
    sc_lua_new_class(L, PIXELS, none, pixels_release);
    sc_lua_new_class(L, SCRATCH, none, resample_scratch_release);
    luaL_setfuncs(L, functions, 0);
}
