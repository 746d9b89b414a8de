#include "image/container.h"

#include <stdint.h>
#include <string.h>

const char *sc_container_name(sc_container kind) {
    switch (kind) {
    case SC_CONTAINER_PNG:
        return "PNG";
    case SC_CONTAINER_JPEG:
        return "JPEG";
    case SC_CONTAINER_BMP:
        return "BMP";
    case SC_CONTAINER_UNKNOWN:
        break;
    }
    return "unknown";
}

sc_container sc_container_of(const unsigned char *bytes, size_t length) {
    static const unsigned char png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (length >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
        return SC_CONTAINER_PNG;
    if (length >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff)
        return SC_CONTAINER_JPEG;
    if (length >= 2 && bytes[0] == 'B' && bytes[1] == 'M')
        return SC_CONTAINER_BMP;
    return SC_CONTAINER_UNKNOWN;
}

static size_t big_endian(const unsigned char *bytes) {
    return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

bool sc_container_size(sc_container kind, const unsigned char *bytes, size_t length, size_t *width, size_t *height) {
    if (kind != SC_CONTAINER_PNG || length < 24 || memcmp(bytes + 12, "IHDR", 4) != 0)
        return false;
    *width = big_endian(bytes + 16);
    *height = big_endian(bytes + 20);
    return true;
}

static sc_status truncated(sc_error *error) {
    return sc_error_set(error, SC_ERROR_FORMAT, "truncated");
}

/* One DHT segment: tables of 1 + 16 + (sum of the 16 counts) bytes. A table has at most 256 codes, which stb_image
 * takes on trust. */
static sc_status check_huffman_tables(const unsigned char *bytes, size_t length, sc_error *error) {
    while (length > 0) {
        size_t codes = 0;
        if (length < 17)
            return sc_error_set(error, SC_ERROR_FORMAT, "a Huffman table is cut short");
        for (int i = 1; i <= 16; i++)
            codes += bytes[i];
        if (codes > 256 || length - 17 < codes)
            return sc_error_set(error, SC_ERROR_FORMAT, "a Huffman table with %zu codes", codes);
        bytes += 17 + codes;
        length -= 17 + codes;
    }
    return SC_OK;
}

/* The offset of the next marker that is neither a stuffed zero nor a restart, or length. */
static size_t next_marker(const unsigned char *bytes, size_t length, size_t at) {
    while (at + 1 < length) {
        const unsigned char *found = memchr(bytes + at, 0xff, length - at - 1);
        if (!found)
            return length;
        at = (size_t)(found - bytes);
        unsigned char marker = bytes[at + 1];
        if (marker != 0 && marker != 0xff && !(marker >= 0xd0 && marker <= 0xd7))
            return at;
        at++;
    }
    return length;
}

static sc_status check_jpeg(const unsigned char *bytes, size_t length, sc_error *error) {
    enum { DHT = 0xc4, EOI = 0xd9, SOS = 0xda };
    bool scanned = false;
    for (size_t at = next_marker(bytes, length, 2); at + 1 < length; at = next_marker(bytes, length, at)) {
        unsigned char marker = bytes[at + 1];
        at += 2;
        if (marker == EOI)
            return scanned ? SC_OK : sc_error_set(error, SC_ERROR_FORMAT, "it holds no picture");
        if (marker == 0x01 || marker == 0xd8)
            continue;
        if (length - at < 2)
            return truncated(error);
        size_t segment = (size_t)bytes[at] << 8 | bytes[at + 1];
        if (segment < 2)
            return sc_error_set(error, SC_ERROR_FORMAT, "a segment without a length");
        if (length - at < segment)
            return truncated(error);
        if (marker == DHT)
            SC_TRY(check_huffman_tables(bytes + at + 2, segment - 2, error));
        scanned = scanned || marker == SOS;
        at += segment;
    }
    return truncated(error);
}

static uint32_t little_endian(const unsigned char *bytes, int count) {
    uint32_t value = 0;
    for (int i = count; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static sc_status check_bmp(const unsigned char *bytes, size_t length, sc_error *error) {
    if (length < 30)
        return truncated(error);
    uint64_t start = little_endian(bytes + 10, 4);
    bool ancient = little_endian(bytes + 14, 4) == 12; /* 16-bit sizes */
    int64_t width = ancient ? (int64_t)little_endian(bytes + 18, 2) : (int32_t)little_endian(bytes + 18, 4);
    int64_t height = ancient ? (int64_t)little_endian(bytes + 20, 2) : (int32_t)little_endian(bytes + 22, 4);
    uint64_t bits = little_endian(bytes + (ancient ? 24 : 28), 2);
    if (width <= 0 || height == 0 || bits == 0 || bits > 32)
        return sc_error_set(error, SC_ERROR_FORMAT, "a header of %lld x %lld pixels of %llu bits", (long long)width,
                            (long long)height, (unsigned long long)bits);
    uint64_t row = ((uint64_t)width * bits + 31) / 32 * 4;
    uint64_t rows = (uint64_t)(height < 0 ? -height : height);
    if (start > length || row > (length - start) / rows)
        return truncated(error);
    return SC_OK;
}

sc_status sc_container_check(sc_container kind, const unsigned char *bytes, size_t length, sc_error *error) {
    switch (kind) {
    case SC_CONTAINER_JPEG:
        return check_jpeg(bytes, length, error);
    case SC_CONTAINER_BMP:
        return check_bmp(bytes, length, error);
    case SC_CONTAINER_PNG: /* stb_image notices a missing end itself */
    case SC_CONTAINER_UNKNOWN:
        break;
    }
    return SC_OK;
}
