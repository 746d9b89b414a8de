/* Decoded images: image file -> rows of interleaved samples, and back from and to tensors. */
#ifndef SC_IMAGE_PIXELS_H
#define SC_IMAGE_PIXELS_H

#include "base/status.h"
#include "image/header.h"
#include "tensor/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum sc_depth {
    SC_DEPTH_8,    /* uint8_t, 0..255 */
    SC_DEPTH_16,   /* uint16_t, 0..65535 */
    SC_DEPTH_REAL, /* sc_real, as it is */
} sc_depth;

/* height rows of width pixels of channels (1 grey, 3 RGB) samples. Zeroed = no image. */
typedef struct sc_pixels {
    const void *data;
    size_t width, height, channels;
    sc_depth depth;
    uint8_t significant[3]; /* per channel, how many of the sample's highest bits count; 0: all */
    void *owned;            /* what sc_pixels_release frees; NULL when the samples are someone else's */
} sc_pixels;

/* 64 Mpixel: more than any radiograph, less than what fills a small machine. */
#define SC_IMAGE_MAX_PIXELS ((size_t)64 << 20)

/* Bytes of all samples. */
size_t sc_pixels_bytes(const sc_pixels *pixels);

/* Which window of values a DICOM file's grey levels are taken from (image/dicom.h). */
typedef enum sc_window_kind {
    SC_WINDOW_FILE, /* the file's first window, else its look-up table, else as SC_WINDOW_FULL */
    SC_WINDOW_FULL, /* all values that its bits can have */
    SC_WINDOW_GIVEN,
} sc_window_kind;

/* centre and width, in units after rescaling (Hounsfield's for CT), are for SC_WINDOW_GIVEN. Zeroed: the file's. */
typedef struct sc_window {
    sc_window_kind kind;
    double centre, width;
} sc_window;

/* How a file is to be read. */
typedef struct sc_decode_options {
    sc_image_limits limits; /* a larger image is an error before anything is decoded */
    sc_window window;       /* other formats have none */
} sc_decode_options;

/* Decodes an image in memory; alpha is dropped, a palette resolved, 16 bit kept. SC_ERROR_FORMAT when it is none,
 * damaged, cut short or larger than the limits: whatever else fails (memory, Ctrl-C in an interrupt scope) says nothing
 * of the image. */
sc_status sc_pixels_decode(sc_pixels *out, const unsigned char *bytes, size_t length, const sc_decode_options *options,
                           sc_error *error);

/* The same from a file; the path stands in front of every message. */
sc_status sc_pixels_load(sc_pixels *out, const char *path, const sc_decode_options *options, sc_error *error);

/* A new real tensor [channels, height, width] in 0..1; channels is 1 or 3. Grey is replicated, colour weighted by
 * SC_LUMA. */
sc_status sc_pixels_to_tensor(sc_tensor *out, const sc_pixels *pixels, size_t channels, sc_error *error);

/* Frees what it owns, if anything, and zeroes the struct. */
void sc_pixels_release(sc_pixels *pixels);

/* Rec. 601 weights of red, green and blue in brightness. */
#define SC_LUMA_RED 0.299
#define SC_LUMA_GREEN 0.587
#define SC_LUMA_BLUE 0.114

#endif
