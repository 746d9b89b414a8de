/* The safetensors container: eight bytes of header length, a JSON header, then the tensors' bytes without gaps. The
 * JSON is written and understood elsewhere; this reads and writes bytes. */
#ifndef SC_IO_SAFETENSORS_H
#define SC_IO_SAFETENSORS_H

#include "base/file.h"
#include "io/element.h"

/* Zeroed = closed. */
typedef struct sc_safetensors {
    sc_file file;
    size_t header;  /* bytes of the JSON */
    uint64_t bytes; /* of all tensors, after the header */
} sc_safetensors;

/* Opens a file and checks the length of its header, which may be at most 100 MB, as for other readers. */
sc_status sc_safetensors_open(sc_safetensors *out, const char *path, sc_error *error);

/* Nothing happens when it is closed. */
void sc_safetensors_close(sc_safetensors *file);

/* Fills out with the JSON, file->header bytes. */
sc_status sc_safetensors_header(const sc_safetensors *file, char *out, sc_error *error);

/* A new tensor from the bytes first .. last - 1 after the header. *out must not hold a tensor. */
sc_status sc_safetensors_read(sc_tensor *out, const sc_safetensors *file, sc_element element, const sc_shape *shape,
                              uint64_t first, uint64_t last, sc_error *error);

/* Writes a whole file: the header, padded with spaces so that the data are aligned, and the tensors one after the other
 * as they lie in memory. The path is replaced only when all is written. */
sc_status sc_safetensors_write(const char *path, const char *header, size_t length, const sc_tensor *const *tensors,
                               size_t count, sc_error *error);

#endif
