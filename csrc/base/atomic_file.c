#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "base/atomic_file.h"

#include "base/file.h"
#include "base/file_limit.h"
#include "base/interrupt.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_WRITE = 1 << 24, /* bytes that one write is asked for, and that are written between two looks at Ctrl-C */
    SUFFIX = 32,         /* bytes for ".<slot>.tmp" */
    SLOTS = 16,          /* how many processes may write to one name at a time */
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

/* The file as it was opened is what the name stands for. */
static bool is_at(int descriptor, const char *name) {
    struct stat opened, named;
    return fstat(descriptor, &opened) == 0 && lstat(name, &named) == 0 && S_ISREG(opened.st_mode) &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* Removes a temporary file whose writer was killed. Who writes holds a lock on the file until it has its final name,
 * and the system drops the locks of whoever ends: unlike a process's number, this holds among machines that share a
 * disk. A link or a pipe that somebody put there is neither followed nor waited on. */
static void remove_leftover(const char *name) {
    enum { FLAGS = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };
    int descriptor = open(name, O_WRONLY | FLAGS);
    if (descriptor < 0 && errno == EACCES)
        descriptor = open(name, O_RDONLY | FLAGS); /* it was to replace a file that may only be read */
    if (descriptor < 0)
        return;
    /* looked at under the lock: the name may have passed to another writer meanwhile */
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0 && is_at(descriptor, name))
        unlink(name);
    close(descriptor);
}

/* A new file of this name that is locked, or -1. */
static int create_locked(const char *name, mode_t mode) {
    int descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (descriptor < 0)
        return -1;
    /* between the two calls another process may have taken it for a leftover; a file system without locks has no such
     * processes */
    bool lost = flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (!lost && is_at(descriptor, name))
        return descriptor;
    close(descriptor);
    errno = EEXIST;
    return -1;
}

/* Opens a file that was not there before, and removes those beside it that were left behind. */
static sc_status open_temporary(sc_atomic_file *file, mode_t mode, sc_error *error) {
    void *name, *candidate;
    size_t length = strlen(file->path) + SUFFIX;
    int reason = EEXIST;
    SC_TRY(sc_memory_alloc(&candidate, length, 1, error));
    sc_status status = sc_memory_alloc(&name, length, 1, error);
    if (status != SC_OK)
        name = NULL;
    for (int slot = 0; slot < SLOTS && status == SC_OK; slot++) {
        snprintf(candidate, length, "%s.%d.tmp", file->path, slot);
        remove_leftover(candidate);
        if (file->descriptor >= 0 || reason != EEXIST)
            continue;
        file->descriptor = create_locked(candidate, mode);
        reason = file->descriptor < 0 ? errno : 0;
        if (!reason)
            memcpy(name, candidate, length);
    }
    sc_memory_free(candidate);
    if (file->descriptor >= 0) {
        file->temporary = name;
        return SC_OK;
    }
    sc_memory_free(name);
    if (status != SC_OK)
        return status;
    if (reason != EEXIST)
        return fail(file, reason, error);
    return sc_error_set(error, SC_ERROR_IO,
                        "'%s': its %d temporary files ('%s.0.tmp' and so on) are all in use, or left behind where the "
                        "file system has no locks: remove them",
                        file->path, SLOTS, file->path);
}

sc_status sc_atomic_file_open(sc_atomic_file *out, const char *path, sc_error *error) {
    struct stat target, own;
    void *copy;
    *out = (sc_atomic_file){.descriptor = -1};
    /* renaming over /dev/null would remove it for everybody; so would it a link to it */
    if (stat(path, &target) == 0 && !S_ISREG(target.st_mode))
        return sc_error_set(error, SC_ERROR_IO, "'%s': expected a regular file to replace, got %s", path,
                            S_ISDIR(target.st_mode) ? "a directory" : "a pipe or device");
    /* a link is replaced itself, and what it points to says nothing of the new file */
    bool replaces = lstat(path, &own) == 0 && S_ISREG(own.st_mode);
    SC_TRY(sc_memory_alloc(&copy, strlen(path) + 1, 1, error));
    out->path = strcpy(copy, path);
    sc_status status = open_temporary(out, replaces ? 0600 : 0666, error);
    if (status == SC_OK && replaces && fchmod(out->descriptor, own.st_mode & 0777) != 0)
        status = fail(out, errno, error); /* what was private stays private */
    if (status != SC_OK)
        sc_atomic_file_discard(out);
    return status;
}

/* write(2) with an error, and no signal, beyond the limit on the size of files. */
static ssize_t write_some(int descriptor, const void *bytes, size_t length) {
    sc_file_limit limit;
    sc_file_limit_begin(&limit);
    ssize_t count = write(descriptor, bytes, length);
    sc_file_limit_end(&limit);
    if (count == 0)
        errno = EIO; /* no file does that, and asking again would not end */
    return count;
}

sc_status sc_atomic_file_write(sc_atomic_file *file, const void *bytes, size_t length, sc_error *error) {
    const unsigned char *next = bytes;
    while (length > 0) {
        SC_TRY(sc_interrupt_check(error));
        ssize_t count = write_some(file->descriptor, next, length < MAX_WRITE ? length : MAX_WRITE);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
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
    int reason = 0;
    while (!reason && fsync(file->descriptor) != 0)
        reason = errno == EINTR ? 0 : errno;
    /* renamed while it is open, and so locked; what closing could report, fsync has */
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
