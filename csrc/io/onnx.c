#include "io/onnx.h"

#include "base/atomic_file.h"
#include "base/memory.h"
#include "base/size.h"
#include "io/onnx.pb-c.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

enum {
    BLOCK = 1 << 16,  /* bytes of an arena's block */
    ALIGNMENT = 16,   /* of what an arena gives */
    BUFFER = 1 << 16, /* bytes that are gathered before they are written */
};

/* Messages, strings and lists live as long as the model: they are carved out of blocks that are freed together. */
typedef struct block {
    struct block *next;
    size_t used, size;
    _Alignas(ALIGNMENT) unsigned char bytes[];
} block;

/* A tensor whose bytes a message points to. */
typedef struct tensor_ref {
    struct tensor_ref *next;
    sc_tensor tensor;
} tensor_ref;

struct sc_onnx {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    block *blocks;
    tensor_ref *tensors;
    uint64_t bytes; /* of all tensors */
};

/* ---- memory ---- */

static sc_status allocate(sc_onnx *onnx, void **out, size_t count, size_t size, sc_error *error) {
    size_t wanted, whole;
    *out = NULL;
    if (!sc_size_multiply(&wanted, count, size) || !sc_size_add(&whole, wanted, sizeof(block) + ALIGNMENT))
        return sc_error_set(error, SC_ERROR_MEMORY, "onnx: %zu items are too many", count);
    wanted = (wanted + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    block *last = onnx->blocks;
    if (!last || last->size - last->used < wanted) {
        void *memory;
        size_t capacity = wanted < BLOCK ? BLOCK : wanted;
        SC_TRY(sc_memory_alloc(&memory, 1, sizeof(block) + capacity, error));
        last = memory;
        *last = (block){.next = onnx->blocks, .size = capacity};
        onnx->blocks = last;
    }
    *out = last->bytes + last->used;
    last->used += wanted;
    return SC_OK;
}

static sc_status copy_bytes(sc_onnx *onnx, void **out, const void *bytes, size_t count, size_t size, sc_error *error) {
    SC_TRY(allocate(onnx, out, count, size, error));
    if (count > 0)
        memcpy(*out, bytes, count * size);
    return SC_OK;
}

static sc_status copy_text(sc_onnx *onnx, char **out, const char *text, sc_error *error) {
    void *copy;
    SC_TRY(copy_bytes(onnx, &copy, text, strlen(text) + 1, 1, error));
    *out = copy;
    return SC_OK;
}

/* Room for one more in a list of `count`: lists double, whenever their length is a power of two. */
static sc_status grow(sc_onnx *onnx, void **items, size_t count, size_t size, sc_error *error) {
    void *larger;
    if (count & (count - 1))
        return SC_OK;
    SC_TRY(allocate(onnx, &larger, count ? 2 * count : 1, size, error));
    if (count > 0)
        memcpy(larger, *items, count * size);
    *items = larger;
    return SC_OK;
}

/* Appends to a repeated field, which protobuf-c keeps as `field` and `n_field`. Returns on errors. */
#define APPEND(onnx, owner, field, item, error)                                                                        \
    do {                                                                                                               \
        void *sc_items = (owner)->field;                                                                               \
        SC_TRY(grow(onnx, &sc_items, (owner)->n_##field, sizeof *(owner)->field, error));                              \
        (owner)->field = sc_items;                                                                                     \
        (owner)->field[(owner)->n_##field++] = (item);                                                                 \
    } while (0)

/* A new message in the variable `message`. Returns on errors. */
#define NEW(onnx, message, type, init, error)                                                                          \
    do {                                                                                                               \
        void *sc_memory;                                                                                               \
        SC_TRY(allocate(onnx, &sc_memory, 1, sizeof(type), error));                                                    \
        (message) = sc_memory;                                                                                         \
        init(message);                                                                                                 \
    } while (0)

/* ---- the model ---- */

static sc_status fill(sc_onnx *onnx, const sc_onnx_header *header, sc_error *error) {
    Onnx__OperatorSetIdProto *opset;
    onnx__model_proto__init(&onnx->model);
    onnx__graph_proto__init(&onnx->graph);
    onnx->model.graph = &onnx->graph;
    onnx->model.ir_version = header->ir_version;
    NEW(onnx, opset, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init, error);
    opset->version = header->opset;
    APPEND(onnx, &onnx->model, opset_import, opset, error);
    SC_TRY(copy_text(onnx, &onnx->model.producer_name, header->producer, error));
    SC_TRY(copy_text(onnx, &onnx->model.producer_version, header->version, error));
    return copy_text(onnx, &onnx->graph.name, header->name, error);
}

sc_status sc_onnx_create(sc_onnx **out, const sc_onnx_header *header, sc_error *error) {
    void *memory;
    *out = NULL;
    SC_TRY(sc_memory_calloc(&memory, 1, sizeof(sc_onnx), error));
    sc_status status = fill(memory, header, error);
    if (status == SC_OK)
        *out = memory;
    else
        sc_onnx_destroy(memory);
    return status;
}

void sc_onnx_destroy(sc_onnx *onnx) {
    if (!onnx)
        return;
    for (tensor_ref *each = onnx->tensors; each; each = each->next)
        sc_tensor_release(&each->tensor);
    for (block *each = onnx->blocks, *next; each; each = next) {
        next = each->next;
        sc_memory_free(each);
    }
    sc_memory_free(onnx);
}

sc_status sc_onnx_add_metadata(sc_onnx *onnx, const char *key, const char *value, sc_error *error) {
    Onnx__StringStringEntryProto *entry;
    NEW(onnx, entry, Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init, error);
    SC_TRY(copy_text(onnx, &entry->key, key, error));
    SC_TRY(copy_text(onnx, &entry->value, value, error));
    APPEND(onnx, &onnx->model, metadata_props, entry, error);
    return SC_OK;
}

/* ---- tensors and their types ---- */

static int32_t data_type(sc_dtype dtype) {
    switch (dtype) {
    case SC_INT64:
        return ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    case SC_UINT8:
        return ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
    case SC_REAL:
        break;
    }
    return sizeof(sc_real) == sizeof(double) ? ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE
                                             : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
}

static sc_status make_dim(sc_onnx *onnx, Onnx__TensorShapeProto__Dimension **out, const sc_onnx_dim *from,
                          sc_error *error) {
    NEW(onnx, *out, Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension__init, error);
    if (from->symbol) {
        (*out)->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        return copy_text(onnx, &(*out)->dim_param, from->symbol, error);
    }
    (*out)->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    (*out)->dim_value = from->size;
    return SC_OK;
}

static sc_status make_value(sc_onnx *onnx, Onnx__ValueInfoProto **out, const char *name, const sc_onnx_dim *dims,
                            size_t count, sc_error *error) {
    Onnx__TypeProto *type;
    Onnx__TypeProto__Tensor *tensor;
    NEW(onnx, *out, Onnx__ValueInfoProto, onnx__value_info_proto__init, error);
    NEW(onnx, type, Onnx__TypeProto, onnx__type_proto__init, error);
    NEW(onnx, tensor, Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init, error);
    NEW(onnx, tensor->shape, Onnx__TensorShapeProto, onnx__tensor_shape_proto__init, error);
    for (size_t d = 0; d < count; d++) {
        Onnx__TensorShapeProto__Dimension *dim;
        SC_TRY(make_dim(onnx, &dim, &dims[d], error));
        APPEND(onnx, tensor->shape, dim, dim, error);
    }
    tensor->elem_type = data_type(SC_REAL);
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    (*out)->type = type;
    return copy_text(onnx, &(*out)->name, name, error);
}

sc_status sc_onnx_add_input(sc_onnx *onnx, const char *name, const sc_onnx_dim *dims, size_t count, sc_error *error) {
    Onnx__ValueInfoProto *value;
    SC_TRY(make_value(onnx, &value, name, dims, count, error));
    APPEND(onnx, &onnx->graph, input, value, error);
    return SC_OK;
}

sc_status sc_onnx_add_output(sc_onnx *onnx, const char *name, const sc_onnx_dim *dims, size_t count, sc_error *error) {
    Onnx__ValueInfoProto *value;
    SC_TRY(make_value(onnx, &value, name, dims, count, error));
    APPEND(onnx, &onnx->graph, output, value, error);
    return SC_OK;
}

/* The tensor's bytes stay where they are, and the tensor with them. */
static sc_status make_tensor(sc_onnx *onnx, Onnx__TensorProto **out, const sc_tensor *from, sc_error *error) {
    void *memory;
    NEW(onnx, *out, Onnx__TensorProto, onnx__tensor_proto__init, error);
    SC_TRY(allocate(onnx, &memory, 1, sizeof(tensor_ref), error));
    for (int d = 0; d < from->shape.ndim; d++)
        APPEND(onnx, *out, dims, (int64_t)from->shape.size[d], error);
    tensor_ref *ref = memory;
    *ref = (tensor_ref){.next = onnx->tensors, .tensor = sc_tensor_share(from)};
    onnx->tensors = ref;
    (*out)->data_type = data_type(from->dtype);
    (*out)->raw_data.data = sc_tensor_data(from);
    (*out)->raw_data.len = sc_tensor_numel(from) * sc_dtype_size(from->dtype);
    onnx->bytes += (*out)->raw_data.len;
    return SC_OK;
}

sc_status sc_onnx_add_initializer(sc_onnx *onnx, const char *name, const sc_tensor *value, sc_error *error) {
    Onnx__TensorProto *tensor;
    SC_TRY(make_tensor(onnx, &tensor, value, error));
    SC_TRY(copy_text(onnx, &tensor->name, name, error));
    APPEND(onnx, &onnx->graph, initializer, tensor, error);
    return SC_OK;
}

/* ---- nodes ---- */

sc_status sc_onnx_add_node(sc_onnx *onnx, const char *op, const char *name, sc_error *error) {
    Onnx__NodeProto *node;
    NEW(onnx, node, Onnx__NodeProto, onnx__node_proto__init, error);
    SC_TRY(copy_text(onnx, &node->op_type, op, error));
    SC_TRY(copy_text(onnx, &node->name, name, error));
    APPEND(onnx, &onnx->graph, node, node, error);
    return SC_OK;
}

size_t sc_onnx_node_count(const sc_onnx *onnx) {
    return onnx->graph.n_node;
}

static Onnx__NodeProto *last_node(const sc_onnx *onnx) {
    return onnx->graph.node[onnx->graph.n_node - 1];
}

sc_status sc_onnx_node_input(sc_onnx *onnx, const char *value, sc_error *error) {
    char *text;
    SC_TRY(copy_text(onnx, &text, value, error));
    APPEND(onnx, last_node(onnx), input, text, error);
    return SC_OK;
}

sc_status sc_onnx_node_output(sc_onnx *onnx, const char *value, sc_error *error) {
    char *text;
    SC_TRY(copy_text(onnx, &text, value, error));
    APPEND(onnx, last_node(onnx), output, text, error);
    return SC_OK;
}

static sc_status add_attribute(sc_onnx *onnx, Onnx__AttributeProto **out, const char *name,
                               Onnx__AttributeProto__AttributeType type, sc_error *error) {
    NEW(onnx, *out, Onnx__AttributeProto, onnx__attribute_proto__init, error);
    SC_TRY(copy_text(onnx, &(*out)->name, name, error));
    (*out)->type = type;
    APPEND(onnx, last_node(onnx), attribute, *out, error);
    return SC_OK;
}

sc_status sc_onnx_node_int(sc_onnx *onnx, const char *name, int64_t value, sc_error *error) {
    Onnx__AttributeProto *attribute;
    SC_TRY(add_attribute(onnx, &attribute, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT, error));
    attribute->i = value;
    return SC_OK;
}

sc_status sc_onnx_node_float(sc_onnx *onnx, const char *name, double value, sc_error *error) {
    Onnx__AttributeProto *attribute;
    SC_TRY(add_attribute(onnx, &attribute, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT, error));
    attribute->f = (float)value;
    return SC_OK;
}

sc_status sc_onnx_node_string(sc_onnx *onnx, const char *name, const char *value, sc_error *error) {
    Onnx__AttributeProto *attribute;
    char *text;
    SC_TRY(add_attribute(onnx, &attribute, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING, error));
    SC_TRY(copy_text(onnx, &text, value, error));
    attribute->s = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)text};
    return SC_OK;
}

sc_status sc_onnx_node_tensor(sc_onnx *onnx, const char *name, const sc_tensor *value, sc_error *error) {
    Onnx__AttributeProto *attribute;
    SC_TRY(add_attribute(onnx, &attribute, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR, error));
    return make_tensor(onnx, &attribute->t, value, error);
}

sc_status sc_onnx_node_ints(sc_onnx *onnx, const char *name, const int64_t *values, size_t count, sc_error *error) {
    Onnx__AttributeProto *attribute;
    void *copy;
    SC_TRY(add_attribute(onnx, &attribute, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS, error));
    SC_TRY(copy_bytes(onnx, &copy, values, count, sizeof *values, error));
    attribute->ints = copy;
    attribute->n_ints = count;
    return SC_OK;
}

sc_status sc_onnx_node_floats(sc_onnx *onnx, const char *name, const float *values, size_t count, sc_error *error) {
    Onnx__AttributeProto *attribute;
    void *copy;
    SC_TRY(add_attribute(onnx, &attribute, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS, error));
    SC_TRY(copy_bytes(onnx, &copy, values, count, sizeof *values, error));
    attribute->floats = copy;
    attribute->n_floats = count;
    return SC_OK;
}

/* ---- writing ---- */

/* Where protobuf-c sends the bytes: small pieces are gathered, large ones go straight to the file. */
typedef struct stream {
    ProtobufCBuffer base;
    sc_atomic_file target;
    unsigned char *buffered;
    size_t used;
    sc_status status;
    sc_error *error;
} stream;

static void flush(stream *out) {
    if (out->status == SC_OK)
        out->status = sc_atomic_file_write(&out->target, out->buffered, out->used, out->error);
    out->used = 0;
}

static void append(ProtobufCBuffer *buffer, size_t length, const uint8_t *data) {
    stream *out = (stream *)buffer;
    if (length > BUFFER - out->used)
        flush(out);
    if (length <= BUFFER) {
        if (length > 0)
            memcpy(out->buffered + out->used, data, length);
        out->used += length;
        return;
    }
    if (out->status == SC_OK)
        out->status = sc_atomic_file_write(&out->target, data, length, out->error);
}

/* The messages around the tensors are counted only once it is known that these are not too large, so that no length
 * within the count can overflow. */
static sc_status check_size(const sc_onnx *onnx, const char *path, sc_error *error) {
    uint64_t bytes = onnx->bytes;
    if (bytes <= INT_MAX)
        bytes = onnx__model_proto__get_packed_size(&onnx->model);
    if (bytes > INT_MAX)
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "'%s': expected a model of at most %d bytes, the most that a protocol buffer holds, got "
                            "%" PRIu64,
                            path, INT_MAX, bytes);
    return SC_OK;
}

sc_status sc_onnx_write(const sc_onnx *onnx, const char *path, sc_error *error) {
    void *buffered;
    stream out = {.base = {.append = append}, .error = error};
    SC_TRY(check_size(onnx, path, error));
    SC_TRY(sc_memory_alloc(&buffered, BUFFER, 1, error));
    out.buffered = buffered;
    out.status = sc_atomic_file_open(&out.target, path, error);
    if (out.status == SC_OK) {
        onnx__model_proto__pack_to_buffer(&onnx->model, &out.base);
        flush(&out);
        if (out.status == SC_OK)
            out.status = sc_atomic_file_commit(&out.target, error);
        else
            sc_atomic_file_discard(&out.target);
    }
    sc_memory_free(buffered);
    return out.status;
}
