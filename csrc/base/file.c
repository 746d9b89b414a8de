#define _XOPEN_SOURCE 700
#define _FILE_OFFSET_BITS 64
#include "base/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_READ = 1 << 30 }; /* bytes that one pread is asked for */

sc_status sc_file_error(const char *path, int number, sc_error *error) {
    char reason[128];
    if (strerror_r(number, reason, sizeof reason) != 0)
        snprintf(reason, sizeof reason, "system error %d", number);
    return sc_error_set(error, SC_ERROR_IO, "'%s': %s", path, reason);
}

static sc_status check_regular(const char *path, const struct stat *info, sc_error *error) {
    if (S_ISREG(info->st_mode))
        return SC_OK;
    return sc_error_set(error, SC_ERROR_IO, "'%s': expected a regular file, got %s", path,
                        S_ISDIR(info->st_mode) ? "a directory" : "a pipe or device");
}

/* Opens what is a regular file when it is looked at, and again when it is open. */
static sc_status open_regular(int *descriptor, struct stat *info, const char *path, sc_error *error) {
    *descriptor = -1;
    if (stat(path, info) != 0)
        return sc_file_error(path, errno, error);
    SC_TRY(check_regular(path, info, error));
    do /* O_NONBLOCK: another file may have taken its place, and opening a pipe would wait for who writes to it */
        *descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (*descriptor < 0 && errno == EINTR); /* a file system of a network waits, and a signal ends that */
    if (*descriptor < 0 || fstat(*descriptor, info) != 0)
        return sc_file_error(path, errno, error);
    return check_regular(path, info, error);
}

sc_status sc_file_open(sc_file *out, const char *path, sc_error *error) {
    struct stat info;
    void *copy = NULL;
    int descriptor;
    *out = (sc_file){0};
    sc_status status = open_regular(&descriptor, &info, path, error);
    if (status == SC_OK)
        status = sc_memory_alloc(&copy, strlen(path) + 1, 1, error);
    if (status != SC_OK) {
        if (descriptor >= 0)
            close(descriptor);
        return status;
    }
    out->path = strcpy(copy, path);
    out->descriptor = descriptor;
    out->size = (uint64_t)info.st_size;
    /* Unsigned, since a file may be said to be of the year 3000: other times still give other numbers. */
    out->modified = (int64_t)((uint64_t)info.st_mtim.tv_sec * 1000000000 + (uint64_t)info.st_mtim.tv_nsec);
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
        ssize_t count = pread(file->descriptor, next, length < MAX_READ ? length : MAX_READ, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return sc_file_error(file->path, errno, error);
        if (count == 0)
            return sc_error_set(error, SC_ERROR_FORMAT, "'%s': cut short: expected %zu more bytes at offset %" PRIu64,
                                file->path, length, offset);
        next += count;
        offset += (uint64_t)count;
        length -= (size_t)count;
    }
    return SC_OK;
}

sc_status sc_file_read_all(unsigned char **out, size_t *length, const char *path, size_t max_length, sc_error *error) {
    sc_file file;
    void *bytes = NULL;
    *out = NULL;
    *length = 0;
    SC_TRY(sc_file_open(&file, path, error));
    sc_status status = SC_OK;
    if (file.size > max_length)
        status = sc_error_set(error, SC_ERROR_FORMAT, "'%s': a file of %" PRIu64 " bytes, more than the %zu allowed",
                              path, file.size, max_length);
    if (status == SC_OK)
        status = sc_memory_alloc(&bytes, (size_t)file.size, 1, error);
    if (status == SC_OK)
        status = sc_file_read(&file, 0, bytes, (size_t)file.size, error);
    if (status != SC_OK) {
        sc_memory_free(bytes);
    } else {
        *out = bytes;
        *length = (size_t)file.size;
    }
    sc_file_close(&file);
    return status;
}

sc_status sc_file_real(char out[SC_FILE_REAL], const char *path, sc_error *error) {
    _Static_assert(SC_FILE_REAL >= PATH_MAX, "realpath writes as much");
    return realpath(path, out) ? SC_OK : sc_file_error(path, errno, error);
}
