/* A run of bytes read from front to back: (part of) a file, or an entry of an archive while it is inflated. The readers
 * of formats see only this, so that they work on both. */
#ifndef SC_IO_SOURCE_H
#define SC_IO_SOURCE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { SC_SOURCE_LABEL = 512 };

typedef struct sc_source sc_source;

struct sc_source {
    /* Fills out with the next length bytes, which are known to be there by declaration. */
    sc_status (*read)(sc_source *self, void *out, size_t length, sc_error *error);
    uint64_t left;               /* bytes not yet read, by declaration */
    char label[SC_SOURCE_LABEL]; /* what errors start with: "'path'" or "'path': entry 'name'" */
};

/* The next length bytes; SC_ERROR_FORMAT when fewer are left. */
sc_status sc_source_read(sc_source *source, void *out, size_t length, sc_error *error);

/* "label: message"; returns SC_ERROR_FORMAT. */
sc_status sc_source_fail(const sc_source *source, sc_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
