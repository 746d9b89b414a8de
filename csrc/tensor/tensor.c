#include "tensor/tensor.h"

#include "base/memory.h"

#include <stdatomic.h>
#include <string.h>

struct sc_storage {
    atomic_size_t references;
    atomic_uint_least64_t version; /* see sc_tensor_version */
    void *data;
};

/* Versions given out so far; only whether two are equal matters. */
static atomic_uint_least64_t versions;

size_t sc_dtype_size(sc_dtype dtype) {
    switch (dtype) {
    case SC_REAL:
        return sizeof(sc_real);
    case SC_INT64:
        return sizeof(int64_t);
    case SC_UINT8:
        return 1;
    }
    return 0;
}

const char *sc_dtype_name(sc_dtype dtype) {
    switch (dtype) {
    case SC_REAL:
        return sizeof(sc_real) == 4 ? "float32" : "float64";
    case SC_INT64:
        return "int64";
    case SC_UINT8:
        return "uint8";
    }
    return "unknown";
}

static sc_status create(sc_tensor *out, sc_dtype dtype, const sc_shape *shape, bool zeroed, sc_error *error) {
    *out = (sc_tensor){.dtype = dtype, .shape = *shape};
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, 1, sizeof(sc_storage), error));
    sc_storage *storage = memory;
    sc_status status = zeroed ? sc_memory_calloc(&storage->data, sc_shape_numel(shape), sc_dtype_size(dtype), error)
                              : sc_memory_alloc(&storage->data, sc_shape_numel(shape), sc_dtype_size(dtype), error);
    if (status != SC_OK) {
        sc_memory_free(storage);
        return status;
    }
    atomic_init(&storage->references, 1);
    atomic_init(&storage->version, atomic_fetch_add(&versions, 1));
    out->storage = storage;
    return SC_OK;
}

sc_status sc_tensor_create(sc_tensor *out, sc_dtype dtype, const sc_shape *shape, sc_error *error) {
    return create(out, dtype, shape, false, error);
}

sc_status sc_tensor_create_zero(sc_tensor *out, sc_dtype dtype, const sc_shape *shape, sc_error *error) {
    return create(out, dtype, shape, true, error);
}

sc_tensor sc_tensor_share(const sc_tensor *tensor) {
    if (tensor->storage)
        atomic_fetch_add(&tensor->storage->references, 1);
    return *tensor;
}

sc_status sc_tensor_clone(sc_tensor *out, const sc_tensor *tensor, sc_error *error) {
    SC_TRY(sc_tensor_create(out, tensor->dtype, &tensor->shape, error));
    memcpy(sc_tensor_data(out), sc_tensor_data(tensor), sc_tensor_numel(tensor) * sc_dtype_size(tensor->dtype));
    return SC_OK;
}

sc_status sc_tensor_rows(sc_tensor *out, const sc_tensor *tensor, size_t first, size_t count, sc_error *error) {
    const sc_shape *shape = &tensor->shape;
    if (shape->ndim == 0)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "view: a scalar has no rows");
    if (first > shape->size[0] || count > shape->size[0] - first)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "view: expected rows within 1..%zu, got %zu..%zu", shape->size[0],
                            first + 1, first + count);
    size_t row = 1;
    for (int d = 1; d < shape->ndim; d++)
        row *= shape->size[d];
    *out = sc_tensor_share(tensor);
    out->shape.size[0] = count;
    out->offset += first * row;
    return SC_OK;
}

sc_status sc_tensor_reshape(sc_tensor *out, const sc_tensor *tensor, const sc_shape *shape, sc_error *error) {
    char from[SC_SHAPE_TEXT], to[SC_SHAPE_TEXT];
    if (sc_shape_numel(shape) != sc_tensor_numel(tensor))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "reshape: expected the %zu elements of %s, got %s",
                            sc_tensor_numel(tensor), sc_shape_format(from, &tensor->shape), sc_shape_format(to, shape));
    *out = sc_tensor_share(tensor);
    out->shape = *shape;
    return SC_OK;
}

bool sc_tensor_is_shared(const sc_tensor *tensor) {
    return tensor->storage && atomic_load(&tensor->storage->references) > 1;
}

sc_status sc_tensor_own(sc_tensor *tensor, sc_error *error) {
    if (!sc_tensor_is_shared(tensor)) {
        sc_tensor_bump_version(tensor);
        return SC_OK;
    }
    sc_tensor copy;
    SC_TRY(sc_tensor_clone(&copy, tensor, error));
    sc_tensor_release(tensor);
    *tensor = copy;
    return SC_OK;
}

uint64_t sc_tensor_version(const sc_tensor *tensor) {
    return atomic_load(&tensor->storage->version);
}

void sc_tensor_bump_version(sc_tensor *tensor) {
    if (tensor->storage)
        atomic_store(&tensor->storage->version, atomic_fetch_add(&versions, 1));
}

void sc_tensor_release(sc_tensor *tensor) {
    if (tensor->storage && atomic_fetch_sub(&tensor->storage->references, 1) == 1) {
        sc_memory_free(tensor->storage->data);
        sc_memory_free(tensor->storage);
    }
    *tensor = (sc_tensor){0};
}

size_t sc_tensor_numel(const sc_tensor *tensor) {
    return sc_shape_numel(&tensor->shape);
}

void *sc_tensor_data(const sc_tensor *tensor) {
    return (char *)tensor->storage->data + tensor->offset * sc_dtype_size(tensor->dtype);
}

sc_real *sc_tensor_real(const sc_tensor *tensor) {
    return sc_tensor_data(tensor);
}

int64_t *sc_tensor_int64(const sc_tensor *tensor) {
    return sc_tensor_data(tensor);
}

uint8_t *sc_tensor_uint8(const sc_tensor *tensor) {
    return sc_tensor_data(tensor);
}
