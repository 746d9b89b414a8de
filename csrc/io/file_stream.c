#include "io/file_stream.h"

#include "base/interrupt.h"
#include "base/memory.h"

#include <stdio.h>
#include <zlib.h>

enum {
    BLOCK = 1 << 20, /* what a thread reads at a time: still in its cache when it is summed up */
    PARALLEL_MIN =
        32 << 20, /* what is worth a second thread, even where a busy machine makes them wait for one another */
};

/* Reads all blocks; parts[i] becomes the sum of the i-th alone, where sums are wanted. */
static sc_status read_blocks(const sc_file *file, uint64_t offset, unsigned char *out, size_t length, uint32_t *parts,
                             sc_error *error) {
    sc_status status = SC_OK;
    size_t blocks = length / BLOCK + (length % BLOCK != 0);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < blocks; i++) {
        size_t done = i * BLOCK, count = length - done < BLOCK ? length - done : BLOCK;
        sc_error reason = {0};
        sc_status result = sc_interrupt_check(&reason);
        if (result == SC_OK)
            result = sc_file_read(file, offset + done, out + done, count, &reason);
        if (parts && result == SC_OK)
            parts[i] = (uint32_t)crc32_z(crc32_z(0, NULL, 0), out + done, count);
        if (result != SC_OK)
#pragma omp critical(sc_file_stream_failure)
            status = sc_error_set(error, result, "%s", reason.message);
    }
    return status;
}

static sc_status read_in_parallel(const sc_file *file, uint64_t offset, void *out, size_t length, uint32_t *crc,
                                  sc_error *error) {
    void *parts = NULL;
    if (!crc)
        return read_blocks(file, offset, out, length, NULL, error);
    SC_TRY(sc_memory_alloc(&parts, length / BLOCK + 1, sizeof *crc, error));
    sc_status status = read_blocks(file, offset, out, length, parts, error);
    for (size_t done = 0; done < length && status == SC_OK; done += BLOCK)
        *crc = (uint32_t)crc32_combine(*crc, ((uint32_t *)parts)[done / BLOCK],
                                       (z_off_t)(length - done < BLOCK ? length - done : BLOCK));
    sc_memory_free(parts);
    return status;
}

sc_status sc_file_read_parallel(const sc_file *file, uint64_t offset, void *out, size_t length, uint32_t *crc,
                                sc_error *error) {
    unsigned char *bytes = out;
    if (length >= PARALLEL_MIN)
        return read_in_parallel(file, offset, out, length, crc, error);
    for (size_t done = 0, count; done < length; done += count) {
        count = length - done < BLOCK ? length - done : BLOCK;
        SC_TRY(sc_interrupt_check(error));
        SC_TRY(sc_file_read(file, offset + done, bytes + done, count, error));
        if (crc)
            *crc = (uint32_t)crc32_z(*crc, bytes + done, count);
    }
    return SC_OK;
}

static sc_status read_from_file(sc_byte_stream *self, void *out, size_t length, sc_error *error) {
    sc_file_stream *stream = (sc_file_stream *)self; /* base is its first member */
    SC_TRY(
        sc_file_read_parallel(stream->file, stream->offset, out, length, stream->checked ? &stream->crc : NULL, error));
    stream->offset += length;
    return SC_OK;
}

void sc_file_stream_init(sc_file_stream *out, const sc_file *file, uint64_t offset, uint64_t length) {
    out->base.read = read_from_file;
    out->base.left = length;
    snprintf(out->base.label, sizeof out->base.label, "'%s'", file->path);
    out->file = file;
    out->offset = offset;
    out->checked = false;
    out->crc = 0;
}
