#include "io/npz.h"

#include "base/atomic_file.h"
#include "base/memory.h"
#include "base/size.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

/* The layout is that of PKWARE's APPNOTE.TXT, 4.3. Sizes and offsets always stand in zip64's fields, as NumPy writes
 * them, so that no length is a special case. */
enum {
    LOCAL = 30, /* of an entry's local header, without name and extra field */
    LOCAL_EXTRA = 20,
    CENTRAL = 46,
    CENTRAL_EXTRA = 28,
    END64 = 56,
    LOCATOR = 20,
    END = 22,
    VERSION = 45,     /* the first with zip64 */
    UTF8 = 1 << 11,   /* flag: the name is UTF-8 */
    MIDNIGHT = 0,     /* and the first day that can be said, whatever day it is */
    NEW_YEAR = 0x21,  /* 1980-01-01 */
    HEADER = 1 << 10, /* more than any array's header */
    NPY_START = 10,   /* magic, version, length */
    NPY_ALIGNMENT = 64,
};

static const char suffix[] = ".npy";

typedef struct entry {
    const char *name;
    const sc_tensor *tensor;
    char header[HEADER]; /* of the array */
    size_t header_length;
    uint64_t size, offset;
    uint32_t crc;
} entry;

/* Where the next number goes. */
typedef struct writer {
    unsigned char *next;
} writer;

static void put(writer *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        *to->next++ = (unsigned char)(value >> 8 * i & 0xff);
}

static const char *descr(sc_dtype dtype) {
    return dtype == SC_UINT8 ? "|u1" : dtype == SC_INT64 ? "<i8" : sizeof(sc_real) == 8 ? "<f8" : "<f4";
}

/* The dictionary literal that NumPy's own writer makes, padded so that the numbers are aligned. */
static void make_header(entry *out) {
    const sc_shape *shape = &out->tensor->shape;
    char sizes[SC_MAX_DIMS * 24] = "";
    size_t used = 0;
    for (int d = 0; d < shape->ndim; d++)
        used += (size_t)snprintf(sizes + used, sizeof sizes - used, d ? ", %zu" : "%zu", shape->size[d]);
    int length = snprintf(out->header + NPY_START, HEADER - NPY_START,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }", descr(out->tensor->dtype),
                          sizes, shape->ndim == 1 ? "," : "");
    size_t end = NPY_START + (size_t)length + 1, padding = (NPY_ALIGNMENT - end % NPY_ALIGNMENT) % NPY_ALIGNMENT;
    memset(out->header + NPY_START + length, ' ', padding);
    out->header_length = end + padding;
    out->header[out->header_length - 1] = '\n';
    memcpy(out->header, "\x93NUMPY\1\0", 8);
    out->header[8] = (char)((out->header_length - NPY_START) & 0xff);
    out->header[9] = (char)((out->header_length - NPY_START) >> 8);
}

static size_t data_bytes(const sc_tensor *tensor) {
    return sc_tensor_numel(tensor) * sc_dtype_size(tensor->dtype);
}

static void describe(entry *out, const char *name, const sc_tensor *tensor, uint64_t offset) {
    *out = (entry){.name = name, .tensor = tensor, .offset = offset};
    make_header(out);
    size_t bytes = data_bytes(tensor);
    uLong crc = crc32_z(crc32_z(0, NULL, 0), (const unsigned char *)out->header, out->header_length);
    out->crc = (uint32_t)(bytes > 0 ? crc32_z(crc, sc_tensor_data(tensor), bytes) : crc);
    out->size = out->header_length + bytes;
}

static size_t name_length(const entry *from) {
    return strlen(from->name) + strlen(suffix);
}

/* What a local header and the directory have in common. */
static void put_common(writer *to, const entry *from, int extra) {
    put(to, VERSION, 2);
    put(to, UTF8, 2);
    put(to, 0, 2); /* stored */
    put(to, MIDNIGHT, 2);
    put(to, NEW_YEAR, 2);
    put(to, from->crc, 4);
    put(to, 0xffffffff, 4); /* see zip64's field */
    put(to, 0xffffffff, 4);
    put(to, name_length(from), 2);
    put(to, (uint64_t)extra, 2);
}

static sc_status write_name(sc_atomic_file *target, const entry *from, sc_error *error) {
    SC_TRY(sc_atomic_file_write(target, from->name, strlen(from->name), error));
    return sc_atomic_file_write(target, suffix, strlen(suffix), error);
}

