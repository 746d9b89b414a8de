/* What the chunks of a PNG file say that the decoder passes over. */
#ifndef SC_IMAGE_PNG_H
#define SC_IMAGE_PNG_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* SC_ERROR_FORMAT where a chunk, or the end (IEND), is missing: the file is cut short. */
sc_status sc_png_check_complete(const unsigned char *bytes, size_t length, sc_error *error);

/* From sBIT, per colour channel (grey: the first) how many of a sample's highest bits are those that were measured, the
 * others being filled in by who wrote the file; 0 where it does not say, or all of them are. */
void sc_png_significant_bits(uint8_t bits[3], const unsigned char *bytes, size_t length);

#endif
