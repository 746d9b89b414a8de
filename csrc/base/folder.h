/* The names in a folder, read whole: a disk that fails half-way is an error, and no shorter list. */
#ifndef SC_BASE_FOLDER_H
#define SC_BASE_FOLDER_H

#include "base/status.h"

#include <stddef.h>

/* Zeroed = none. */
typedef struct sc_folder {
    char *names; /* owned: each with its zero byte, one behind the other, in the order of the file system */
    size_t length, capacity;
} sc_folder;

/* All names in a folder but "." and "..". */
sc_status sc_folder_read(sc_folder *out, const char *path, sc_error *error);

/* Nothing happens when there are none. */
void sc_folder_release(sc_folder *folder);

#endif
