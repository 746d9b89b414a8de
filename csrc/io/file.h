/* Files read at offsets. Bytes go straight from the system's cache to where they are wanted: one copy, like a mapping,
 * but a file that another process cuts short meanwhile is an error here and not a SIGBUS. */
#ifndef SC_IO_FILE_H
#define SC_IO_FILE_H

#include "io/source.h"

#include <stdbool.h>

/* Zeroed = closed. */
typedef struct sc_file {
    char *path; /* owned; NULL when closed */
    int descriptor;
    uint64_t size; /* when it was opened */
} sc_file;

/* Opens a regular file for reading; anything else (directory, pipe, device) is refused, without waiting on it. */
sc_status sc_file_open(sc_file *out, const char *path, sc_error *error);

/* Nothing happens when it is closed. */
void sc_file_close(sc_file *file);

/* Exactly length bytes from offset; SC_ERROR_FORMAT when the file ends before. */
sc_status sc_file_read(const sc_file *file, uint64_t offset, void *out, size_t length, sc_error *error);

/* The same, large lengths on all threads: most of the time goes into the system's copying and its handing out of pages.
 * *crc (unless NULL) becomes the CRC-32 of what came before it in *crc and of these bytes; it begins as 0. Inside an
 * interrupt scope, Ctrl-C ends it. */
sc_status sc_file_read_large(const sc_file *file, uint64_t offset, void *out, size_t length, uint32_t *crc,
                             sc_error *error);

typedef struct sc_file_source {
    sc_source base;
    const sc_file *file;
    uint64_t offset;
    bool checked; /* whether crc is kept; set by the caller after sc_file_source_init */
    uint32_t crc; /* the CRC-32 of what was read */
} sc_file_source;

/* The bytes offset .. offset + length - 1 as a source; the file must stay open, and the range lie in it. */
void sc_file_source_init(sc_file_source *out, const sc_file *file, uint64_t offset, uint64_t length);

#endif
