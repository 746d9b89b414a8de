#include "io/element.h"

#include "base/memory.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read and written as they lie in memory");

enum { CHUNK = 1 << 15 }; /* bytes converted at a time; a multiple of every element's size */

size_t sc_element_size(sc_element element) {
    switch (element) {
    case SC_ELEMENT_BOOL:
    case SC_ELEMENT_U8:
    case SC_ELEMENT_I8:
        return 1;
    case SC_ELEMENT_U16:
    case SC_ELEMENT_I16:
    case SC_ELEMENT_F16:
    case SC_ELEMENT_BF16:
        return 2;
    case SC_ELEMENT_U32:
    case SC_ELEMENT_I32:
    case SC_ELEMENT_F32:
        return 4;
    case SC_ELEMENT_U64:
    case SC_ELEMENT_I64:
    case SC_ELEMENT_F64:
        return 8;
    }
    return 0;
}

bool sc_element_from_name(sc_element *out, const char *name) {
    static const struct {
        const char *name;
        sc_element element;
    } names[] = {
        {"BOOL", SC_ELEMENT_BOOL}, {"U8", SC_ELEMENT_U8},   {"I8", SC_ELEMENT_I8},   {"U16", SC_ELEMENT_U16},
        {"I16", SC_ELEMENT_I16},   {"U32", SC_ELEMENT_U32}, {"I32", SC_ELEMENT_I32}, {"U64", SC_ELEMENT_U64},
        {"I64", SC_ELEMENT_I64},   {"F16", SC_ELEMENT_F16}, {"F32", SC_ELEMENT_F32}, {"F64", SC_ELEMENT_F64},
        {"BF16", SC_ELEMENT_BF16},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].name, name) == 0) {
            *out = names[i].element;
            return true;
        }
    return false;
}

sc_dtype sc_element_dtype(sc_element element) {
    switch (element) {
    case SC_ELEMENT_U8:
        return SC_UINT8;
    case SC_ELEMENT_F16:
    case SC_ELEMENT_BF16:
    case SC_ELEMENT_F32:
    case SC_ELEMENT_F64:
        return SC_REAL;
    default:
        return SC_INT64;
    }
}

bool sc_element_is_native(sc_element element) {
    return element == SC_ELEMENT_U8 || element == SC_ELEMENT_I64 ||
           element == (sizeof(sc_real) == sizeof(float) ? SC_ELEMENT_F32 : SC_ELEMENT_F64);
}

static void swap_bytes(unsigned char *bytes, size_t count, size_t size) {
    for (unsigned char *item = bytes; item < bytes + count * size; item += size)
        for (size_t i = 0; i < size / 2; i++) {
            unsigned char byte = item[i];
            item[i] = item[size - 1 - i];
            item[size - 1 - i] = byte;
        }
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 0x1f;
    uint32_t fraction = half & 0x3ff;
    if (exponent == 0) {
        float tiny = (float)fraction * 0x1p-24f;
        return sign ? -tiny : tiny;
    }
    if (exponent == 0x1f)
        return from_bits(sign | 0x7f800000 | fraction << 13);
    return from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

/* out[i] = EXPRESSION of the i-th stored `value`, for unaligned bytes. */
#define CONVERT(stored, native, expression)                                                                            \
    do {                                                                                                               \
        native *converted = out;                                                                                       \
        for (size_t i = 0; i < count; i++) {                                                                           \
            stored value;                                                                                              \
            memcpy(&value, bytes + i * sizeof value, sizeof value);                                                    \
            converted[i] = (native)(expression);                                                                       \
        }                                                                                                              \
        return true;                                                                                                   \
    } while (0)

/* False when a value does not fit. */
static bool convert(void *out, const unsigned char *bytes, size_t count, sc_element element) {
    switch (element) {
    case SC_ELEMENT_BOOL:
        CONVERT(uint8_t, int64_t, value != 0);
    case SC_ELEMENT_U8:
        CONVERT(uint8_t, uint8_t, value);
    case SC_ELEMENT_I8:
        CONVERT(int8_t, int64_t, value);
    case SC_ELEMENT_U16:
        CONVERT(uint16_t, int64_t, value);
    case SC_ELEMENT_I16:
        CONVERT(int16_t, int64_t, value);
    case SC_ELEMENT_U32:
        CONVERT(uint32_t, int64_t, value);
    case SC_ELEMENT_I32:
        CONVERT(int32_t, int64_t, value);
    case SC_ELEMENT_U64:
        for (size_t i = 0; i < count; i++)
            if (bytes[i * 8 + 7] & 0x80)
                return false;
        CONVERT(uint64_t, int64_t, value);
    case SC_ELEMENT_I64:
        CONVERT(int64_t, int64_t, value);
    case SC_ELEMENT_F16:
        CONVERT(uint16_t, sc_real, from_half(value));
    case SC_ELEMENT_BF16:
        CONVERT(uint16_t, sc_real, from_bits((uint32_t)value << 16));
    case SC_ELEMENT_F32:
        CONVERT(float, sc_real, value);
    case SC_ELEMENT_F64:
        CONVERT(double, sc_real, value);
    }
    return false;
}

bool sc_element_convert(void *out, unsigned char *bytes, size_t count, sc_element element, bool big_endian) {
    size_t size = sc_element_size(element);
    if (big_endian && size > 1)
        swap_bytes(bytes, count, size);
    return convert(out, bytes, count, element);
}

static sc_status fill(const sc_tensor *tensor, sc_byte_stream *stream, sc_element element, bool big_endian,
                      sc_error *error) {
    unsigned char buffer[CHUNK];
    unsigned char *out = sc_tensor_data(tensor);
    size_t stored = sc_element_size(element), native = sc_dtype_size(tensor->dtype);
    size_t numel = sc_tensor_numel(tensor);
    if (sc_element_is_native(element)) {
        SC_TRY(sc_byte_stream_read(stream, out, numel * stored, error));
        if (big_endian && stored > 1)
            swap_bytes(out, numel, stored);
        return SC_OK;
    }
    for (size_t done = 0, count; done < numel; done += count) {
        count = numel - done < CHUNK / stored ? numel - done : CHUNK / stored;
        SC_TRY(sc_byte_stream_read(stream, buffer, count * stored, error));
        if (!sc_element_convert(out + done * native, buffer, count, element, big_endian))
            return sc_byte_stream_fail(stream, error, "data: expected whole numbers below 2^63, got a larger one");
    }
    return SC_OK;
}

sc_status sc_element_read(sc_tensor *out, sc_byte_stream *stream, sc_element element, bool big_endian,
                          const sc_shape *shape, sc_error *error) {
    char text[SC_SHAPE_TEXT];
    size_t bytes = sc_shape_numel(shape) * sc_element_size(element); /* sc_shape_init has seen to it that it fits */
    if (bytes != stream->left)
        return sc_byte_stream_fail(stream, error, "data: expected %zu bytes for the shape %s, got %" PRIu64, bytes,
                                   sc_shape_format(text, shape), stream->left);
    SC_TRY(sc_tensor_create(out, sc_element_dtype(element), shape, error));
    sc_status status = fill(out, stream, element, big_endian, error);
    if (status != SC_OK)
        sc_tensor_release(out);
    return status;
}
