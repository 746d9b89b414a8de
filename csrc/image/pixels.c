#define _POSIX_C_SOURCE 200809L
#include "image/pixels.h"

#include "base/memory.h"
#include "image/container.h"
#include "image/file.h"
#include "image/stb.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

size_t sc_pixels_bytes(const sc_pixels *pixels) {
    size_t sample = pixels->depth == SC_DEPTH_8 ? 1 : pixels->depth == SC_DEPTH_16 ? 2 : sizeof(sc_real);
    return pixels->width * pixels->height * pixels->channels * sample;
}

void sc_pixels_release(sc_pixels *pixels) {
    sc_memory_free(pixels->owned);
    *pixels = (sc_pixels){0};
}

static sc_status judge_size(size_t width, size_t height, size_t max_pixels, sc_error *error) {
    if (width == 0 || height == 0)
        return sc_error_set(error, SC_ERROR_FORMAT, "an image of %zu x %zu pixels", width, height);
    if (width > max_pixels / height)
        return sc_error_set(error, SC_ERROR_FORMAT, "%zu x %zu pixels, more than the %zu allowed", width, height,
                            max_pixels);
    return SC_OK;
}

/* What decoding may need in one block: twice the widest samples, sides rounded up to JPEG's largest blocks, or twice
 * the packed bytes. */
static size_t block_limit(size_t width, size_t height, size_t length) {
    size_t pixels, limit;
    if (!sc_size_multiply(&pixels, width + 64, height + 64) || !sc_size_multiply(&limit, pixels, 16) ||
        !sc_size_add(&limit, limit, ((size_t)1 << 20) + 2 * length))
        return SIZE_MAX;
    return limit;
}

/* stb_image's reason, unless it is left over from another file: not every failure sets one. */
static const char *failure(sc_container kind) {
    const char *reason = stbi_failure_reason();
    for (sc_container other = SC_CONTAINER_PNG; reason && other <= SC_CONTAINER_BMP; other++)
        if (other != kind && strstr(reason, sc_container_name(other)))
            reason = NULL;
    return reason ? reason : "its data are corrupt";
}

static sc_status decode(sc_pixels *out, const sc_image_info *info, const sc_image_bytes *bytes, sc_error *error) {
    int size = (int)bytes->length, width, height, channels, wanted = info->channels < 3 ? 1 : 3;
    sc_stb_limit(block_limit(info->width, info->height, bytes->length));
    void *data = info->bits == 16
                     ? (void *)stbi_load_16_from_memory(bytes->data, size, &width, &height, &channels, wanted)
                     : (void *)stbi_load_from_memory(bytes->data, size, &width, &height, &channels, wanted);
    const char *reason = data                     ? "its header changes on the way"
                         : sc_stb_limit_reached() ? "it unpacks to more than its header says"
                                                  : failure(info->kind);
    if (!data || (size_t)width != info->width || (size_t)height != info->height) {
        sc_memory_free(data);
        return sc_error_set(error, SC_ERROR_FORMAT, "a damaged %s file: %s", sc_container_name(info->kind), reason);
    }
    *out = (sc_pixels){.data = data,
                       .width = info->width,
                       .height = info->height,
                       .channels = (size_t)wanted,
                       .depth = info->bits == 16 ? SC_DEPTH_16 : SC_DEPTH_8,
                       .owned = data};
    return SC_OK;
}

sc_status sc_pixels_decode(sc_pixels *out, const unsigned char *bytes, size_t length, size_t max_pixels,
                           sc_error *error) {
    sc_image_bytes view = {.data = bytes, .length = length};
    sc_image_info info;
    *out = (sc_pixels){0};
    if (length > INT_MAX)
        return sc_error_set(error, SC_ERROR_FORMAT, "a file of %zu bytes", length);
    SC_TRY(sc_container_read(&info, &view, error));
    SC_TRY(judge_size(info.width, info.height, max_pixels, error));
    SC_TRY(sc_container_check(&info, &view, error));
    return decode(out, &info, &view, error);
}

sc_status sc_pixels_load(sc_pixels *out, const char *path, size_t max_pixels, sc_error *error) {
    *out = (sc_pixels){0};
    unsigned char *bytes;
    size_t length, limit = max_pixels < SIZE_MAX / 32 ? 16 * max_pixels + ((size_t)16 << 20) : SIZE_MAX;
    SC_TRY(sc_image_file_read(&bytes, &length, path, limit, error));
    sc_error reason;
    sc_status status = sc_pixels_decode(out, bytes, length, max_pixels, &reason);
    sc_memory_free(bytes);
    if (status != SC_OK)
        return sc_error_set(error, status, "%s: %s", path, reason.message);
    return SC_OK;
}

sc_status sc_image_probe(sc_image_info *out, const char *path, size_t max_pixels, sc_error *error) {
    sc_image_bytes bytes = {0};
    sc_error reason;
    *out = (sc_image_info){0};
    SC_TRY(sc_image_file_open(&bytes.file, NULL, path, error));
    sc_status status = sc_container_read(out, &bytes, &reason);
    if (status == SC_OK)
        status = judge_size(out->width, out->height, max_pixels, &reason);
    fclose(bytes.file);
    if (status != SC_OK)
        return sc_error_set(error, status, "%s: %s", path, reason.message);
    return SC_OK;
}

static sc_real sample(const sc_pixels *pixels, size_t at) {
    switch (pixels->depth) {
    case SC_DEPTH_8:
        return (sc_real)((const uint8_t *)pixels->data)[at] / (sc_real)255;
    case SC_DEPTH_16:
        return (sc_real)((const uint16_t *)pixels->data)[at] / (sc_real)65535;
    case SC_DEPTH_REAL:
        break;
    }
    return ((const sc_real *)pixels->data)[at];
}

sc_status sc_pixels_to_tensor(sc_tensor *out, const sc_pixels *pixels, size_t channels, sc_error *error) {
    sc_shape shape;
    SC_TRY(sc_shape_make(&shape, 3, (size_t[]){channels, pixels->height, pixels->width}, error));
    SC_TRY(sc_tensor_create(out, SC_REAL, &shape, error));
    size_t area = pixels->width * pixels->height;
    sc_real *values = sc_tensor_real(out);
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < area; i++) {
            if (pixels->channels == 3 && channels == 1)
                values[i] = (sc_real)SC_LUMA_RED * sample(pixels, 3 * i) +
                            (sc_real)SC_LUMA_GREEN * sample(pixels, 3 * i + 1) +
                            (sc_real)SC_LUMA_BLUE * sample(pixels, 3 * i + 2);
            else
                values[c * area + i] = sample(pixels, i * pixels->channels + (pixels->channels == 3 ? c : 0));
        }
    return SC_OK;
}
