/* NumPy's array files (.npy, versions 1 to 3). */
#ifndef SC_IO_NPY_H
#define SC_IO_NPY_H

#include "io/byte_stream.h"
#include "io/zip.h"
#include "tensor/tensor.h"

/* What arrays may take in memory together: a compressed archive can claim a thousand times its size, and booleans
 * become eight times theirs. */
typedef struct sc_npy_budget {
    uint64_t max_bytes;
    uint64_t used; /* by the arrays read so far */
} sc_npy_budget;

/* A new tensor from a stream that holds one array and nothing else: booleans, integers and floats of either byte order,
 * row-major or Fortran order (which is rearranged), up to SC_MAX_DIMS dimensions. uint8 stays uint8, other integers and
 * booleans become int64, floats sc_real. *out must not hold a tensor. SC_ERROR_FORMAT, before anything is allocated,
 * where the budget (NULL: none) does not suffice; else it is charged. */
sc_status sc_npy_read(sc_tensor *out, sc_byte_stream *stream, sc_npy_budget *budget, sc_error *error);

/* The same from a file. */
sc_status sc_npy_load(sc_tensor *out, const char *path, sc_error *error);

/* The same from an entry of an archive (.npz). */
sc_status sc_npy_load_entry(sc_tensor *out, const sc_zip *zip, const sc_zip_entry *entry, sc_npy_budget *budget,
                            sc_error *error);

#endif
