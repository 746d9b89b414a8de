#include "io/npy.h"

#include "io/element.h"
#include "io/file_stream.h"
#include "io/zip_stream.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

enum { MAX_HEADER = 10000 }; /* the longest header that NumPy itself reads by default */

typedef struct npy_header {
    sc_element element;
    bool big_endian;
    bool fortran;
    sc_shape shape;
} npy_header;

/* The header is a Python dictionary literal; NumPy writes it, and this reads it, with plain strings, True and False,
 * and one tuple of whole numbers. */
typedef struct parser {
    const sc_byte_stream *stream;
    const char *next; /* zero-terminated */
    sc_error *error;
} parser;

static sc_status fail(const parser *in, const char *expected) {
    return sc_byte_stream_fail(in->stream, in->error, "header: expected %s, got '%.24s'", expected, in->next);
}

static void skip_space(parser *in) {
    while (*in->next == ' ' || *in->next == '\n')
        in->next++;
}

/* Steps over the character when it is next. */
static bool accept(parser *in, char wanted) {
    skip_space(in);
    if (*in->next != wanted)
        return false;
    in->next++;
    return true;
}

typedef struct word {
    const char *text;
    size_t length;
} word;

static bool word_is(word given, const char *wanted) {
    return given.length == strlen(wanted) && memcmp(given.text, wanted, given.length) == 0;
}

/* How much of it an error message shows. */
static int shown(word given) {
    return given.length < 40 ? (int)given.length : 40;
}

/* A quoted string without escapes. */
static sc_status parse_string(parser *in, word *out) {
    skip_space(in);
    char quote = *in->next;
    const char *end = quote == '\'' || quote == '"' ? strchr(in->next + 1, quote) : NULL;
    if (!end)
        return fail(in, "a quoted string");
    *out = (word){.text = in->next + 1, .length = (size_t)(end - in->next) - 1};
    in->next = end + 1;
    return SC_OK;
}

static sc_status parse_flag(parser *in, bool *flag) {
    skip_space(in);
    for (int value = 0; value < 2; value++) {
        const char *literal = value ? "True" : "False";
        if (strncmp(in->next, literal, strlen(literal)) == 0) {
            *flag = value;
            in->next += strlen(literal);
            return SC_OK;
        }
    }
    return fail(in, "True or False");
}

static sc_status parse_size(parser *in, size_t *size) {
    skip_space(in);
    if (*in->next < '0' || *in->next > '9')
        return fail(in, "a whole number");
    *size = 0;
    for (; *in->next >= '0' && *in->next <= '9'; in->next++) {
        size_t digit = (size_t)(*in->next - '0');
        if (*size > (SIZE_MAX - digit) / 10)
            return sc_byte_stream_fail(in->stream, in->error, "shape: too many elements");
        *size = *size * 10 + digit;
    }
    if (*in->next == 'L') /* as Python 2 wrote it */
        in->next++;
    return SC_OK;
}

static sc_status parse_shape(parser *in, sc_shape *shape) {
    size_t sizes[SC_MAX_DIMS];
    int ndim = 0;
    bool comma = true;
    sc_error reason;
    if (!accept(in, '('))
        return fail(in, "a tuple");
    while (!accept(in, ')')) {
        if (!comma)
            return fail(in, "',' or ')'");
        if (ndim == SC_MAX_DIMS)
            return sc_byte_stream_fail(in->stream, in->error, "shape: expected at most %d dimensions", SC_MAX_DIMS);
        SC_TRY(parse_size(in, &sizes[ndim++]));
        comma = accept(in, ',');
    }
    if (sc_shape_init(shape, ndim, sizes, &reason) != SC_OK)
        return sc_byte_stream_fail(in->stream, in->error, "%s", reason.message);
    return SC_OK;
}

