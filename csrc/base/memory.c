#define _DEFAULT_SOURCE /* madvise, _SC_PHYS_PAGES */
#include "base/memory.h"

#include "base/size.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

enum { ALIGNMENT = 64 };

/* Sits in the 64 bytes before the pointer handed out. */
typedef struct block_header {
    void *raw;
    size_t bytes;    /* handed out */
    size_t capacity; /* of raw */
} block_header;

/* Accounting only; no behaviour depends on it except when a collector is nudged. */
static atomic_size_t live_bytes;
static atomic_size_t peak_bytes;

static void count_live(size_t bytes) {
    size_t live = atomic_fetch_add(&live_bytes, bytes) + bytes;
    size_t peak = atomic_load(&peak_bytes);
    while (live > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, live)) {
    }
}

/* Large blocks are touched whole and soon: asking for large pages saves most of the time that the system takes to hand
 * out and clear small ones. It is advice: the system may ignore it. */
static void advise_huge_pages(void *raw, size_t bytes) {
#ifdef MADV_HUGEPAGE
    const uintptr_t page = (uintptr_t)2 << 20;
    uintptr_t first = ((uintptr_t)raw + page - 1) / page * page, last = ((uintptr_t)raw + bytes) / page * page;
    if (last > first)
        (void)madvise((void *)first, last - first, MADV_HUGEPAGE);
#else
    (void)raw, (void)bytes;
#endif
}

/* The block cache: the system takes its time to hand out a gigabyte and clear it, and explaining batch after batch asks
 * for the same gigabyte again and again. So a few large blocks that were freed are kept for the next requests that they
 * fit, as long as they do not take more than an eighth of the machine's memory together. */
enum { CACHE_SLOTS = 8 };
static _Atomic(block_header *) cache[CACHE_SLOTS];
static atomic_size_t cached_bytes; /* of the blocks there, and of those on their way there */
#ifdef SC_NO_BLOCK_CACHE
static const size_t cache_min_block = SIZE_MAX; /* so that what is read after it was freed is found */
#else
static const size_t cache_min_block = (size_t)16 << 20;
#endif

static size_t cache_limit(void) {
#ifdef _SC_PHYS_PAGES
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t bytes;
    if (pages > 0 && page > 0 && sc_size_multiply(&bytes, (size_t)pages, (size_t)page))
        return bytes / 8;
#endif
    return (size_t)1 << 30;
}

/* Keeps the block, or frees it when all slots are taken or they would hold too much. */
static void cache_put(block_header *header) {
    size_t capacity = header->capacity;
    block_header *none = NULL;
    if (atomic_fetch_add(&cached_bytes, capacity) + capacity <= cache_limit())
        for (int i = 0; i < CACHE_SLOTS; i++, none = NULL)
            if (atomic_compare_exchange_strong(&cache[i], &none, header))
                return;
    atomic_fetch_sub(&cached_bytes, capacity);
    free(header->raw);
}

/* Empties a slot; NULL where there was nothing. */
static block_header *cache_empty_slot(int slot) {
    block_header *header = atomic_exchange(&cache[slot], NULL);
    if (header)
        atomic_fetch_sub(&cached_bytes, header->capacity);
    return header;
}

/* A cached block that is neither too small for so many bytes nor more than twice too large, or NULL; then the smaller
 * ones are freed, so that a larger request does not come on top of what smaller ones left. */
static block_header *cache_take(size_t padded) {
    block_header *smaller[CACHE_SLOTS] = {NULL}, *found = NULL;
    for (int i = 0; i < CACHE_SLOTS && padded >= cache_min_block && !found; i++) {
        block_header *header = cache_empty_slot(i);
        if (header && header->capacity >= padded && header->capacity / 2 <= padded)
            found = header;
        else if (header && header->capacity < padded)
            smaller[i] = header;
        else if (header)
            cache_put(header);
    }
    for (int i = 0; i < CACHE_SLOTS; i++)
        if (smaller[i] && found)
            cache_put(smaller[i]);
        else if (smaller[i])
            free(smaller[i]->raw);
    return found;
}

static void cache_clear(void) {
    for (int i = 0; i < CACHE_SLOTS; i++) {
        block_header *header = cache_empty_slot(i);
        if (header)
            free(header->raw);
    }
}

static block_header *new_block(size_t padded, bool zeroed) {
    void *raw = zeroed ? calloc(1, padded) : malloc(padded);
    if (!raw)
        return NULL;
    advise_huge_pages(raw, padded);
    uintptr_t start = ((uintptr_t)raw + 2 * ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    block_header *header = (block_header *)(start - ALIGNMENT);
    header->raw = raw;
    header->capacity = padded;
    return header;
}

static sc_status allocate(void **out, size_t count, size_t size, bool zeroed, sc_error *error) {
    size_t bytes, padded;
    *out = NULL;
    if (!sc_size_multiply(&bytes, count, size) || !sc_size_add(&padded, bytes, 2 * ALIGNMENT) || padded > PTRDIFF_MAX)
        return sc_error_set(error, SC_ERROR_MEMORY, "memory: %zu items of %zu bytes do not fit the address space",
                            count, size);
    block_header *header = zeroed ? NULL : cache_take(padded);
    if (!header)
        header = new_block(padded, zeroed);
    if (!header) { /* it may be the cache that takes what is missing */
        cache_clear();
        header = new_block(padded, zeroed);
    }
    if (!header)
        return sc_error_set(error, SC_ERROR_MEMORY, "memory: could not allocate %zu bytes", bytes);
    header->bytes = bytes;
    count_live(bytes);
    *out = (char *)header + ALIGNMENT;
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
    if (header->capacity >= cache_min_block)
        cache_put(header);
    else
        free(header->raw);
}

size_t sc_memory_live(void) {
    return atomic_load(&live_bytes);
}

size_t sc_memory_peak(void) {
    return atomic_load(&peak_bytes);
}

void sc_memory_reset_peak(void) {
    atomic_store(&peak_bytes, atomic_load(&live_bytes));
}
