/* ONNX models (https://onnx.ai): put together piece by piece, then written as one protocol buffer. What the nodes mean
 * is the caller's business; this knows the encoding alone. Names must be UTF-8. Tensors are shared, not copied, and go
 * from their own memory to the file. */
#ifndef SC_IO_ONNX_H
#define SC_IO_ONNX_H

#include "base/status.h"
#include "tensor/tensor.h"

#include <stdint.h>

/* A model under construction. */
typedef struct sc_onnx sc_onnx;

/* What a model says of itself. */
typedef struct sc_onnx_header {
    int64_t ir_version, opset;
    const char *producer, *version; /* the program that writes, e.g. "secateur" and "1.0" */
    const char *name;               /* of the graph */
} sc_onnx_header;

/* One dimension of an input or output: a size, or the name of one that is known when the model runs. */
typedef struct sc_onnx_dim {
    const char *symbol; /* NULL: size counts */
    int64_t size;
} sc_onnx_dim;

/* A model without nodes. *out is NULL on error. */
sc_status sc_onnx_create(sc_onnx **out, const sc_onnx_header *header, sc_error *error);

/* NULL is allowed. */
void sc_onnx_destroy(sc_onnx *onnx);

/* A pair of metadata_props. */
sc_status sc_onnx_add_metadata(sc_onnx *onnx, const char *key, const char *value, sc_error *error);

/* An input, or an output, of the graph: a tensor of sc_real. */
sc_status sc_onnx_add_input(sc_onnx *onnx, const char *name, const sc_onnx_dim *dims, size_t count, sc_error *error);
sc_status sc_onnx_add_output(sc_onnx *onnx, const char *name, const sc_onnx_dim *dims, size_t count, sc_error *error);

/* A constant of the graph. */
sc_status sc_onnx_add_initializer(sc_onnx *onnx, const char *name, const sc_tensor *value, sc_error *error);

/* How many nodes were added. */
size_t sc_onnx_node_count(const sc_onnx *onnx);

/* A node that computes operation `op`. What follows adds to the node added last, of which there must be one. */
sc_status sc_onnx_add_node(sc_onnx *onnx, const char *op, const char *name, sc_error *error);
sc_status sc_onnx_node_input(sc_onnx *onnx, const char *value, sc_error *error);
sc_status sc_onnx_node_output(sc_onnx *onnx, const char *value, sc_error *error);
sc_status sc_onnx_node_int(sc_onnx *onnx, const char *name, int64_t value, sc_error *error);
sc_status sc_onnx_node_float(sc_onnx *onnx, const char *name, double value, sc_error *error);
sc_status sc_onnx_node_string(sc_onnx *onnx, const char *name, const char *value, sc_error *error);
sc_status sc_onnx_node_tensor(sc_onnx *onnx, const char *name, const sc_tensor *value, sc_error *error);
sc_status sc_onnx_node_ints(sc_onnx *onnx, const char *name, const int64_t *values, size_t count, sc_error *error);
sc_status sc_onnx_node_floats(sc_onnx *onnx, const char *name, const float *values, size_t count, sc_error *error);

/* Writes the model to a file, which is replaced only when all is written. A protocol buffer holds less than 2 GiB: more
 * is an error, and so is an interrupt. */
sc_status sc_onnx_write(const sc_onnx *onnx, const char *path, sc_error *error);

#endif
