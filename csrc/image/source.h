/* Where images come from: files decoded when asked for, pixels already in memory, or phantoms. */
#ifndef SC_IMAGE_SOURCE_H
#define SC_IMAGE_SOURCE_H

#include "image/pixels.h"

#include <stdint.h>

/* Refcounted; any thread may load from it. */
typedef struct sc_image_source sc_image_source;

/* Decoded images are kept until they fill cache_bytes together, and then no more are: going through the whole set in
 * ever new orders, nothing would be found in a cache that evicts. The paths are copied. */
sc_status sc_image_source_create_files(sc_image_source **out, const char *const *paths, size_t count,
                                       const sc_decode_options *options, size_t cache_bytes, sc_error *error);

/* uint8 [N, H, W] or [N, H, W, C], C 1 or 3; shares the tensor's storage. */
sc_status sc_image_source_create_pixels(sc_image_source **out, const sc_tensor *pixels, sc_error *error);

/* One phantom per set of findings (a sum of sc_phantom_finding), of size x size pixels. */
sc_status sc_image_source_create_phantoms(sc_image_source **out, const uint8_t *findings, size_t count, size_t size,
                                          uint64_t seed, size_t cache_bytes, sc_error *error);

/* One more reference, to be released too. */
sc_image_source *sc_image_source_retain(sc_image_source *source);

/* Gives a reference back; the last frees the source. NULL is allowed. */
void sc_image_source_release(sc_image_source *source);

/* How many images there are, readable or not. */
size_t sc_image_source_count(const sc_image_source *source);

/* The image at an index from 0. Release it with sc_pixels_release before the source goes. */
sc_status sc_image_source_load(sc_image_source *source, size_t index, sc_pixels *out, sc_error *error);

/* Looks at the header of one file; SC_OK at once for what is no file. */
sc_status sc_image_source_check(const sc_image_source *source, size_t index, sc_error *error);

#endif
