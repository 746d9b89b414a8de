#include "image/pixels.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/size.h"
#include "image/codec.h"
#include "image/dicom.h"
#include "image/header.h"
#include "image/png.h"
#include "image/stb.h"
#include "image/value_range.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

size_t sc_pixels_bytes(const sc_pixels *pixels) {
    size_t sample = pixels->depth == SC_DEPTH_8 ? 1 : pixels->depth == SC_DEPTH_16 ? 2 : sizeof(sc_real);
    return pixels->width * pixels->height * pixels->channels * sample;
}

void sc_pixels_release(sc_pixels *pixels) {
    sc_memory_free(pixels->owned);
    *pixels = (sc_pixels){0};
}

/* What decoding may need in one block: twice the widest samples, sides rounded up to JPEG's largest blocks, or twice
 * the packed bytes. */
static size_t max_block(size_t width, size_t height, size_t length) {
    size_t pixels, limit;
    if (!sc_size_multiply(&pixels, width + 64, height + 64) || !sc_size_multiply(&limit, pixels, 16) ||
        !sc_size_add(&limit, limit, ((size_t)1 << 20) + 2 * length))
        return SIZE_MAX;
    return limit;
}

/* The reason that stb_image gives, unless it is left over from another file: not every failure sets one. */
static const char *stb_reason(const char *reason, sc_image_format format) {
    for (sc_image_format other = SC_IMAGE_PNG; other <= SC_IMAGE_BMP; other++)
        if (other != format && strstr(reason, sc_image_format_name(other)))
            reason = "";
    return reason[0] ? reason : "its data are corrupt";
}

static sc_status decode_by_stb(sc_pixels *out, const sc_image_header *header, const sc_image_bytes *bytes,
                               sc_error *error) {
    sc_error reason;
    void *data;
    int width, height, wanted = header->channels < 3 ? 1 : 3;
    sc_stb_request request = {.bytes = bytes->data,
                              .length = bytes->length,
                              .bits = header->bits,
                              .channels = wanted,
                              .max_block = max_block(header->width, header->height, bytes->length)};
    sc_status status = sc_stb_decode(&data, &width, &height, &request, &reason);
    if (status != SC_OK && status != SC_ERROR_FORMAT)
        return sc_error_set(error, status, "%s", reason.message);
    if (status != SC_OK || (size_t)width != header->width || (size_t)height != header->height) {
        sc_memory_free(data);
        return sc_error_set(error, SC_ERROR_FORMAT, "a damaged %s file: %s", sc_image_format_name(header->format),
                            status == SC_OK ? "its headers contradict each other"
                                            : stb_reason(reason.message, header->format));
    }
    *out = (sc_pixels){.data = data,
                       .width = header->width,
                       .height = header->height,
                       .channels = (size_t)wanted,
                       .depth = header->bits == 16 ? SC_DEPTH_16 : SC_DEPTH_8,
                       .owned = data};
    if (header->format == SC_IMAGE_PNG)
        sc_png_significant_bits(out->significant, bytes->data, bytes->length);
    return SC_OK;
}

static sc_status decode_by_codec(sc_pixels *out, const sc_image_header *header, const sc_image_bytes *bytes,
                                 sc_error *error) {
    const void *table;
    void *samples;
    size_t channels = header->channels < 3 ? 1 : 3, size = header->bits == 16 ? 2 : 1, count;
    SC_TRY(sc_codec_find(&table, header->format, error));
    if (!sc_size_multiply(&count, header->width * channels, header->height))
        return sc_error_set(error, SC_ERROR_MEMORY, "an image of %zu x %zu pixels", header->width, header->height);
    sc_codec_input input;
    SC_TRY(sc_memory_calloc(&samples, count, size, error));
    sc_status status = sc_codec_begin(&input, bytes, header->width * header->height, error);
    if (status == SC_OK)
        status = ((const sc_codec *)table)->decode(samples, header, &input, error);
    status = sc_codec_end(status, header->format, error);
    if (status != SC_OK) {
        sc_memory_free(samples);
        return status;
    }
    *out = (sc_pixels){.data = samples,
                       .width = header->width,
                       .height = header->height,
                       .channels = channels,
                       .depth = size == 2 ? SC_DEPTH_16 : SC_DEPTH_8,
                       .owned = samples};
    return SC_OK;
}

