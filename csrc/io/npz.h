/* Archives of NumPy arrays (.npz), written; io/npy.h reads their entries. */
#ifndef SC_IO_NPZ_H
#define SC_IO_NPZ_H

#include "tensor/tensor.h"

/* Writes tensors as entries NAME.npy, stored as they are, in the order given: equal tensors give equal files. The names
 * must differ, and be UTF-8. The path is replaced only when all is written. */
sc_status sc_npz_write(const char *path, const char *const *names, const sc_tensor *const *tensors, size_t count,
                       sc_error *error);

#endif
