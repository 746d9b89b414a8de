/* The public-domain stb_image libraries as this room uses them: PNG, JPEG and BMP in, PNG out, no files of their own,
 * all memory from base/memory.h. stb.c holds their one implementation. */
#ifndef SC_IMAGE_STB_H
#define SC_IMAGE_STB_H

#include "base/status.h"

#include <stddef.h>

#define STBI_NO_STDIO
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_FAILURE_USERMSG
#define STBI_MAX_DIMENSIONS (1 << 17)
#define STBI_WRITE_NO_STDIO

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <stb_image.h>
#include <stb_image_write.h>
#pragma GCC diagnostic pop

/* An image in memory, and what is wanted of it. */
typedef struct sc_stb_request {
    const unsigned char *bytes;
    size_t length; /* at most INT_MAX */
    int bits;      /* 8 or 16 of a sample */
    int channels;  /* 1 or 3 */
    /* The largest single block that may be asked for: a compressed stream can claim any size, so a decoder is only
     * given what the image's header accounts for. */
    size_t max_block;
} sc_stb_request;

/* Decodes an image: *samples (sc_memory_free) of *height rows of *width pixels. SC_ERROR_FORMAT with stb's reason or
 * none (an empty message); SC_ERROR_MEMORY; SC_ERROR_INTERRUPTED soon after Ctrl-C, wherever the decoder is. */
sc_status sc_stb_decode(void **samples, int *width, int *height, const sc_stb_request *request, sc_error *error);

/* Frees what stb_image_write loses where its last allocation for a PNG fails; to be called on the same thread after it
 * has failed. */
void sc_stb_release_deflated(void);

#endif
