#define _POSIX_C_SOURCE 200809L
#include "image/pixels.h"

#include "base/memory.h"
#include "image/container.h"
#include "image/file.h"
#include "image/stb.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

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

static sc_status damaged(sc_container kind, sc_error *error) {
    const char *reason = sc_stb_limit_reached() ? "it unpacks to more than its header says" : stbi_failure_reason();
    return sc_error_set(error, SC_ERROR_FORMAT, "a damaged %s file: %s", sc_container_name(kind),
                        reason ? reason : "no reason given");
}

static sc_status not_an_image(size_t length, sc_error *error) {
    return sc_error_set(error, SC_ERROR_FORMAT, length == 0 ? "an empty file" : "not a PNG, JPEG or BMP file");
}

sc_status sc_pixels_decode(sc_pixels *out, const unsigned char *bytes, size_t length, size_t max_pixels,
                           sc_error *error) {
    *out = (sc_pixels){0};
    sc_container kind = sc_container_of(bytes, length);
    if (kind == SC_CONTAINER_UNKNOWN)
        return not_an_image(length, error);
    if (length > INT_MAX)
        return sc_error_set(error, SC_ERROR_FORMAT, "a file of %zu bytes", length);
    int size = (int)length, width, height, channels;
    size_t stated_width, stated_height;
    if (sc_container_size(kind, bytes, length, &stated_width, &stated_height))
        SC_TRY(judge_size(stated_width, stated_height, max_pixels, error));
    sc_stb_limit((size_t)1 << 20);
    if (!stbi_info_from_memory(bytes, size, &width, &height, &channels))
        return damaged(kind, error);
    SC_TRY(judge_size((size_t)width, (size_t)height, max_pixels, error));
    sc_error reason;
    if (sc_container_check(kind, bytes, length, &reason) != SC_OK)
        return sc_error_set(error, SC_ERROR_FORMAT, "a damaged %s file: %s", sc_container_name(kind), reason.message);
    bool deep = stbi_is_16_bit_from_memory(bytes, size);
    int wanted = channels < 3 ? 1 : 3;
    sc_stb_limit(block_limit((size_t)width, (size_t)height, length));
    void *data = deep ? (void *)stbi_load_16_from_memory(bytes, size, &width, &height, &channels, wanted)
                      : (void *)stbi_load_from_memory(bytes, size, &width, &height, &channels, wanted);
    if (!data)
        return damaged(kind, error);
    *out = (sc_pixels){.data = data,
                       .width = (size_t)width,
                       .height = (size_t)height,
                       .channels = (size_t)wanted,
                       .depth = deep ? SC_DEPTH_16 : SC_DEPTH_8,
                       .owned = data};
    return SC_OK;
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

static int probe_read(void *user, char *data, int size) {
    return size > 0 ? (int)fread(data, 1, (size_t)size, user) : 0;
}

static void probe_skip(void *user, int count) {
    fseek(user, count, SEEK_CUR);
}

static int probe_at_end(void *user) {
    return feof((FILE *)user) || ferror((FILE *)user);
}

static sc_status probe(sc_image_info *out, FILE *file, size_t max_pixels, sc_error *error) {
    static const stbi_io_callbacks callbacks = {probe_read, probe_skip, probe_at_end};
    unsigned char start[24];
    size_t length = fread(start, 1, sizeof start, file);
    sc_container kind = sc_container_of(start, length);
    if (kind == SC_CONTAINER_UNKNOWN)
        return not_an_image(length, error);
    int width, height;
    if (sc_container_size(kind, start, length, &out->width, &out->height))
        SC_TRY(judge_size(out->width, out->height, max_pixels, error));
    rewind(file);
    sc_stb_limit((size_t)1 << 20);
    if (!stbi_info_from_callbacks(&callbacks, file, &width, &height, &out->channels))
        return damaged(kind, error);
    SC_TRY(judge_size((size_t)width, (size_t)height, max_pixels, error));
    rewind(file);
    out->bits = stbi_is_16_bit_from_callbacks(&callbacks, file) ? 16 : 8;
    out->width = (size_t)width;
    out->height = (size_t)height;
    return SC_OK;
}

sc_status sc_image_probe(sc_image_info *out, const char *path, size_t max_pixels, sc_error *error) {
    *out = (sc_image_info){0};
    FILE *file;
    SC_TRY(sc_image_file_open(&file, NULL, path, error));
    sc_error reason;
    sc_status status = probe(out, file, max_pixels, &reason);
    fclose(file);
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
