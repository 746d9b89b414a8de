/* What the bytes of an image file say before any pixel is decoded. */
#ifndef SC_IMAGE_CONTAINER_H
#define SC_IMAGE_CONTAINER_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum sc_container {
    SC_CONTAINER_UNKNOWN,
    SC_CONTAINER_PNG,
    SC_CONTAINER_JPEG,
    SC_CONTAINER_BMP,
} sc_container;

/* "PNG", "JPEG" or "BMP". */
const char *sc_container_name(sc_container kind);

/* Judges by the signature; eight bytes are enough. */
sc_container sc_container_of(const unsigned char *bytes, size_t length);

/* The size that a PNG's header states, which stb_image does not tell when it refuses it; false for the other kinds. 24
 * bytes are enough. */
bool sc_container_size(sc_container kind, const unsigned char *bytes, size_t length, size_t *width, size_t *height);

/* Looks for what the decoder would pass over in silence: a JPEG without its end, impossible Huffman tables, a BMP with
 * fewer rows than its header says. SC_ERROR_FORMAT with the reason. */
sc_status sc_container_check(sc_container kind, const unsigned char *bytes, size_t length, sc_error *error);

#endif
