#include "image/stb.h"

#include "base/memory.h"
#include "image/fault.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* In the static block of thread-local variables: others are allocated when a thread first uses them, and the C library
 * ends the process where that fails. */
#define STBI_NO_THREAD_LOCALS /* of its own choice */
#define STBI_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))

enum { MAX_BLOCKS = 64 }; /* that stb holds at a time: some twenty for a JPEG */

/* One decode. Ctrl-C is heard where stb calls back into this file: it leaves the decoder with longjmp, and what that
 * had allocated is freed from the list. */
typedef struct decode {
    const sc_stb_request *request;
    size_t at; /* bytes read */
    bool limit_reached, out_of_memory, interrupted;
    void *blocks[MAX_BLOCKS];
    size_t block_count;
    void *samples;
    int width, height;
    jmp_buf leave;
} decode;

/* stb's hooks take no context, so the decode under way travels by thread. NULL: none is (a PNG is written). */
static STBI_THREAD_LOCAL decode *current;

/* What deflate_bytes has given to a PNG that is being written. */
static STBI_THREAD_LOCAL void *deflated;

static void leave_if_interrupted(void) {
    if (current && sc_image_check_interrupt(NULL) != SC_OK)
        longjmp(current->leave, 1);
}

/* Zeroed, because stb reads tables that a damaged file never defines. */
static void *stb_alloc(size_t size) {
    void *pointer;
    decode *run = current;
    leave_if_interrupted();
    if (run && size > run->request->max_block) {
        run->limit_reached = true;
        return NULL;
    }
    if ((run && run->block_count == MAX_BLOCKS) || sc_memory_calloc(&pointer, 1, size, NULL) != SC_OK) {
        if (run)
            run->out_of_memory = true;
        return NULL;
    }
    if (run)
        run->blocks[run->block_count++] = pointer;
    return pointer;
}

static void stb_free(void *pointer) {
    for (size_t i = 0; current && pointer && i < current->block_count; i++)
        if (current->blocks[i] == pointer) {
            current->blocks[i] = current->blocks[--current->block_count];
            break;
        }
    if (pointer == deflated)
        deflated = NULL;
    sc_memory_free(pointer);
}

void sc_stb_release_deflated(void) {
    stb_free(deflated);
}

static void *stb_realloc(void *old, size_t old_size, size_t new_size) {
    void *pointer = stb_alloc(new_size);
    if (pointer && old) {
        memcpy(pointer, old, old_size < new_size ? old_size : new_size);
        stb_free(old);
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
        stb_free(out);
        return NULL;
    }
    *out_length = (int)packed;
    deflated = out;
    return out;
}

/* Of an empty chunk stb copies no bytes from nowhere. */
static void *copy_bytes(void *to, const void *from, size_t size) {
    leave_if_interrupted();
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

/* Rows of a component that has all its samples, which every JPEG has, are not resampled; and blocks are transformed by
 * a function that stb chooses. Both are where it can be interrupted, by the same trick. */
static stbi_uc *resample_row_1(stbi_uc *out, stbi_uc *row, stbi_uc *unused, int width, int scale) {
    (void)out, (void)unused, (void)width, (void)scale;
    leave_if_interrupted();
    return row;
}

#define resample_row_1(out, row, unused, width, scale) resample_row_1_of_stb(out, row, unused, width, scale)

static void idct_of_stb(stbi_uc *out, int stride, short data[64]);

static void stbi__idct_block(stbi_uc *out, int stride, short data[64]) {
    leave_if_interrupted();
    idct_of_stb(out, stride, data);
}

#define stbi__idct_block(out, stride, data) idct_of_stb(out, stride, data)

#ifdef __x86_64__ /* where stb has this one too */
static void simd_idct_of_stb(stbi_uc *out, int stride, short data[64]);

static void stbi__idct_simd(stbi_uc *out, int stride, short data[64]) {
    leave_if_interrupted();
    simd_idct_of_stb(out, stride, data);
}

#define stbi__idct_simd(out, stride, data) simd_idct_of_stb(out, stride, data)
#endif

#undef memcpy
#define memcpy copy_bytes
#define STBI_MALLOC(size) stb_alloc(size)
#define STBI_REALLOC_SIZED(pointer, old_size, new_size) stb_realloc(pointer, old_size, new_size)
#define STBI_FREE(pointer) stb_free(pointer)
#define STBI_ASSERT(condition) ((void)0)
#define STBIW_MALLOC(size) stb_alloc(size)
#define STBIW_REALLOC_SIZED(pointer, old_size, new_size) stb_realloc(pointer, old_size, new_size)
#define STBIW_FREE(pointer) stb_free(pointer)
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

#undef memcpy

/* stb gets the bytes in pieces, so that it calls back while it goes through many short scans. */
static int read_piece(void *user, char *to, int count) {
    decode *run = user;
    leave_if_interrupted();
    size_t left = run->request->length - run->at, wanted = count > 0 ? (size_t)count : 0;
    size_t length = wanted < left ? wanted : left;
    if (length > 0)
        memcpy(to, run->request->bytes + run->at, length);
    run->at += length;
    return (int)length;
}

static void skip_piece(void *user, int count) {
    decode *run = user;
    size_t left = run->request->length - run->at, wanted = count > 0 ? (size_t)count : 0;
    run->at += wanted < left ? wanted : left;
}

static int is_at_end(void *user) {
    const decode *run = user;
    return run->at >= run->request->length;
}

static void decode_all(decode *run) {
    static const stbi_io_callbacks callbacks = {read_piece, skip_piece, is_at_end};
    int channels, wanted = run->request->channels;
    if (setjmp(run->leave) != 0) {
        run->interrupted = true;
        return;
    }
    run->samples =
        run->request->bits == 16
            ? (void *)stbi_load_16_from_callbacks(&callbacks, run, &run->width, &run->height, &channels, wanted)
            : (void *)stbi_load_from_callbacks(&callbacks, run, &run->width, &run->height, &channels, wanted);
}

sc_status sc_stb_decode(void **samples, int *width, int *height, const sc_stb_request *request, sc_error *error) {
    decode run = {.request = request};
    current = &run;
    decode_all(&run);
    current = NULL;
    bool good = run.samples && !run.interrupted && !run.out_of_memory;
    for (size_t i = 0; i < run.block_count; i++)
        if (!good || run.blocks[i] != run.samples)
            sc_memory_free(run.blocks[i]);
    *samples = good ? run.samples : NULL;
    *width = run.width;
    *height = run.height;
    if (good)
        return SC_OK;
    if (run.interrupted)
        return sc_error_set(error, SC_ERROR_INTERRUPTED, "interrupted");
    if (run.out_of_memory)
        return sc_error_set(error, SC_ERROR_MEMORY, "out of memory while decoding it");
    const char *reason = stbi_failure_reason();
    return sc_error_set(error, SC_ERROR_FORMAT, "%s",
                        run.limit_reached ? "it decompresses to more than its header declares"
                        : reason          ? reason
                                          : "");
}
