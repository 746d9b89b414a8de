/* What the bytes of an image file say before any pixel is decoded. stb_image is only given files that have passed here:
 * it takes some numbers on trust, and does not say how large the images are that it refuses. */
#ifndef SC_IMAGE_HEADER_H
#define SC_IMAGE_HEADER_H

#include "base/file.h"

#include <stddef.h>

typedef enum sc_image_format {
    SC_IMAGE_UNKNOWN,
    SC_IMAGE_PNG,
    SC_IMAGE_JPEG,
    SC_IMAGE_BMP,
    SC_IMAGE_TIFF, /* this and the following: by a module, if there is one (image/codec.h) */
    SC_IMAGE_WEBP,
    SC_IMAGE_DICOM,
} sc_image_format;

typedef struct sc_image_header {
    sc_image_format format;
    size_t width, height;
    int channels; /* as stored, alpha included; 3 for a palette */
    int bits;     /* 16 or at most 8 per sample: 16 or 8 */
} sc_image_header;

/* What an image may be, judged by its header before anything is decoded. */
typedef struct sc_image_limits {
    size_t max_pixels;
    size_t max_bytes; /* of its decoded samples; 0: 4 for each of max_pixels, SIZE_MAX where that is too many */
} sc_image_limits;

/* Bytes in memory, or (data NULL) of an open file. A file that the system does not read is no end of the file: what it
 * says is left in *fault (unless that holds an earlier failure), which outweighs what a decoder makes of the missing
 * bytes. */
typedef struct sc_image_bytes {
    const unsigned char *data;
    size_t length;
    const sc_file *file;
    sc_error *fault; /* with a file: never NULL; its status is SC_OK until something fails */
} sc_image_bytes;

/* A scan goes over all blocks of a picture, and one that changes nothing takes a few bytes: a small file could keep a
 * decoder busy for hours. Encoders write some ten; libjpeg-turbo's own tests stop at this number. */
#define SC_JPEG_MAX_SCANS 500

/* "PNG", "JPEG", "BMP", "TIFF", "WebP", "DICOM" or "unknown". */
const char *sc_image_format_name(sc_image_format format);

/* Copies up to count bytes from an offset, and says how many there were. */
size_t sc_image_bytes_read(const sc_image_bytes *bytes, size_t at, void *to, size_t count);

/* The format that the first bytes show, whatever the file's name. */
sc_image_format sc_image_format_detect(const sc_image_bytes *bytes);

/* Reads the header, from a file no more than that. SC_ERROR_FORMAT with the reason. */
sc_status sc_image_header_read(sc_image_header *out, const sc_image_bytes *bytes, sc_error *error);

/* SC_ERROR_FORMAT where the header tells of no pixels, or of more than the limits allow. */
sc_status sc_image_header_check_size(const sc_image_header *header, const sc_image_limits *limits, sc_error *error);

/* Reads and checks the header of a file. The path stands in front of every message. SC_ERROR_FORMAT is a verdict on
 * what lies at the path: bytes that are no image, or no regular file at all. Every other status is the machine's. */
sc_status sc_image_header_load(sc_image_header *out, const char *path, const sc_image_limits *limits, sc_error *error);

/* Looks through the whole of an image in memory for what the decoder would pass over in silence: a JPEG without its
 * end or of more scans than pictures need, impossible Huffman tables, a BMP with fewer rows than its header says.
 * SC_ERROR_FORMAT with the reason. */
sc_status sc_image_header_validate(const sc_image_header *header, const sc_image_bytes *bytes, sc_error *error);

#endif
