/* Tensors that lie in a file as views of a storage: an offset and a stride per dimension, as PyTorch saves them. */
#ifndef SC_IO_STRIDED_H
#define SC_IO_STRIDED_H

#include "base/file.h"
#include "io/element.h"

typedef struct sc_strided {
    sc_element element;
    bool big_endian;
    sc_shape shape;
    uint64_t stride[SC_MAX_DIMS]; /* in elements; 0 repeats */
    uint64_t offset;              /* of the first element from the storage's beginning, in elements */
    uint64_t first, last;         /* the storage: these bytes of the file, without the last */
    bool checked;                 /* whether crc is known; for views of the whole storage in order alone */
    uint32_t crc;                 /* of the storage */
} sc_strided;

/* A new contiguous tensor of the view's elements. Those that are stored in order and as the tensor holds them are read
 * straight into it; others pass through a small buffer. Refused: views that reach beyond their storage, and overlapping
 * ones (other than repeated elements) over more than 16 MiB. *out must not hold a tensor. Inside an interrupt scope,
 * Ctrl-C ends it. */
sc_status sc_strided_read(sc_tensor *out, const sc_file *file, const sc_strided *view, sc_error *error);

#endif
