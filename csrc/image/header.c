#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "image/header.h"

#include "image/codec.h"
#include "image/dicom.h"
#include "image/png.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

const char *sc_image_format_name(sc_image_format format) {
    switch (format) {
    case SC_IMAGE_PNG:
        return "PNG";
    case SC_IMAGE_JPEG:
        return "JPEG";
    case SC_IMAGE_BMP:
        return "BMP";
    case SC_IMAGE_TIFF:
        return "TIFF";
    case SC_IMAGE_WEBP:
        return "WebP";
    case SC_IMAGE_DICOM:
        return "DICOM";
    case SC_IMAGE_UNKNOWN:
        break;
    }
    return "unknown";
}

static sc_status damaged(sc_image_format format, const char *reason, sc_error *error) {
    return sc_error_set(error, SC_ERROR_FORMAT, "a damaged %s file: %s", sc_image_format_name(format), reason);
}

size_t sc_image_bytes_read(const sc_image_bytes *bytes, size_t at, void *to, size_t count) {
    size_t length = bytes->data ? bytes->length : (size_t)bytes->file->size;
    if (at >= length)
        return 0;
    if (count > length - at)
        count = length - at;
    if (!bytes->data) {
        sc_error reason;
        sc_status status = sc_file_read(bytes->file, at, to, count, &reason);
        if (status != SC_OK && status != SC_ERROR_FORMAT && bytes->fault->status == SC_OK)
            *bytes->fault = reason;
        return status == SC_OK ? count : 0;
    }
    memcpy(to, bytes->data + at, count);
    return count;
}