static sc_status parse_descr(parser *in, npy_header *header) {
    static const struct {
        const char *name;
        sc_element element;
    } kinds[] = {
        {"b1", SC_ELEMENT_BOOL}, {"u1", SC_ELEMENT_U8},  {"i1", SC_ELEMENT_I8},  {"u2", SC_ELEMENT_U16},
        {"i2", SC_ELEMENT_I16},  {"u4", SC_ELEMENT_U32}, {"i4", SC_ELEMENT_I32}, {"u8", SC_ELEMENT_U64},
        {"i8", SC_ELEMENT_I64},  {"f2", SC_ELEMENT_F16}, {"f4", SC_ELEMENT_F32}, {"f8", SC_ELEMENT_F64},
    };
    word name = {0};
    skip_space(in);
    if (*in->next == '[')
        return sc_byte_stream_fail(in->stream, in->error, "descr: expected a plain element type, got a structured one");
    SC_TRY(parse_string(in, &name));
    if (name.length == 3 && strchr("<>|=", name.text[0]))
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
            if (memcmp(name.text + 1, kinds[i].name, 2) == 0) {
                header->element = kinds[i].element;
                header->big_endian = name.text[0] == '>';
                /* '|' says that the order of bytes does not matter */
                if (name.text[0] != '|' || sc_element_size(header->element) == 1)
                    return SC_OK;
            }
    return sc_byte_stream_fail(in->stream, in->error,
                               "descr: expected one of b1 u1 i1 u2 i2 u4 i4 u8 i8 f2 f4 f8, got '%.*s'", shown(name),
                               name.text);
}

static sc_status parse_header(parser *in, npy_header *header) {
    enum { DESCR = 1, FORTRAN = 2, SHAPE = 4 };
    unsigned seen = 0;
    bool comma = true;
    if (!accept(in, '{'))
        return fail(in, "'{'");
    while (!accept(in, '}')) {
        word key = {0};
        if (!comma)
            return fail(in, "',' or '}'");
        SC_TRY(parse_string(in, &key));
        if (!accept(in, ':'))
            return fail(in, "':'");
        unsigned field = word_is(key, "descr")           ? DESCR
                         : word_is(key, "fortran_order") ? FORTRAN
                         : word_is(key, "shape")         ? SHAPE
                                                         : 0;
        if (!field || (seen & field))
            return sc_byte_stream_fail(in->stream, in->error, "header: %s field '%.*s'", field ? "repeated" : "unknown",
                                       shown(key), key.text);
        seen |= field;
        if (field == DESCR)
            SC_TRY(parse_descr(in, header));
        else if (field == FORTRAN)
            SC_TRY(parse_flag(in, &header->fortran));
        else
            SC_TRY(parse_shape(in, &header->shape));
        comma = accept(in, ',');
    }
    skip_space(in);
    if (*in->next)
        return fail(in, "nothing after '}'");
    if (seen != (DESCR | FORTRAN | SHAPE))
        return sc_byte_stream_fail(in->stream, in->error, "header: missing field '%s'",
                                   !(seen & DESCR)     ? "descr"
                                   : !(seen & FORTRAN) ? "fortran_order"
                                                       : "shape");
    return SC_OK;
}

static sc_status read_header(npy_header *header, sc_byte_stream *stream, sc_error *error) {
    unsigned char start[12];
    char text[MAX_HEADER + 1];
    if (stream->left < 10)
        return sc_byte_stream_fail(stream, error, "not a .npy array: only %" PRIu64 " bytes", stream->left);
    SC_TRY(sc_byte_stream_read(stream, start, 10, error));
    if (memcmp(start, "\x93NUMPY", 6) != 0)
        return sc_byte_stream_fail(stream, error, "not a .npy array: wrong first bytes");
    if (start[6] < 1 || start[6] > 3 || start[7] != 0)
        return sc_byte_stream_fail(stream, error, "expected .npy version 1.0, 2.0 or 3.0, got %d.%d", start[6],
                                   start[7]);
    size_t length = (size_t)start[8] | (size_t)start[9] << 8;
    if (start[6] > 1) {
        SC_TRY(sc_byte_stream_read(stream, start + 10, 2, error));
        length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
    }
    if (length > MAX_HEADER)
        return sc_byte_stream_fail(stream, error, "header: expected at most %d bytes, got %zu", MAX_HEADER, length);
    SC_TRY(sc_byte_stream_read(stream, text, length, error));
    text[length] = '\0';
    if (strlen(text) != length)
        return sc_byte_stream_fail(stream, error, "header: contains zero bytes");
    return parse_header(&(parser){.stream = stream, .next = text, .error = error}, header);
}

