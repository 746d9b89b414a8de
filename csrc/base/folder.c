#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "base/folder.h"

#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static sc_status append(sc_folder *folder, const char *name, sc_error *error) {
    size_t length = strlen(name) + 1;
    if (folder->capacity - folder->length < length) {
        void *grown;
        size_t capacity = 2 * folder->capacity + length + 4096;
        SC_TRY(sc_memory_alloc(&grown, capacity, 1, error));
        if (folder->length > 0)
            memcpy(grown, folder->names, folder->length);
        sc_memory_free(folder->names);
        folder->names = grown;
        folder->capacity = capacity;
    }
    memcpy(folder->names + folder->length, name, length);
    folder->length += length;
    return SC_OK;
}

sc_status sc_folder_read(sc_folder *out, const char *path, sc_error *error) {
    sc_status status = SC_OK;
    DIR *directory;
    *out = (sc_folder){0};
    do
        directory = opendir(path);
    while (!directory && errno == EINTR);
    if (!directory)
        return sc_file_error(path, errno, error);
    while (status == SC_OK) {
        errno = 0; /* only it tells a failure from the end */
        const struct dirent *entry = readdir(directory);
        if (!entry && errno != 0)
            status = sc_file_error(path, errno, error);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = append(out, entry->d_name, error);
    }
    closedir(directory);
    if (status != SC_OK)
        sc_folder_release(out);
    return status;
}

void sc_folder_release(sc_folder *folder) {
    sc_memory_free(folder->names);
    *folder = (sc_folder){0};
}