sc_status sc_pixels_decode(sc_pixels *out, const unsigned char *bytes, size_t length, const sc_decode_options *options,
                           sc_error *error) {
    sc_image_bytes view = {.data = bytes, .length = length};
    sc_image_header header;
    *out = (sc_pixels){0};
    if (length > INT_MAX)
        return sc_error_set(error, SC_ERROR_FORMAT, "a file of %zu bytes", length);
    SC_TRY(sc_image_header_read(&header, &view, error));
    SC_TRY(sc_image_header_check_size(&header, &options->limits, error));
    if (header.format == SC_IMAGE_DICOM)
        return sc_dicom_decode(out, &header, &view, options, error);
    if (header.format == SC_IMAGE_TIFF || header.format == SC_IMAGE_WEBP)
        return decode_by_codec(out, &header, &view, error);
    SC_TRY(sc_image_header_validate(&header, &view, error));
    return decode_by_stb(out, &header, &view, error);
}

sc_status sc_pixels_load(sc_pixels *out, const char *path, const sc_decode_options *options, sc_error *error) {
    size_t max_pixels = options->limits.max_pixels;
    *out = (sc_pixels){0};
    unsigned char *bytes;
    size_t length, max_length = max_pixels < SIZE_MAX / 32 ? 16 * max_pixels + ((size_t)16 << 20) : SIZE_MAX;
    sc_error reason;
    sc_status status = sc_file_read_all(&bytes, &length, path, max_length, &reason);
    if (status != SC_OK)
        return sc_error_set(error, status, status == SC_ERROR_FORMAT ? "%s, by max_pixels = %zu" : "%s", reason.message,
                            max_pixels);
    status = sc_pixels_decode(out, bytes, length, options, &reason);
    sc_memory_free(bytes);
    if (status == SC_ERROR_INTERRUPTED)
        return sc_error_set(error, status, "%s", reason.message);
    if (status != SC_OK)
        return sc_error_set(error, status, "'%s': %s", path, reason.message);
    return SC_OK;
}

static sc_real sample(const sc_pixels *pixels, size_t at, const sc_value_scaling *scaling) {
    size_t channel = at % pixels->channels;
    switch (pixels->depth) {
    case SC_DEPTH_8:
        return scaling
                   ? (sc_real)(((const uint8_t *)pixels->data)[at] >> scaling->shift[channel]) * scaling->scale[channel]
                   : (sc_real)((const uint8_t *)pixels->data)[at] / (sc_real)255;
    case SC_DEPTH_16:
        return scaling ? (sc_real)(((const uint16_t *)pixels->data)[at] >> scaling->shift[channel]) *
                             scaling->scale[channel]
                       : (sc_real)((const uint16_t *)pixels->data)[at] / (sc_real)65535;
    case SC_DEPTH_REAL:
        break;
    }
    return ((const sc_real *)pixels->data)[at];
}

sc_status sc_pixels_to_tensor(sc_tensor *out, const sc_pixels *pixels, size_t channels, sc_error *error) {
    sc_shape shape;
    SC_TRY(sc_shape_init(&shape, 3, (size_t[]){channels, pixels->height, pixels->width}, error));
    SC_TRY(sc_tensor_create(out, SC_REAL, &shape, error));
    size_t area = pixels->width * pixels->height;
    sc_real *values = sc_tensor_real(out);
    sc_value_scaling found;
    bool scaled;
    sc_value_range_find(&found, &scaled, &(sc_value_range){.kind = SC_RANGE_STORED}, pixels, NULL, NULL);
    const sc_value_scaling *scaling = scaled ? &found : NULL;
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < area; i++) {
            if (pixels->channels == 3 && channels == 1)
                values[i] = (sc_real)SC_LUMA_RED * sample(pixels, 3 * i, scaling) +
                            (sc_real)SC_LUMA_GREEN * sample(pixels, 3 * i + 1, scaling) +
                            (sc_real)SC_LUMA_BLUE * sample(pixels, 3 * i + 2, scaling);
            else
                values[c * area + i] = sample(pixels, i * pixels->channels + (pixels->channels == 3 ? c : 0), scaling);
        }
    return SC_OK;
}
