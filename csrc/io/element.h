/* Stored element types, and how they become the three types of tensors. */
#ifndef SC_IO_ELEMENT_H
#define SC_IO_ELEMENT_H

#include "io/byte_stream.h"
#include "tensor/tensor.h"

#include <stdbool.h>

typedef enum sc_element {
    SC_ELEMENT_BOOL, /* one byte, 0 is false */
    SC_ELEMENT_U8,
    SC_ELEMENT_I8,
    SC_ELEMENT_U16,
    SC_ELEMENT_I16,
    SC_ELEMENT_U32,
    SC_ELEMENT_I32,
    SC_ELEMENT_U64, /* values from 2^63 on are an error */
    SC_ELEMENT_I64,
    SC_ELEMENT_F16,  /* IEEE 754 binary16 */
    SC_ELEMENT_BF16, /* the upper half of a binary32 */
    SC_ELEMENT_F32,
    SC_ELEMENT_F64,
} sc_element;

/* Bytes per stored element. */
size_t sc_element_size(sc_element element);

#define SC_ELEMENT_NAMES "BOOL U8 I8 U16 I16 U32 I32 U64 I64 F16 BF16 F32 F64"

/* The element type of that name, in the words of safetensors; false for others. */
bool sc_element_from_name(sc_element *out, const char *name);

/* The tensor type that holds it: u8 stays uint8, other integers and booleans become int64, floats sc_real. */
sc_dtype sc_element_dtype(sc_element element);

/* Whether the stored elements are native: as the tensor holds them. */
bool sc_element_is_native(sc_element element);

/* out[count] = the stored elements as sc_element_dtype holds them; with big_endian their bytes are swapped in place
 * first. False when a value does not fit. The stored ones need not be aligned. */
bool sc_element_convert(void *out, unsigned char *bytes, size_t count, sc_element element, bool big_endian);

/* A new tensor of the shape from all the bytes left in the stream, which must be exactly as many as it needs. Elements
 * that are stored as the tensor holds them are read straight into it. *out must not hold a tensor. */
sc_status sc_element_read(sc_tensor *out, sc_byte_stream *stream, sc_element element, bool big_endian,
                          const sc_shape *shape, sc_error *error);

#endif
