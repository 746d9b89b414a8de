#include "image/png.h"

#include <stdbool.h>
#include <string.h>

/* The layout is that of the PNG specification (W3C, 2003), 5.3: length, type, data, checksum. */
enum { SIGNATURE = 8, CHUNK = 12, IHDR_END = SIGNATURE + CHUNK + 13 };

typedef struct chunk {
    const unsigned char *type, *data;
    size_t length;
} chunk;

/* The chunk at *at, which then is where the next begins; false where it does not lie whole within the file. */
static bool next_chunk(chunk *out, size_t *at, const unsigned char *bytes, size_t length) {
    if (length - *at < CHUNK)
        return false;
    const unsigned char *start = bytes + *at;
    out->length = (size_t)start[0] << 24 | (size_t)start[1] << 16 | (size_t)start[2] << 8 | (size_t)start[3];
    out->type = start + 4;
    out->data = start + 8;
    if (length - *at - CHUNK < out->length)
        return false;
    *at += CHUNK + out->length;
    return true;
}

static bool is_type(const chunk *given, const char *type) {
    return memcmp(given->type, type, 4) == 0;
}

sc_status sc_png_check_complete(const unsigned char *bytes, size_t length, sc_error *error) {
    chunk found;
    size_t at = SIGNATURE;
    while (at <= length && next_chunk(&found, &at, bytes, length))
        if (is_type(&found, "IEND"))
            return SC_OK;
    return sc_error_set(error, SC_ERROR_FORMAT, "truncated: it is cut short after %zu bytes, before its end (IEND)",
                        length);
}

void sc_png_significant_bits(uint8_t bits[3], const unsigned char *bytes, size_t length) {
    chunk found;
    size_t at = SIGNATURE;
    memset(bits, 0, 3);
    if (length < IHDR_END)
        return;
    unsigned char depth = bytes[24], colour = bytes[25];
    size_t channels = colour & 2 ? 3 : 1; /* of a palette, too */
    if (colour == 3)
        depth = 8;
    else if (depth < 8)
        return; /* samples are stretched to 8 bits when they are decoded */
    while (at <= length && next_chunk(&found, &at, bytes, length)) {
        if (is_type(&found, "PLTE") || is_type(&found, "IDAT"))
            return;
        for (size_t c = 0; is_type(&found, "sBIT") && c < channels && c < found.length; c++)
            bits[c] = found.data[c] > 0 && found.data[c] < depth ? found.data[c] : 0;
    }
}
