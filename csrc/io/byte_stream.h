/* A run of bytes read from front to back: (part of) a file, or an entry of an archive while it is inflated. The readers
 * of formats see only this, so that they work on both. */
#ifndef SC_IO_BYTE_STREAM_H
#define SC_IO_BYTE_STREAM_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { SC_BYTE_STREAM_LABEL = 512 };

typedef struct sc_byte_stream sc_byte_stream;

struct sc_byte_stream {
    /* Fills out with the next length bytes, which are known to be there by declaration. */
    sc_status (*read)(sc_byte_stream *self, void *out, size_t length, sc_error *error);
    uint64_t left;                    /* bytes not yet read, by declaration */
    char label[SC_BYTE_STREAM_LABEL]; /* what errors start with: "'path'" or "'path': entry 'name'" */
};

/* The next length bytes; SC_ERROR_FORMAT when fewer are left. */
sc_status sc_byte_stream_read(sc_byte_stream *stream, void *out, size_t length, sc_error *error);

/* "label: message"; returns SC_ERROR_FORMAT. */
sc_status sc_byte_stream_fail(const sc_byte_stream *stream, sc_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
