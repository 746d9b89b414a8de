/* NumPy's array files (.npy, versions 1 to 3). */
#ifndef SC_IO_NPY_H
#define SC_IO_NPY_H

#include "io/byte_stream.h"
#include "io/zip.h"
#include "tensor/tensor.h"

/* A new tensor from a stream that holds one array and nothing else: booleans, integers and floats of either byte order,
 * row-major or Fortran order (which is rearranged), up to SC_MAX_DIMS dimensions. uint8 stays uint8, other integers and
 * booleans become int64, floats sc_real. *out must not hold a tensor. */
sc_status sc_npy_read(sc_tensor *out, sc_byte_stream *stream, sc_error *error);

/* The same from a file. */
sc_status sc_npy_load(sc_tensor *out, const char *path, sc_error *error);

/* The same from an entry of an archive (.npz). */
sc_status sc_npy_load_entry(sc_tensor *out, const sc_zip *zip, const sc_zip_entry *entry, sc_error *error);

#endif
