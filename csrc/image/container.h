/* What the bytes of an image file say before any pixel is decoded. stb_image is only given files that have passed here:
 * it takes some numbers on trust, and does not say how large the images are that it refuses. */
#ifndef SC_IMAGE_CONTAINER_H
#define SC_IMAGE_CONTAINER_H

#include "base/status.h"

#include <stddef.h>
#include <stdio.h>

typedef enum sc_container {
    SC_CONTAINER_UNKNOWN,
    SC_CONTAINER_PNG,
    SC_CONTAINER_JPEG,
    SC_CONTAINER_BMP,
} sc_container;

typedef struct sc_image_info {
    sc_container kind;
    size_t width, height;
    int channels; /* as stored, alpha included; 3 for a palette */
    int bits;     /* 16 or at most 8 per sample: 16 or 8 */
} sc_image_info;

/* Bytes in memory, or (data NULL) of an open file. */
typedef struct sc_image_bytes {
    const unsigned char *data;
    size_t length;
    FILE *file;
} sc_image_bytes;

/* "PNG", "JPEG" or "BMP". */
const char *sc_container_name(sc_container kind);

/* Reads the header, from a file no more than that. SC_ERROR_FORMAT with the reason. */
sc_status sc_container_read(sc_image_info *out, const sc_image_bytes *bytes, sc_error *error);

/* Looks through the whole of an image in memory for what the decoder would pass over in silence: a JPEG without its
 * end, impossible Huffman tables, a BMP with fewer rows than its header says. SC_ERROR_FORMAT with the reason. */
sc_status sc_container_check(const sc_image_info *info, const sc_image_bytes *bytes, sc_error *error);

#endif