/* Rearranges Fortran order (first index fastest) into row-major order. */
static sc_status reorder(sc_tensor *tensor, sc_error *error) {
    sc_tensor out = {0};
    const sc_shape *shape = &tensor->shape;
    size_t stride[SC_MAX_DIMS], index[SC_MAX_DIMS] = {0};
    SC_TRY(sc_tensor_create(&out, tensor->dtype, shape, error));
    size_t size = sc_dtype_size(tensor->dtype), numel = sc_tensor_numel(tensor), from = 0;
    const unsigned char *source = sc_tensor_data(tensor);
    unsigned char *target = sc_tensor_data(&out);
    for (int d = 0; d < shape->ndim; d++)
        stride[d] = d ? stride[d - 1] * shape->size[d - 1] : 1;
    for (size_t i = 0; i < numel; i++) {
        memcpy(target + i * size, source + from * size, size);
        for (int d = shape->ndim - 1; d >= 0; d--) {
            from += stride[d];
            if (++index[d] < shape->size[d])
                break;
            from -= stride[d] * shape->size[d];
            index[d] = 0;
        }
    }
    sc_tensor_release(tensor);
    *tensor = out;
    return SC_OK;
}

/* Element sizes times sc_shape_init's number of elements fit. */
static sc_status charge(sc_npy_budget *budget, const npy_header *header, const sc_byte_stream *stream,
                        sc_error *error) {
    uint64_t bytes = sc_shape_numel(&header->shape) * sc_dtype_size(sc_element_dtype(header->element));
    if (!budget)
        return SC_OK;
    if (bytes > budget->max_bytes - budget->used)
        return sc_byte_stream_fail(stream, error,
                                   "it unpacks to %" PRIu64 " bytes, %" PRIu64
                                   " with those before it: more than max_bytes = %" PRIu64,
                                   bytes, bytes + budget->used, budget->max_bytes);
    budget->used += bytes;
    return SC_OK;
}

sc_status sc_npy_read(sc_tensor *out, sc_byte_stream *stream, sc_npy_budget *budget, sc_error *error) {
    npy_header header = {0};
    SC_TRY(read_header(&header, stream, error));
    SC_TRY(charge(budget, &header, stream, error));
    SC_TRY(sc_element_read(out, stream, header.element, header.big_endian, &header.shape, error));
    if (!header.fortran || header.shape.ndim < 2)
        return SC_OK;
    sc_status status = reorder(out, error);
    if (status != SC_OK)
        sc_tensor_release(out);
    return status;
}

sc_status sc_npy_load(sc_tensor *out, const char *path, sc_error *error) {
    sc_file file;
    sc_file_stream stream;
    SC_TRY(sc_file_open(&file, path, error));
    sc_file_stream_init(&stream, &file, 0, file.size);
    sc_status status = sc_npy_read(out, &stream.base, NULL, error);
    sc_file_close(&file);
    return status;
}

sc_status sc_npy_load_entry(sc_tensor *out, const sc_zip *zip, const sc_zip_entry *entry, sc_npy_budget *budget,
                            sc_error *error) {
    sc_zip_stream stream;
    SC_TRY(sc_zip_stream_open(&stream, zip, entry, error));
    sc_status status = sc_npy_read(out, &stream.base, budget, error);
    if (status == SC_OK) {
        status = sc_zip_stream_check(&stream, error);
        if (status != SC_OK)
            sc_tensor_release(out);
    }
    sc_zip_stream_close(&stream);
    return status;
}