static size_t big_endian(const unsigned char *bytes, int count) {
    size_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

static uint32_t little_endian(const unsigned char *bytes, int count) {
    uint32_t value = 0;
    for (int i = count; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static sc_status read_png(sc_image_header *out, const unsigned char *start, size_t length, sc_error *error) {
    if (length < 26)
        return damaged(SC_IMAGE_PNG, "truncated", error);
    if (memcmp(start + 12, "IHDR", 4) != 0)
        return damaged(SC_IMAGE_PNG, "its first chunk is not IHDR", error);
    out->width = big_endian(start + 16, 4);
    out->height = big_endian(start + 20, 4);
    out->bits = start[24] == 16 ? 16 : 8;
    out->channels = (start[25] & 2 ? 3 : 1) + (start[25] & 4 ? 1 : 0);
    return SC_OK;
}

static sc_status read_bmp(sc_image_header *out, const unsigned char *start, size_t length, sc_error *error) {
    if (length < 30)
        return damaged(SC_IMAGE_BMP, "truncated", error);
    bool ancient = little_endian(start + 14, 4) == 12; /* 16-bit sizes */
    int64_t width = ancient ? (int64_t)little_endian(start + 18, 2) : (int32_t)little_endian(start + 18, 4);
    int64_t height = ancient ? (int64_t)little_endian(start + 20, 2) : (int32_t)little_endian(start + 22, 4);
    out->width = width > 0 ? (size_t)width : 0;
    out->height = (size_t)(height < 0 ? -height : height); /* negative: rows from the top */
    out->bits = 8;
    out->channels = little_endian(start + (ancient ? 24 : 28), 2) == 32 ? 4 : 3;
    return SC_OK;
}

/* head: marker, length, precision, height, width, number of components. */
static sc_status read_frame(sc_image_header *out, const unsigned char *head, sc_error *error) {
    enum { PROGRESSIVE = 0xc2 }; /* markers above are lossless, hierarchical or arithmetic-coded */
    if (head[1] > PROGRESSIVE)
        return sc_error_set(error, SC_ERROR_FORMAT,
                            "a lossless, hierarchical or arithmetic-coded JPEG, which is not supported: save it as PNG "
                            "or as baseline JPEG");
    if (head[4] != 8)
        return sc_error_set(error, SC_ERROR_FORMAT,
                            "a JPEG of %d bits per sample, of which 8 are supported: save it as PNG", head[4]);
    out->height = big_endian(head + 5, 2);
    out->width = big_endian(head + 7, 2);
    out->channels = head[9] >= 3 ? 3 : 1;
    out->bits = 8;
    return SC_OK;
}

/* Goes from segment to segment to the frame header; what is no marker between two segments is padding. */
static sc_status read_jpeg(sc_image_header *out, const sc_image_bytes *bytes, sc_error *error) {
    enum { DHT = 0xc4, JPG = 0xc8, DAC = 0xcc, EOI = 0xd9, SOS = 0xda, STEPS = 1 << 16 };
    unsigned char head[10];
    size_t at = 2;
    for (int step = 0; step < STEPS; step++) {
        size_t got = sc_image_bytes_read(bytes, at, head, sizeof head);
        if (got < 4)
            return damaged(SC_IMAGE_JPEG, "truncated", error);
        unsigned char marker = head[1];
        if (head[0] != 0xff || marker == 0xff || marker == 0)
            at += 1;
        else if (marker == EOI || marker == SOS)
            break;
        else if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) /* stand alone */
            at += 2;
        else if (marker < 0xc0 || marker > 0xcf || marker == DHT || marker == JPG || marker == DAC)
            at += 2 + big_endian(head + 2, 2);
        else if (got == sizeof head)
            return read_frame(out, head, error);
        else
            return damaged(SC_IMAGE_JPEG, "truncated", error);
    }
    return damaged(SC_IMAGE_JPEG, "it holds no image data", error);
}

/* Files without the 128 bytes and the mark "DICM" that PS3.10 wants begin with an element of the group 0002 or 0008:
 * its number, a small element, and a type of two capitals or (implicit) a length that is not large. */
static bool is_bare_dicom(const unsigned char *start, size_t length) {
    if (length < 16)
        return false;
    bool little = (start[0] == 2 || start[0] == 8) && start[1] == 0 && start[3] == 0;
    bool big = start[0] == 0 && start[1] == 8 && start[2] == 0;
    bool typed = start[4] >= 'A' && start[4] <= 'Z' && start[5] >= 'A' && start[5] <= 'Z';
    bool untyped = little && start[0] == 8 && little_endian(start + 4, 4) <= 64;
    return (little || big) && (typed || untyped);
}

sc_image_format sc_image_format_detect(const sc_image_bytes *bytes) {
    static const struct {
        sc_image_format format;
        size_t at, length;
        const char *mark;
    } marks[] = {
        {SC_IMAGE_DICOM, 128, 4, "DICM"}, /* the 128 bytes before it may be anything, TIFF's mark among others */
        {SC_IMAGE_PNG, 0, 8, "\x89PNG\r\n\x1a\n"},
        {SC_IMAGE_JPEG, 0, 3, "\xff\xd8\xff"},
        {SC_IMAGE_BMP, 0, 2, "BM"},
        {SC_IMAGE_TIFF, 0, 4, "II*\0"},
        {SC_IMAGE_TIFF, 0, 4, "MM\0*"},
        {SC_IMAGE_TIFF, 0, 4, "II+\0"},
        {SC_IMAGE_TIFF, 0, 4, "MM\0+"},
        {SC_IMAGE_WEBP, 8, 4, "WEBP"},
    };
    unsigned char start[132];
    size_t length = sc_image_bytes_read(bytes, 0, start, sizeof start);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (length >= marks[i].at + marks[i].length &&
            memcmp(start + marks[i].at, marks[i].mark, marks[i].length) == 0 &&
            (marks[i].format != SC_IMAGE_WEBP || memcmp(start, "RIFF", 4) == 0))
            return marks[i].format;
    return is_bare_dicom(start, length) ? SC_IMAGE_DICOM : SC_IMAGE_UNKNOWN;
}

static sc_status read_by_codec(sc_image_header *out, const sc_image_bytes *bytes, sc_error *error) {
    const void *table;
    SC_TRY(sc_codec_find(&table, out->format, error));
    sc_codec_input input;
    SC_TRY(sc_codec_begin(&input, bytes, 0, error));
    return sc_codec_end(((const sc_codec *)table)->read_header(out, &input, error), out->format, error);
}

sc_status sc_image_header_read(sc_image_header *out, const sc_image_bytes *bytes, sc_error *error) {
    unsigned char start[32];
    size_t length = sc_image_bytes_read(bytes, 0, start, sizeof start);
    *out = (sc_image_header){.format = sc_image_format_detect(bytes)};
    switch (out->format) {
    case SC_IMAGE_PNG:
        return read_png(out, start, length, error);
    case SC_IMAGE_JPEG:
        return read_jpeg(out, bytes, error);
    case SC_IMAGE_BMP:
        return read_bmp(out, start, length, error);
    case SC_IMAGE_TIFF:
    case SC_IMAGE_WEBP:
        return read_by_codec(out, bytes, error);
    case SC_IMAGE_DICOM:
        return sc_dicom_read_header(out, bytes, error);
    case SC_IMAGE_UNKNOWN:
        break;
    }
    return sc_error_set(error, SC_ERROR_FORMAT,
                        length == 0 ? "an empty file" : "not a PNG, JPEG, BMP, TIFF, WebP or DICOM file");
}

sc_status sc_image_header_check_size(const sc_image_header *header, const sc_image_limits *limits, sc_error *error) {
    size_t width = header->width, height = header->height, max_pixels = limits->max_pixels;
    size_t max_bytes = limits->max_bytes ? limits->max_bytes : max_pixels < SIZE_MAX / 4 ? 4 * max_pixels : SIZE_MAX;
    size_t samples = header->channels < 3 ? 1 : 3, size = header->bits == 16 ? 2 : 1;
    if (width == 0 || height == 0)
        return sc_error_set(error, SC_ERROR_FORMAT, "an image of %zu x %zu pixels", width, height);
    if (width > max_pixels / height)
        return sc_error_set(error, SC_ERROR_FORMAT, "%zu x %zu pixels are more than max_pixels = %zu", width, height,
                            max_pixels);
    if (width * height > max_bytes / (samples * size))
        return sc_error_set(error, SC_ERROR_FORMAT,
                            "%zu x %zu pixels of %zu samples of %zu bits unpack to more than max_bytes = %zu", width,
                            height, samples, 8 * size, max_bytes);
    return SC_OK;
}

/* Whether nothing lies at a path, or something else than a regular file: a pipe, a device, a link to nowhere. */
static bool is_no_file(const char *path) {
    struct stat info;
    if (stat(path, &info) == 0)
        return !S_ISREG(info.st_mode);
    return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG;
}

sc_status sc_image_header_load(sc_image_header *out, const char *path, const sc_image_limits *limits, sc_error *error) {
    sc_file file;
    sc_error reason, fault = {.status = SC_OK};
    *out = (sc_image_header){0};
    sc_status status = sc_file_open(&file, path, &reason);
    if (status != SC_OK) /* its message begins with the path */
        return sc_error_set(error, status == SC_ERROR_IO && is_no_file(path) ? SC_ERROR_FORMAT : status, "%s",
                            reason.message);
    status = sc_image_header_read(out, &(sc_image_bytes){.file = &file, .fault = &fault}, &reason);
    if (status == SC_OK)
        status = sc_image_header_check_size(out, limits, &reason);
    sc_file_close(&file);
    if (fault.status != SC_OK)
        return sc_error_set(error, fault.status, "%s", fault.message);
    return status == SC_OK ? SC_OK : sc_error_set(error, status, "'%s': %s", path, reason.message);
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
    size_t scans = 0;
    for (size_t at = next_marker(bytes, length, 2); at + 1 < length; at = next_marker(bytes, length, at)) {
        unsigned char marker = bytes[at + 1];
        at += 2;
        if (marker == EOI)
            return scans > 0 ? SC_OK : sc_error_set(error, SC_ERROR_FORMAT, "it holds no image data");
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
        if (marker == SOS && ++scans > SC_JPEG_MAX_SCANS)
            return sc_error_set(error, SC_ERROR_FORMAT, "it has more than %d scans", SC_JPEG_MAX_SCANS);
        at += segment;
    }
    return truncated(error);
}

static sc_status check_bmp(const sc_image_header *header, const unsigned char *bytes, size_t length, sc_error *error) {
    uint64_t start = little_endian(bytes + 10, 4);
    bool ancient = little_endian(bytes + 14, 4) == 12;
    uint64_t bits = little_endian(bytes + (ancient ? 24 : 28), 2);
    if (bits == 0 || bits > 32)
        return sc_error_set(error, SC_ERROR_FORMAT, "unsupported bit depth %d", (int)bits);
    uint64_t row = ((uint64_t)header->width * bits + 31) / 32 * 4;
    if (start > length || row > (length - start) / header->height)
        return truncated(error);
    return SC_OK;
}

sc_status sc_image_header_validate(const sc_image_header *header, const sc_image_bytes *bytes, sc_error *error) {
    sc_error reason;
    sc_status status = SC_OK;
    if (header->format == SC_IMAGE_JPEG)
        status = check_jpeg(bytes->data, bytes->length, &reason);
    else if (header->format == SC_IMAGE_BMP)
        status = check_bmp(header, bytes->data, bytes->length, &reason);
    else if (header->format == SC_IMAGE_PNG)
        status = sc_png_check_complete(bytes->data, bytes->length, &reason);
    return status == SC_OK ? SC_OK : damaged(header->format, reason.message, error);
}
