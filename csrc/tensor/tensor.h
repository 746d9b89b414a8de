/* Tensors: a shape over refcounted storage. Always contiguous and row-major, so that a view is an offset. */
#ifndef SC_TENSOR_TENSOR_H
#define SC_TENSOR_TENSOR_H

#include "base/real.h"
#include "base/status.h"
#include "tensor/shape.h"

#include <stdint.h>

typedef enum sc_dtype {
    SC_REAL,  /* sc_real: all arithmetic */
    SC_INT64, /* labels, indices, counters */
    SC_UINT8, /* stored pixels */
} sc_dtype;

/* Refcounted bytes; the count is atomic, the contents are not guarded. */
typedef struct sc_storage sc_storage;

/* A value: copy it with sc_tensor_share, end it with sc_tensor_release. Zeroed = no tensor. */
typedef struct sc_tensor {
    sc_storage *storage;
    sc_dtype dtype;
    sc_shape shape;
    size_t offset; /* of the first element, in elements */
} sc_tensor;

/* Bytes per element. */
size_t sc_dtype_size(sc_dtype dtype);

/* "float32" (or "float64" in the double build), "int64", "uint8". */
const char *sc_dtype_name(sc_dtype dtype);

/* New storage, contents undefined. *out must not hold a tensor. */
sc_status sc_tensor_create(sc_tensor *out, sc_dtype dtype, const sc_shape *shape, sc_error *error);

/* New storage, all zero. */
sc_status sc_tensor_create_zero(sc_tensor *out, sc_dtype dtype, const sc_shape *shape, sc_error *error);

/* A tensor over the same storage. */
sc_tensor sc_tensor_share(const sc_tensor *tensor);

/* A tensor with its own storage and the same contents. */
sc_status sc_tensor_clone(sc_tensor *out, const sc_tensor *tensor, sc_error *error);

/* Rows first .. first + count - 1 (from 0) of dimension 1, over the same storage. */
sc_status sc_tensor_rows(sc_tensor *out, const sc_tensor *tensor, size_t first, size_t count, sc_error *error);

/* The same elements in another shape, over the same storage. */
sc_status sc_tensor_reshape(sc_tensor *out, const sc_tensor *tensor, const sc_shape *shape, sc_error *error);

/* Whether another tensor uses the same storage. */
bool sc_tensor_is_shared(const sc_tensor *tensor);

/* To be called before changes: makes sure that nobody else sees them, by cloning the storage if it is shared. */
sc_status sc_tensor_own(sc_tensor *tensor, sc_error *error);

/* The version of the contents: whoever changes them in place calls sc_tensor_bump_version (sc_tensor_own does), and no
 * other contents of this process have the same. Views of one storage share it. */
uint64_t sc_tensor_version(const sc_tensor *tensor);
void sc_tensor_bump_version(sc_tensor *tensor);

/* Gives the storage back and zeroes the struct; nothing happens when it holds none. */
void sc_tensor_release(sc_tensor *tensor);

/* The number of elements. */
size_t sc_tensor_numel(const sc_tensor *tensor);

/* The first element. The dtype must be the one named. */
sc_real *sc_tensor_real(const sc_tensor *tensor);
int64_t *sc_tensor_int64(const sc_tensor *tensor);
uint8_t *sc_tensor_uint8(const sc_tensor *tensor);

/* The first element, whatever the type. */
void *sc_tensor_data(const sc_tensor *tensor);

#endif
