/* Files written whole or not at all: the bytes go to a temporary file beside the target, which takes the target's place
 * only when everything is on disk. A crash, a full disk or an error leaves the old file as it was. */
#ifndef SC_IO_REPLACE_H
#define SC_IO_REPLACE_H

#include "base/status.h"

#include <stddef.h>

/* Zeroed = nothing under way. */
typedef struct sc_replace {
    char *path;      /* owned */
    char *temporary; /* owned */
    int descriptor;
} sc_replace;

/* Starts; a path that exists and is not a regular file (directory, device) is refused. A file that is replaced keeps
 * its permissions. */
sc_status sc_replace_begin(sc_replace *out, const char *path, sc_error *error);

/* Appends to the new file. Inside an interrupt scope, Ctrl-C ends it. */
sc_status sc_replace_write(sc_replace *replace, const void *bytes, size_t length, sc_error *error);

/* Flushes to disk and puts the new file in place. Ends the replacement, whatever it returns. */
sc_status sc_replace_commit(sc_replace *replace, sc_error *error);

/* Removes the temporary file. Nothing happens when nothing is under way. */
void sc_replace_abandon(sc_replace *replace);

#endif
