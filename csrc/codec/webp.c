/* The module secateur/webp.so: still WebP images, by libwebp. */
#include "image/codec.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>

enum {
    HEADER_BYTES = 4096,
    PIECES = 64, /* of a file's bytes, between which Ctrl-C is looked for */
};

static const char *reason_of(VP8StatusCode status) {
    switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return "truncated";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return "it has features that libwebp does not know";
    default:
        return "its data are corrupt";
    }
}

static sc_status fail(VP8StatusCode status, sc_error *error) {
    if (status == VP8_STATUS_OUT_OF_MEMORY)
        return sc_error_set(error, SC_ERROR_MEMORY, "out of memory while reading a WebP file");
    return sc_error_set(error, SC_ERROR_FORMAT, "a damaged WebP file: %s", reason_of(status));
}

static sc_status read_header(sc_image_header *out, const sc_codec_input *input, sc_error *error) {
    unsigned char start[HEADER_BYTES];
    WebPBitstreamFeatures features;
    size_t length = input->read(input->bytes, 0, start, sizeof start);
    VP8StatusCode status = WebPGetFeatures(start, length, &features);
    if (status != VP8_STATUS_OK)
        return fail(status, error);
    if (features.has_animation)
        return sc_error_set(error, SC_ERROR_FORMAT, "WebP: an animation; still images are read");
    out->width = (size_t)features.width;
    out->height = (size_t)features.height;
    out->channels = features.has_alpha ? 4 : 3;
    out->bits = 8;
    return SC_OK;
}

/* A RIFF file: its size stands after its mark, and does not count these 8 bytes. */
static bool is_whole(const unsigned char *bytes, size_t length) {
    if (length < 12)
        return false;
    size_t size = (size_t)bytes[4] | (size_t)bytes[5] << 8 | (size_t)bytes[6] << 16 | (size_t)bytes[7] << 24;
    return size <= length - 8;
}

/* Piece by piece, so that Ctrl-C is heard. The incremental decoder waits for what is missing, and is content when it
 * has all pixels: that the file is whole is seen to first. */
static sc_status decode_bytes(void *samples, const sc_image_header *header, const unsigned char *bytes, size_t length,
                              sc_status (*check_interrupt)(sc_error *), sc_error *error) {
    WebPDecoderConfig config;
    if (!is_whole(bytes, length))
        return fail(VP8_STATUS_NOT_ENOUGH_DATA, error);
    if (!WebPInitDecoderConfig(&config))
        return sc_error_set(error, SC_ERROR_FORMAT, "WebP: the library is another than it was built with");
    config.options.use_threads = 0;
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = samples;
    config.output.u.RGBA.stride = (int)(3 * header->width);
    config.output.u.RGBA.size = 3 * header->width * header->height;
    WebPIDecoder *decoder = WebPIDecode(NULL, 0, &config);
    if (!decoder)
        return fail(VP8_STATUS_OUT_OF_MEMORY, error);
    VP8StatusCode status = VP8_STATUS_SUSPENDED;
    sc_status interrupted = SC_OK;
    size_t step = length / PIECES + 1;
    for (size_t at = 0; at < length && status == VP8_STATUS_SUSPENDED && interrupted == SC_OK;) {
        at = step < length - at ? at + step : length;
        status = WebPIUpdate(decoder, bytes, at);
        interrupted = check_interrupt(NULL);
    }
    WebPIDelete(decoder);
    WebPFreeDecBuffer(&config.output);
    if (interrupted != SC_OK)
        return sc_error_set(error, interrupted, "interrupted");
    return status == VP8_STATUS_OK ? SC_OK : fail(status, error);
}

/* Alpha is dropped: the colours below it are what the file holds. */
static sc_status decode(void *samples, const sc_image_header *header, const sc_codec_input *input, sc_error *error) {
    void *bytes;
    if (input->bytes->data)
        return decode_bytes(samples, header, input->bytes->data, input->length, input->check_interrupt, error);
    SC_TRY(input->alloc(&bytes, input->length, 1, error));
    size_t length = input->read(input->bytes, 0, bytes, input->length);
    sc_status status = decode_bytes(samples, header, bytes, length, input->check_interrupt, error);
    input->release(bytes);
    return status;
}

extern SC_CODEC_EXPORT const sc_codec sc_codec_table;
const sc_codec sc_codec_table = {SC_CODEC_VERSION, read_header, decode};
