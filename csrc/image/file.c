#define _POSIX_C_SOURCE 200809L
#include "image/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* strerror is not safe among threads. */
static sc_status system_error(const char *path, int number, sc_error *error) {
    char reason[128];
    if (strerror_r(number, reason, sizeof reason) != 0)
        snprintf(reason, sizeof reason, "system error %d", number);
    return sc_error_set(error, SC_ERROR_IO, "%s: %s", path, reason);
}

sc_status sc_image_file_open(FILE **out, size_t *length, const char *path, sc_error *error) {
    struct stat entry;
    *out = NULL;
    int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return system_error(path, errno, error);
    if (fstat(descriptor, &entry) != 0) {
        int number = errno;
        close(descriptor);
        return system_error(path, number, error);
    }
    if (!S_ISREG(entry.st_mode)) {
        close(descriptor);
        return sc_error_set(error, SC_ERROR_IO, "%s: not a regular file", path);
    }
    *out = fdopen(descriptor, "rb");
    if (!*out) {
        int number = errno;
        close(descriptor);
        return system_error(path, number, error);
    }
    if (length)
        *length = entry.st_size > 0 ? (size_t)entry.st_size : 0;
    return SC_OK;
}

sc_status sc_image_file_read(unsigned char **out, size_t *length, const char *path, size_t limit, sc_error *error) {
    FILE *file;
    void *bytes = NULL;
    *out = NULL;
    SC_TRY(sc_image_file_open(&file, length, path, error));
    sc_status status = SC_OK;
    if (*length > limit)
        status = sc_error_set(error, SC_ERROR_FORMAT, "%s: a file of %zu bytes, more than the %zu allowed", path,
                              *length, limit);
    if (status == SC_OK)
        status = sc_memory_alloc(&bytes, *length, 1, error);
    if (status == SC_OK && fread(bytes, 1, *length, file) != *length)
        status = sc_error_set(error, SC_ERROR_IO, "%s: could not be read to its end", path);
    fclose(file);
    if (status != SC_OK)
        sc_memory_free(bytes);
    else
        *out = bytes;
    return status;
}
