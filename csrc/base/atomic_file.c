#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "base/atomic_file.h"

#include "base/file.h"
#include "base/interrupt.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_WRITE = 1 << 24, /* bytes that one write is asked for, and that are written between two looks at Ctrl-C */
    SUFFIX = 48,         /* bytes for ".<pid>-<attempt>.tmp" */
    ATTEMPTS = 100,      /* leftovers of killed processes to step over */
};

static void close_and_free(sc_atomic_file *file) {
    if (file->temporary && file->descriptor >= 0)
        close(file->descriptor);
    sc_memory_free(file->path);
    sc_memory_free(file->temporary);
    *file = (sc_atomic_file){0};
}

void sc_atomic_file_discard(sc_atomic_file *file) {
    if (file->temporary)
        unlink(file->temporary);
    close_and_free(file);
}

/* The message names the target, not the temporary file. */
static sc_status fail(const sc_atomic_file *file, int number, sc_error *error) {
    return sc_file_error(file->path, number, error);
}

/* Opens a file that was not there before. */
static sc_status open_temporary(sc_atomic_file *file, sc_error *error) {
    void *name;
    size_t length = strlen(file->path) + SUFFIX;
    SC_TRY(sc_memory_alloc(&name, length, 1, error));
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        snprintf(name, length, "%s.%ld-%d.tmp", file->path, (long)getpid(), attempt);
        file->descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->descriptor >= 0) {
            file->temporary = name;
            return SC_OK;
        }
        if (errno != EEXIST)
            break;
    }
    int reason = errno;
    sc_memory_free(name);
    return fail(file, reason, error);
}

sc_status sc_atomic_file_open(sc_atomic_file *out, const char *path, sc_error *error) {
    struct stat info;
    void *copy;
    *out = (sc_atomic_file){.descriptor = -1};
    bool exists = stat(path, &info) == 0;
    /* renaming over /dev/null would remove it for everybody */
    if (exists && !S_ISREG(info.st_mode))
        return sc_error_set(error, SC_ERROR_IO, "'%s': expected a regular file to replace, got %s", path,
                            S_ISDIR(info.st_mode) ? "a directory" : "a pipe or device");
    SC_TRY(sc_memory_alloc(&copy, strlen(path) + 1, 1, error));
    out->path = strcpy(copy, path);
    sc_status status = open_temporary(out, error);
    if (status == SC_OK && exists && fchmod(out->descriptor, info.st_mode & 0777) != 0)
        status = fail(out, errno, error); /* what was private stays private */
    if (status != SC_OK)
        sc_atomic_file_discard(out);
    return status;
}

sc_status sc_atomic_file_write(sc_atomic_file *file, const void *bytes, size_t length, sc_error *error) {
    const unsigned char *next = bytes;
    while (length > 0) {
        SC_TRY(sc_interrupt_check(error));
        ssize_t count = write(file->descriptor, next, length < MAX_WRITE ? length : MAX_WRITE);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail(file, errno, error);
        next += count;
        length -= (size_t)count;
    }
    return SC_OK;
}

/* Makes the rename itself last through a power cut; a file system that cannot is left at that. */
static void sync_directory(char *path) {
    char *slash = strrchr(path, '/');
    if (slash)
        slash[slash == path ? 1 : 0] = '\0';
    int directory = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        fsync(directory);
        close(directory);
    }
}

sc_status sc_atomic_file_commit(sc_atomic_file *file, sc_error *error) {
    int reason = fsync(file->descriptor) != 0 ? errno : 0;
    if (close(file->descriptor) != 0 && !reason)
        reason = errno;
    file->descriptor = -1;
    if (!reason && rename(file->temporary, file->path) != 0)
        reason = errno;
    if (reason) {
        sc_status status = fail(file, reason, error);
        sc_atomic_file_discard(file);
        return status;
    }
    sync_directory(file->path);
    close_and_free(file);
    return SC_OK;
}
