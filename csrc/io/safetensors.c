#include "io/safetensors.h"

#include "base/atomic_file.h"
#include "io/file_stream.h"

#include <inttypes.h>
#include <string.h>

enum {
    LENGTH = 8, /* bytes that hold the header's length, little-endian */
    MAX_HEADER = 100000000,
    ALIGNMENT = 8,
};

sc_status sc_safetensors_open(sc_safetensors *out, const char *path, sc_error *error) {
    unsigned char start[LENGTH];
    uint64_t length = 0;
    *out = (sc_safetensors){0};
    SC_TRY(sc_file_open(&out->file, path, error));
    sc_status status = out->file.size < LENGTH
                           ? sc_error_set(error, SC_ERROR_FORMAT,
                                          "'%s': not a safetensors file: only %" PRIu64 " bytes", path, out->file.size)
                           : sc_file_read(&out->file, 0, start, LENGTH, error);
    if (status == SC_OK) {
        for (int i = LENGTH - 1; i >= 0; i--)
            length = length << 8 | start[i];
        uint64_t available = out->file.size - LENGTH;
        if (length > available || length > MAX_HEADER)
            status = sc_error_set(error, SC_ERROR_FORMAT,
                                  "'%s': header: expected a length of at most %" PRIu64 " bytes, got %" PRIu64, path,
                                  available < MAX_HEADER ? available : (uint64_t)MAX_HEADER, length);
    }
    if (status != SC_OK) {
        sc_safetensors_close(out);
        return status;
    }
    out->header = (size_t)length;
    out->bytes = out->file.size - LENGTH - length;
    return SC_OK;
}

void sc_safetensors_close(sc_safetensors *file) {
    sc_file_close(&file->file);
    *file = (sc_safetensors){0};
}

sc_status sc_safetensors_header(const sc_safetensors *file, char *out, sc_error *error) {
    return sc_file_read(&file->file, LENGTH, out, file->header, error);
}

sc_status sc_safetensors_read(sc_tensor *out, const sc_safetensors *file, sc_element element, const sc_shape *shape,
                              uint64_t first, uint64_t last, sc_error *error) {
    sc_file_stream stream;
    if (first > last || last > file->bytes)
        return sc_error_set(error, SC_ERROR_FORMAT,
                            "'%s': data_offsets: expected them within 0..%" PRIu64 ", got %" PRIu64 "..%" PRIu64,
                            file->file.path, file->bytes, first, last);
    sc_file_stream_init(&stream, &file->file, LENGTH + file->header + first, last - first);
    return sc_element_read(out, &stream.base, element, false, shape, error);
}

static sc_status write_header(sc_atomic_file *target, const char *header, size_t length, sc_error *error) {
    static const char spaces[ALIGNMENT] = "        ";
    unsigned char start[LENGTH];
    size_t padding = (ALIGNMENT - length % ALIGNMENT) % ALIGNMENT;
    uint64_t padded = (uint64_t)length + padding;
    for (int i = 0; i < LENGTH; i++)
        start[i] = (unsigned char)(padded >> 8 * i & 0xff);
    SC_TRY(sc_atomic_file_write(target, start, LENGTH, error));
    SC_TRY(sc_atomic_file_write(target, header, length, error));
    return sc_atomic_file_write(target, spaces, padding, error);
}

sc_status sc_safetensors_write(const char *path, const char *header, size_t length, const sc_tensor *const *tensors,
                               size_t count, sc_error *error) {
    sc_atomic_file target;
    if (length > MAX_HEADER - ALIGNMENT)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "'%s': header: expected at most %d bytes, got %zu", path,
                            MAX_HEADER - ALIGNMENT, length);
    SC_TRY(sc_atomic_file_open(&target, path, error));
    sc_status status = write_header(&target, header, length, error);
    for (size_t i = 0; i < count && status == SC_OK; i++)
        status = sc_atomic_file_write(&target, sc_tensor_data(tensors[i]),
                                      sc_tensor_numel(tensors[i]) * sc_dtype_size(tensors[i]->dtype), error);
    if (status == SC_OK)
        return sc_atomic_file_commit(&target, error);
    sc_atomic_file_discard(&target);
    return status;
}
