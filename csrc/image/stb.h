/* The public-domain stb_image libraries as this room uses them: PNG, JPEG and BMP in, PNG out, no files of their own,
 * all memory from base/memory.h. stb.c holds their one implementation. */
#ifndef SC_IMAGE_STB_H
#define SC_IMAGE_STB_H

#include <stdbool.h>
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

/* The largest single block that stb may ask for on this thread from now on. A compressed stream can claim any size, so
 * a decoder is only given what the image's header accounts for. */
void sc_stb_limit(size_t bytes);

/* Whether a block has been refused on this thread since then. */
bool sc_stb_limit_reached(void);

#endif
