#include "image/stb.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* GCC 12's LeakSanitizer crashes on thread-local variables of a loaded library while threads live that used them,
 * unless these are in the static block. */
#define STBI_NO_THREAD_LOCALS /* of its own choice */
#ifdef SC_SANITIZE
#define STBI_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define STBI_THREAD_LOCAL _Thread_local
#endif

/* stb's allocation hooks take no context, so the limit of the decode under way travels by thread. */
static STBI_THREAD_LOCAL size_t max_block = (size_t)1 << 20;
static STBI_THREAD_LOCAL bool limit_reached;

void sc_stb_limit(size_t bytes) {
    max_block = bytes;
    limit_reached = false;
}

bool sc_stb_limit_reached(void) {
    return limit_reached;
}

/* Zeroed, because stb reads tables that a damaged file never defines. */
static void *stb_alloc(size_t size) {
    void *pointer;
    limit_reached = limit_reached || size > max_block;
    return size > max_block || sc_memory_calloc(&pointer, 1, size, NULL) != SC_OK ? NULL : pointer;
}

static void *stb_realloc(void *old, size_t old_size, size_t new_size) {
    void *pointer = stb_alloc(new_size);
    if (pointer && old) {
        memcpy(pointer, old, old_size < new_size ? old_size : new_size);
        sc_memory_free(old);
    }
    return pointer;
}

/* zlib packs tighter than the compressor inside stb_image_write, and survives a failed allocation. */
static unsigned char *deflate_bytes(unsigned char *data, int length, int *out_length, int quality) {
    uLong bound = compressBound((uLong)length);
    uLongf packed = bound;
    unsigned char *out = stb_alloc(bound);
    if (!out)
        return NULL;
    if (compress2(out, &packed, data, (uLong)length, quality > 6 ? 6 : quality) != Z_OK || packed > 0x7fffffff) {
        sc_memory_free(out);
        return NULL;
    }
    *out_length = (int)packed;
    return out;
}

/* Of an empty chunk stb copies no bytes from nowhere. */
static void *copy_bytes(void *to, const void *from, size_t size) {
    return size > 0 ? memcpy(to, from, size) : to;
}

/* Columns of a chroma row doubled (4:2:2): each new sample lies at a quarter of the way from one old sample to the
 * next. stb_image weighs the wrong one of the last two samples in the last column but one, and rounds all others up;
 * this is the triangle filter of libjpeg (jdsample.c, h2v1_fancy_upsample), which repeats samples where there are only
 * two. The implementation's own function gets another name: the macro below takes the definition, which has
 * parentheses, and leaves the mention, which has none. */
static stbi_uc *stbi__resample_row_h_2(stbi_uc *out, stbi_uc *row, stbi_uc *unused, int width, int scale) {
    (void)unused;
    (void)scale;
    for (int i = 0; i < width; i++) {
        int middle = 3 * row[i];
        bool between = width > 2;
        out[2 * i] = between && i > 0 ? (stbi_uc)((middle + row[i - 1] + 1) >> 2) : row[i];
        out[2 * i + 1] = between && i + 1 < width ? (stbi_uc)((middle + row[i + 1] + 2) >> 2) : row[i];
    }
    return out;
}

#define stbi__resample_row_h_2(out, row, unused, width, scale) resample_row_h_2_of_stb(out, row, unused, width, scale)

#undef memcpy
#define memcpy copy_bytes
#define STBI_MALLOC(size) stb_alloc(size)
#define STBI_REALLOC_SIZED(pointer, old_size, new_size) stb_realloc(pointer, old_size, new_size)
#define STBI_FREE(pointer) sc_memory_free(pointer)
#define STBI_ASSERT(condition) ((void)0)
#define STBIW_MALLOC(size) stb_alloc(size)
#define STBIW_REALLOC_SIZED(pointer, old_size, new_size) stb_realloc(pointer, old_size, new_size)
#define STBIW_FREE(pointer) sc_memory_free(pointer)
#define STBIW_ASSERT(condition) ((void)0)
#define STBIW_ZLIB_COMPRESS deflate_bytes

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wtype-limits"
/* Damaged JPEG data overflows sums of coefficients; the pixels are lost either way, but the result must be defined. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("wrapv")
#endif
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image.h>
#include <stb_image_write.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
#pragma GCC diagnostic pop
