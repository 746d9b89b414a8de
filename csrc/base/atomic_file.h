/* Files written whole or not at all: the bytes go to a temporary file beside the target, which takes the target's place
 * only when everything is on disk. A crash, a full disk or an error leaves the old file as it was; what a killed
 * process leaves beside it, the next writer to the same name removes. */
#ifndef SC_BASE_ATOMIC_FILE_H
#define SC_BASE_ATOMIC_FILE_H

#include "base/status.h"

#include <stddef.h>

/* A file while it is written. Zeroed = none. */
typedef struct sc_atomic_file {
    char *path;      /* owned */
    char *temporary; /* owned */
    int descriptor;
} sc_atomic_file;

/* Starts; a path that exists and is not a regular file (directory, device) is refused. A file that is replaced keeps
 * its permissions; a link is replaced and not followed. */
sc_status sc_atomic_file_open(sc_atomic_file *out, const char *path, sc_error *error);

/* Appends to the new file. Inside an interrupt scope, Ctrl-C ends it. A limit on the size of files is an error, and no
 * signal. */
sc_status sc_atomic_file_write(sc_atomic_file *file, const void *bytes, size_t length, sc_error *error);

/* Flushes to disk and puts the new file in place. The file is closed then, whatever this returns. */
sc_status sc_atomic_file_commit(sc_atomic_file *file, sc_error *error);

/* Removes the temporary file. Nothing happens when none is open. */
void sc_atomic_file_discard(sc_atomic_file *file);

#endif
