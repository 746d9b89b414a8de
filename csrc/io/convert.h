/* Stored element types, and how they become the three types of tensors. */
#ifndef SC_IO_CONVERT_H
#define SC_IO_CONVERT_H

#include "io/source.h"
#include "tensor/tensor.h"

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

/* The tensor type that holds it: u8 stays uint8, other integers and booleans become int64, floats sc_real. */
sc_dtype sc_element_dtype(sc_element element);

/* A new tensor of the shape from all the bytes left in the source, which must be exactly as many as it needs. Elements
 * that are stored as the tensor holds them are read straight into it. *out must not hold a tensor. */
sc_status sc_convert_read(sc_tensor *out, sc_source *source, sc_element element, bool big_endian, const sc_shape *shape,
                          sc_error *error);

#endif
