/* A buffer that one thread uses again and again, grown as needed. */
#ifndef SC_IMAGE_SCRATCH_H
#define SC_IMAGE_SCRATCH_H

#include "base/memory.h"
#include "base/size.h"

/* Zeroed = empty. */
typedef struct sc_scratch {
    void *data;
    size_t bytes;
} sc_scratch;

/* Makes room for count * size bytes; old contents are lost when it grows. */
static inline sc_status sc_scratch_reserve(sc_scratch *scratch, size_t count, size_t size, sc_error *error) {
    size_t bytes = 0;
    if (sc_size_multiply(&bytes, count, size) && bytes <= scratch->bytes && scratch->data)
        return SC_OK;
    sc_memory_free(scratch->data);
    *scratch = (sc_scratch){0};
    SC_TRY(sc_memory_alloc(&scratch->data, count, size, error));
    scratch->bytes = bytes;
    return SC_OK;
}

/* Frees the buffer and leaves an empty scratch. */
static inline void sc_scratch_release(sc_scratch *scratch) {
    sc_memory_free(scratch->data);
    *scratch = (sc_scratch){0};
}

#endif