static sc_status write_entry(sc_atomic_file *target, const entry *from, sc_error *error) {
    unsigned char local[LOCAL], extra[LOCAL_EXTRA];
    writer to = {local};
    put(&to, 0x04034b50, 4);
    put_common(&to, from, LOCAL_EXTRA);
    SC_TRY(sc_atomic_file_write(target, local, sizeof local, error));
    SC_TRY(write_name(target, from, error));
    to.next = extra;
    put(&to, 1, 2);
    put(&to, LOCAL_EXTRA - 4, 2);
    put(&to, from->size, 8);
    put(&to, from->size, 8);
    SC_TRY(sc_atomic_file_write(target, extra, sizeof extra, error));
    SC_TRY(sc_atomic_file_write(target, from->header, from->header_length, error));
    return sc_atomic_file_write(target, sc_tensor_data(from->tensor), data_bytes(from->tensor), error);
}

static sc_status write_central(sc_atomic_file *target, const entry *from, sc_error *error) {
    unsigned char central[CENTRAL] = {0}, extra[CENTRAL_EXTRA];
    writer to = {central};
    put(&to, 0x02014b50, 4);
    put(&to, VERSION, 2);
    put_common(&to, from, CENTRAL_EXTRA);
    to.next = central + CENTRAL - 4; /* no comment, first disk, no attributes */
    put(&to, 0xffffffff, 4);
    SC_TRY(sc_atomic_file_write(target, central, sizeof central, error));
    SC_TRY(write_name(target, from, error));
    to.next = extra;
    put(&to, 1, 2);
    put(&to, CENTRAL_EXTRA - 4, 2);
    put(&to, from->size, 8);
    put(&to, from->size, 8);
    put(&to, from->offset, 8);
    return sc_atomic_file_write(target, extra, sizeof extra, error);
}

/* The three records at the end: zip64's, where it is, and the old one, which says to look there. */
static sc_status write_end(sc_atomic_file *target, uint64_t offset, uint64_t size, uint64_t count, sc_error *error) {
    unsigned char end[END64 + LOCATOR + END];
    writer to = {end};
    put(&to, 0x06064b50, 4);
    put(&to, END64 - 12, 8);
    put(&to, VERSION, 2);
    put(&to, VERSION, 2);
    put(&to, 0, 8); /* disks */
    put(&to, count, 8);
    put(&to, count, 8);
    put(&to, size, 8);
    put(&to, offset, 8);
    put(&to, 0x07064b50, 4);
    put(&to, 0, 4);
    put(&to, offset + size, 8);
    put(&to, 1, 4);
    put(&to, 0x06054b50, 4);
    put(&to, 0, 4);
    put(&to, 0xffffffff, 4); /* entries on this disk, and in all */
    put(&to, 0xffffffff, 4);
    put(&to, 0xffffffff, 4);
    put(&to, 0, 2);
    return sc_atomic_file_write(target, end, sizeof end, error);
}

static sc_status write_all(sc_atomic_file *target, entry *entries, const char *const *names,
                           const sc_tensor *const *tensors, size_t count, sc_error *error) {
    uint64_t offset = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        describe(&entries[i], names[i], tensors[i], offset);
        SC_TRY(write_entry(target, &entries[i], error));
        offset += LOCAL + name_length(&entries[i]) + LOCAL_EXTRA + entries[i].size;
    }
    for (size_t i = 0; i < count; i++) {
        SC_TRY(write_central(target, &entries[i], error));
        size += CENTRAL + name_length(&entries[i]) + CENTRAL_EXTRA;
    }
    return write_end(target, offset, size, count, error);
}

sc_status sc_npz_write(const char *path, const char *const *names, const sc_tensor *const *tensors, size_t count,
                       sc_error *error) {
    sc_atomic_file target;
    void *entries;
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) > 65535 - strlen(suffix))
            return sc_error_set(error, SC_ERROR_ARGUMENT, "'%s': a name of %zu bytes", path, strlen(names[i]));
    SC_TRY(sc_memory_alloc(&entries, count, sizeof(entry), error));
    sc_status status = sc_atomic_file_open(&target, path, error);
    if (status != SC_OK) {
        sc_memory_free(entries);
        return status;
    }
    status = write_all(&target, entries, names, tensors, count, error);
    sc_memory_free(entries);
    if (status == SC_OK)
        return sc_atomic_file_commit(&target, error);
    sc_atomic_file_discard(&target);
    return status;
}
