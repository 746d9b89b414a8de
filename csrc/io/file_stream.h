/* Files as byte streams, and large parts of them read on all threads. */
#ifndef SC_IO_FILE_STREAM_H
#define SC_IO_FILE_STREAM_H

#include "base/file.h"
#include "io/byte_stream.h"

#include <stdbool.h>

/* As sc_file_read, large lengths on all threads: most of the time goes into the system's copying and its handing out of
 * pages. *crc (unless NULL) becomes the CRC-32 of what came before it in *crc and of these bytes; it begins as 0.
 * Inside an interrupt scope, Ctrl-C ends it. */
sc_status sc_file_read_parallel(const sc_file *file, uint64_t offset, void *out, size_t length, uint32_t *crc,
                                sc_error *error);

typedef struct sc_file_stream {
    sc_byte_stream base;
    const sc_file *file;
    uint64_t offset;
    bool checked; /* whether crc is kept; set by the caller after sc_file_stream_init */
    uint32_t crc; /* the CRC-32 of what was read */
} sc_file_stream;

/* The bytes offset .. offset + length - 1 as a stream; the file must stay open, and the range lie in it. */
void sc_file_stream_init(sc_file_stream *out, const sc_file *file, uint64_t offset, uint64_t length);

#endif
