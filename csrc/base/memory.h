/* Checked allocation with accounting. All large memory of the core comes from here, so that the Lua side can tell its
 * collector how much native memory is alive. */
#ifndef SC_BASE_MEMORY_H
#define SC_BASE_MEMORY_H

#include "base/status.h"

#include <stddef.h>

/* count * size bytes, aligned to 64, contents undefined. A size of zero gives a valid pointer. */
sc_status sc_memory_alloc(void **out, size_t count, size_t size, sc_error *error);

/* The same, zeroed; large blocks come zeroed from the system and are not touched. */
sc_status sc_memory_calloc(void **out, size_t count, size_t size, sc_error *error);

/* NULL is allowed. A few large blocks are cached for the next requests of about their size, an eighth of the machine's
 * memory at most; they do not count as live. Built with SC_NO_BLOCK_CACHE, none is. */
void sc_memory_free(void *pointer);

/* Bytes handed out and not yet freed, over the whole process. */
size_t sc_memory_live(void);

/* The largest value that sc_memory_live() has had since the process began, or since sc_memory_reset_peak(). */
size_t sc_memory_peak(void);

/* Sets the peak to what is live now. */
void sc_memory_reset_peak(void);

#endif
