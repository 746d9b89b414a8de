#include "image/save.h"

#include "base/atomic_file.h"
#include "base/memory.h"
#include "image/stb.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* bytes [height, width, channels] from image [channels, height, width]. */
static sc_status quantise(unsigned char *bytes, const sc_tensor *image, size_t channels, size_t area, sc_error *error) {
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < area; i++) {
            if (image->dtype == SC_UINT8) {
                bytes[i * channels + c] = sc_tensor_uint8(image)[c * area + i];
                continue;
            }
            double value = (double)sc_tensor_real(image)[c * area + i];
            if (isnan(value))
                return sc_error_set(error, SC_ERROR_NUMERIC, "expected numbers, got NaN at [%zu] of channel %zu", i + 1,
                                    c + 1);
            bytes[i * channels + c] = (unsigned char)lrint(255 * fmin(fmax(value, 0), 1));
        }
    return SC_OK;
}

/* Where stb sends the packed image, all at once. */
typedef struct png_sink {
    sc_atomic_file file;
    sc_status status;
    sc_error *error;
} png_sink;

static void write_png(void *user, void *data, int size) {
    png_sink *to = user;
    to->status = sc_atomic_file_write(&to->file, data, (size_t)size, to->error);
}

static sc_status save_png(const char *path, const unsigned char *bytes, size_t height, size_t width, size_t channels,
                          sc_error *error) {
    png_sink to = {.error = error};
    SC_TRY(sc_atomic_file_open(&to.file, path, error));
    if (!stbi_write_png_to_func(write_png, &to, (int)width, (int)height, (int)channels, bytes,
                                (int)(width * channels))) {
        sc_stb_release_deflated();
        to.status = sc_error_set(error, SC_ERROR_MEMORY, "'%s': not enough memory for the packed image", path);
    }
    if (to.status == SC_OK)
        return sc_atomic_file_commit(&to.file, error);
    sc_atomic_file_discard(&to.file);
    return to.status;
}

sc_status sc_image_save(const char *path, const sc_tensor *image, sc_error *error) {
    const sc_shape *shape = &image->shape;
    char text[SC_SHAPE_TEXT];
    bool planes = shape->ndim == 3;
    if (!(shape->ndim == 2 || (planes && (shape->size[0] == 1 || shape->size[0] == 3))) ||
        sc_tensor_numel(image) == 0 || image->dtype == SC_INT64)
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "expected a real or uint8 tensor [H,W], [1,H,W] or [3,H,W], got %s of %s",
                            sc_shape_format(text, shape), sc_dtype_name(image->dtype));
    size_t channels = planes ? shape->size[0] : 1;
    size_t height = shape->size[planes ? 1 : 0], width = shape->size[planes ? 2 : 1];
    if (width > 65535 || height > 65535 || sc_tensor_numel(image) > INT_MAX / 2) /* stb counts in int */
        return sc_error_set(error, SC_ERROR_ARGUMENT, "%zu x %zu pixels are too many for one PNG", width, height);
    void *bytes;
    SC_TRY(sc_memory_alloc(&bytes, sc_tensor_numel(image), 1, error));
    sc_status status = quantise(bytes, image, channels, width * height, error);
    if (status == SC_OK)
        status = save_png(path, bytes, height, width, channels, error);
    sc_memory_free(bytes);
    return status;
}
