/* Decoders that stand in modules of their own beside the core, one library each; the core loads one when it meets the
 * first file of its format. So they are compiled once and not per level of vector instructions, a machine without one
 * of the libraries reads everything else, and who reads PNG alone loads none. A module shares no code with the core:
 * what it needs of it comes with its input. */
#ifndef SC_IMAGE_CODEC_H
#define SC_IMAGE_CODEC_H

#include "image/header.h"

/* Changes with the structs below and with those of image/dicom.h, so that a module of another build is refused. */
#define SC_CODEC_VERSION 2

/* For the one symbol of a module, sc_codec_table. */
#define SC_CODEC_EXPORT __attribute__((visibility("default")))

/* The bytes of an image, as a module gets them. */
typedef struct sc_codec_input {
    const sc_image_bytes *bytes;
    size_t length; /* of all bytes */
    /* Copies up to count bytes from an offset, and says how many there were. */
    size_t (*read)(const sc_image_bytes *bytes, size_t at, void *to, size_t count);
    /* sc_memory_alloc and sc_memory_free. */
    sc_status (*alloc)(void **out, size_t count, size_t size, sc_error *error);
    void (*release)(void *pointer);
    /* sc_image_check_interrupt, asked between pieces of the work. */
    sc_status (*check_interrupt)(sc_error *error);
} sc_codec_input;

/* What a module for TIFF or WebP exports under the name sc_codec_table. Its functions never write to stderr, and may be
 * called by any number of threads at once. */
typedef struct sc_codec {
    size_t version; /* SC_CODEC_VERSION; always the first member */
    /* Fills width, height, channels and bits (8 or 16). */
    sc_status (*read_header)(sc_image_header *out, const sc_codec_input *input, sc_error *error);
    /* Fills samples: header->height rows of header->width pixels of 1 (header->channels below 3) or 3 samples, uint8_t
     * or, of 16 bits, uint16_t. The header is what read_header said of the same bytes. */
    sc_status (*decode)(void *samples, const sc_image_header *header, const sc_codec_input *input, sc_error *error);
} sc_codec;

/* An input of these bytes, for one call of a module on a picture of so many pixels (0: only the header is read), which
 * sc_codec_end follows on the same thread. SC_ERROR_MEMORY where the system has not what the call may take: libtiff,
 * libwebp and OpenJPEG do not survive every allocation that fails. */
sc_status sc_codec_begin(sc_codec_input *out, const sc_image_bytes *bytes, size_t pixels, sc_error *error);

/* What a module's status means. Libraries that run out of memory in the midst of a file call it damaged: where an
 * allocation failed during the call, SC_ERROR_FORMAT becomes SC_ERROR_MEMORY; where Ctrl-C came, SC_ERROR_INTERRUPTED.
 */
sc_status sc_codec_end(sc_status status, sc_image_format format, sc_error *error);

/* Where the module of a format lies; the path is copied. SC_ERROR_ARGUMENT for a format without one. */
sc_status sc_codec_set_path(sc_image_format format, const char *path, sc_error *error);

/* The table of a format's module, loaded at its first use: an sc_codec, or for SC_IMAGE_DICOM an sc_dicom_reader.
 * SC_ERROR_FORMAT with what to install where this build has no such module or its library is missing. */
sc_status sc_codec_find(const void **out, sc_image_format format, sc_error *error);

#endif
