/* Regular files read at offsets. Bytes go straight from the system's cache to where they are wanted: one copy, like a
 * mapping, but a file that another process cuts short meanwhile is an error here and not a SIGBUS. Messages begin with
 * the path in quotes. */
#ifndef SC_BASE_FILE_H
#define SC_BASE_FILE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Zeroed = closed. */
typedef struct sc_file {
    char *path; /* owned; NULL when closed */
    int descriptor;
    uint64_t size;    /* when it was opened */
    int64_t modified; /* time of its last change when it was opened, nanoseconds since 1970 */
} sc_file;

/* Opens a regular file for reading; anything else (directory, pipe, device) is refused, without opening it: that may
 * wait, or do something (a tape rewinds). */
sc_status sc_file_open(sc_file *out, const char *path, sc_error *error);

/* Nothing happens when it is closed. */
void sc_file_close(sc_file *file);

/* Exactly length bytes from offset; SC_ERROR_FORMAT when the file ends before. Threads may share the file. */
sc_status sc_file_read(const sc_file *file, uint64_t offset, void *out, size_t length, sc_error *error);

/* All bytes of the file at a path; sc_memory_free gives them back. A file of more than max_length bytes is
 * SC_ERROR_FORMAT. */
sc_status sc_file_read_all(unsigned char **out, size_t *length, const char *path, size_t max_length, sc_error *error);

/* Bytes of a path without links, with its zero byte. */
#define SC_FILE_REAL 4096

/* The path without links, "." and ".."; SC_ERROR_IO where there is nothing. */
sc_status sc_file_real(char out[SC_FILE_REAL], const char *path, sc_error *error);

/* "'path': what the system says of this errno"; returns SC_ERROR_IO. Safe among threads, as strerror is not. */
sc_status sc_file_error(const char *path, int number, sc_error *error);

#endif
