#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "io/file.h"

#include "base/interrupt.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    CHUNK = 1 << 30,  /* the most that one pread is asked for */
    BLOCK = 1 << 20,  /* what a thread reads at a time: still in its cache when it is summed up */
    LARGE = 32 << 20, /* what is worth a second thread, even where a busy machine makes them wait for one another */
};

sc_status sc_file_open(sc_file *out, const char *path, sc_error *error) {
    struct stat info;
    *out = (sc_file){0};
    /* O_NONBLOCK: opening a pipe that nobody writes to would wait for ever */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0 || fstat(descriptor, &info) != 0) {
        int reason = errno;
        if (descriptor >= 0)
            close(descriptor);
        return sc_error_set(error, SC_ERROR_IO, "'%s': %s", path, strerror(reason));
    }
    void *copy = NULL;
    sc_status status = SC_OK;
    if (!S_ISREG(info.st_mode))
        status = sc_error_set(error, SC_ERROR_IO, "'%s': expected a regular file, got %s", path,
                              S_ISDIR(info.st_mode) ? "a directory" : "a pipe or device");
    if (status == SC_OK)
        status = sc_memory_alloc(&copy, strlen(path) + 1, 1, error);
    if (status != SC_OK) {
        close(descriptor);
        return status;
    }
    out->path = strcpy(copy, path);
    out->descriptor = descriptor;
    out->size = (uint64_t)info.st_size;
    return SC_OK;
}

void sc_file_close(sc_file *file) {
    if (!file->path)
        return;
    close(file->descriptor);
    sc_memory_free(file->path);
    *file = (sc_file){0};
}

sc_status sc_file_read(const sc_file *file, uint64_t offset, void *out, size_t length, sc_error *error) {
    unsigned char *next = out;
    while (length > 0) {
        ssize_t count = pread(file->descriptor, next, length < CHUNK ? length : CHUNK, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return sc_error_set(error, SC_ERROR_IO, "'%s': %s", file->path, strerror(errno));
        if (count == 0)
            return sc_error_set(error, SC_ERROR_FORMAT, "'%s': cut short: expected %zu more bytes at offset %" PRIu64,
                                file->path, length, offset);
        next += count;
        offset += (uint64_t)count;
        length -= (size_t)count;
    }
    return SC_OK;
}

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
#pragma omp critical(sc_file_failure)
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

sc_status sc_file_read_large(const sc_file *file, uint64_t offset, void *out, size_t length, uint32_t *crc,
                             sc_error *error) {
    unsigned char *bytes = out;
    if (length >= LARGE)
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

static sc_status read_from_file(sc_source *self, void *out, size_t length, sc_error *error) {
    sc_file_source *source = (sc_file_source *)self; /* base is its first member */
    SC_TRY(sc_file_read_large(source->file, source->offset, out, length, source->checked ? &source->crc : NULL, error));
    source->offset += length;
    return SC_OK;
}

void sc_file_source_init(sc_file_source *out, const sc_file *file, uint64_t offset, uint64_t length) {
    out->base.read = read_from_file;
    out->base.left = length;
    snprintf(out->base.label, sizeof out->base.label, "'%s'", file->path);
    out->file = file;
    out->offset = offset;
    out->checked = false;
    out->crc = 0;
}
