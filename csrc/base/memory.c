#include "base/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { ALIGNMENT = 64 };

/* Sits in the 64 bytes before the pointer handed out. */
typedef struct block_header {
    void *raw;
    size_t bytes;
} block_header;

/* Accounting only; no behaviour depends on it except when a collector is nudged. */
static atomic_size_t live_bytes;
static atomic_size_t peak_bytes;

bool sc_size_multiply(size_t *out, size_t a, size_t b) {
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

bool sc_size_add(size_t *out, size_t a, size_t b) {
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

static void account(size_t bytes) {
    size_t live = atomic_fetch_add(&live_bytes, bytes) + bytes;
    size_t peak = atomic_load(&peak_bytes);
    while (live > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, live)) {
    }
}

static sc_status allocate(void **out, size_t count, size_t size, bool zeroed, sc_error *error) {
    size_t bytes, padded;
    *out = NULL;
    if (!sc_size_multiply(&bytes, count, size) || !sc_size_add(&padded, bytes, 2 * ALIGNMENT) || padded > PTRDIFF_MAX)
        return sc_error_set(error, SC_ERROR_MEMORY, "memory: %zu items of %zu bytes do not fit the address space",
                            count, size);
    void *raw = zeroed ? calloc(1, padded) : malloc(padded);
    if (!raw)
        return sc_error_set(error, SC_ERROR_MEMORY, "memory: could not allocate %zu bytes", bytes);
    uintptr_t start = ((uintptr_t)raw + 2 * ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    block_header *header = (block_header *)(start - ALIGNMENT);
    header->raw = raw;
    header->bytes = bytes;
    account(bytes);
    *out = (void *)start;
    return SC_OK;
}

sc_status sc_memory_alloc(void **out, size_t count, size_t size, sc_error *error) {
    return allocate(out, count, size, false, error);
}

sc_status sc_memory_calloc(void **out, size_t count, size_t size, sc_error *error) {
    return allocate(out, count, size, true, error);
}

void sc_memory_free(void *pointer) {
    if (!pointer)
        return;
    block_header *header = (block_header *)((uintptr_t)pointer - ALIGNMENT);
    atomic_fetch_sub(&live_bytes, header->bytes);
    free(header->raw);
}

size_t sc_memory_live(void) {
    return atomic_load(&live_bytes);
}

size_t sc_memory_peak(void) {
    return atomic_load(&peak_bytes);
}
