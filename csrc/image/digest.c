#include "image/digest.h"

#include "base/memory.h"
#include "image/fault.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const uint64_t factor1 = 0x87c37b91114253d5u, factor2 = 0x4cf5ad432745937fu;

static uint64_t rotate_left(uint64_t value, int by) {
    return value << by | value >> (64 - by);
}

/* Up to 8 bytes as a number, the first the lowest, so that the digest is the same on every processor. */
static uint64_t load_bytes(const unsigned char *bytes, size_t count) {
    uint64_t value = 0;
    for (size_t i = count; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static uint64_t scramble1(uint64_t block) {
    return rotate_left(block * factor1, 31) * factor2;
}

static uint64_t scramble2(uint64_t block) {
    return rotate_left(block * factor2, 33) * factor1;
}

static uint64_t finish(uint64_t value) {
    value = (value ^ value >> 33) * 0xff51afd7ed558ccdu;
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53u;
    return value ^ value >> 33;
}

/* MurmurHash3_x64_128; there both halves of the state begin as the seed. */
static void murmur3(uint64_t state[2], const unsigned char *bytes, size_t length) {
    uint64_t a = state[0], b = state[1];
    size_t whole = length / 16 * 16, rest = length - whole;
    for (size_t i = 0; i < whole; i += 16) {
        a ^= scramble1(load_bytes(bytes + i, 8));
        a = (rotate_left(a, 27) + b) * 5 + 0x52dce729;
        b ^= scramble2(load_bytes(bytes + i + 8, 8));
        b = (rotate_left(b, 31) + a) * 5 + 0x38495ab5;
    }
    if (rest > 8)
        b ^= scramble2(load_bytes(bytes + whole + 8, rest - 8));
    if (rest > 0)
        a ^= scramble1(load_bytes(bytes + whole, rest > 8 ? 8 : rest));
    a ^= length;
    b ^= length;
    a += b;
    b += a;
    a = finish(a);
    b = finish(b);
    a += b;
    state[0] = a;
    state[1] = a + b;
}

/* Whether the three channels of every pixel agree; size is that of a sample. */
static bool is_grey(const sc_pixels *pixels, size_t size) {
    const unsigned char *sample = pixels->data;
    size_t area = pixels->width * pixels->height;
    for (size_t i = 0; i < area; i++, sample += 3 * size)
        if (memcmp(sample, sample + size, size) != 0 || memcmp(sample, sample + 2 * size, size) != 0)
            return false;
    return true;
}

static void take_first_channel(unsigned char *out, const sc_pixels *pixels, size_t size) {
    const unsigned char *sample = pixels->data;
    size_t area = pixels->width * pixels->height;
    for (size_t i = 0; i < area; i++)
        memcpy(out + i * size, sample + 3 * i * size, size);
}

sc_status sc_pixels_digest(sc_image_digest *out, const sc_pixels *pixels, sc_error *error) {
    size_t bytes = sc_pixels_bytes(pixels), area = pixels->width * pixels->height;
    size_t size = bytes / area / pixels->channels;
    void *grey = NULL;
    bool reduced = pixels->channels == 3 && is_grey(pixels, size);
    if (reduced) {
        SC_TRY(sc_memory_alloc(&grey, area, size, error));
        take_first_channel(grey, pixels, size);
    }
    uint64_t state[2] = {(uint64_t)pixels->width << 32 ^ pixels->height,
                         (uint64_t)(reduced ? 1 : pixels->channels) << 8 ^ (uint64_t)pixels->depth};
    murmur3(state, reduced ? grey : pixels->data, reduced ? area * size : bytes);
    sc_memory_free(grey);
    out->readable = true;
    snprintf(out->text, sizeof out->text, "%016" PRIx64 "%016" PRIx64, state[0], state[1]);
    return SC_OK;
}

/* An image whose bytes are wrong has no digest; whatever else fails is no property of it. */
static sc_status digest_image(sc_image_digest *out, sc_image_source *source, size_t index, sc_error *error) {
    sc_pixels pixels = {0};
    *out = (sc_image_digest){0};
    sc_status status = sc_image_source_load(source, index, &pixels, error);
    if (status == SC_OK)
        status = sc_pixels_digest(out, &pixels, error);
    sc_pixels_release(&pixels);
    return status == SC_ERROR_FORMAT ? SC_OK : status;
}

sc_status sc_image_source_digests(sc_image_digest *digests, sc_image_source *source, const size_t *indices,
                                  size_t count, sc_error *error) {
    sc_image_fault fault;
    sc_image_fault_init(&fault);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < count; i++) {
        sc_error reason;
        if (!sc_image_fault_is_set(&fault) && digest_image(&digests[i], source, indices[i], &reason) != SC_OK)
            sc_image_fault_set(&fault, i, &reason);
    }
    return sc_image_fault_get(&fault, error);
}
