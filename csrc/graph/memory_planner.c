#include "graph/memory_planner.h"

#include "base/memory.h"
#include "base/real.h"
#include "base/size.h"

#include <stdlib.h>

/* A buffer and its offset. */
typedef struct buffer {
    size_t index, bytes, offset;
    size_t first, steps; /* of its lifetime */
} buffer;

/* The largest first. Among equals the longest-lived comes last, so that those that follow each other share memory
 * first. */
static int by_size(const void *a, const void *b) {
    const buffer *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    if (x->steps != y->steps)
        return x->steps < y->steps ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* The largest first, and among equals as they come. */
static int by_size_and_first(const void *a, const void *b) {
    const buffer *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* The lowest offset at which `item` overlaps none of the `count` placed buffers (sorted by offset) that are live with
 * it. */
static size_t lowest_gap(const buffer *sorted, size_t count, const buffer *item, const size_t *first,
                         const size_t *last) {
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        const buffer *other = &sorted[i];
        bool overlap = first[other->index] <= last[item->index] && first[item->index] <= last[other->index];
        if (!overlap || other->offset + other->bytes <= offset)
            continue;
        if (offset + item->bytes <= other->offset)
            break;
        offset = other->offset + other->bytes;
    }
    return offset;
}

/* Assigns offsets in the order of the items, each as low as possible; returns the size of the arena. `sorted` is
 * scratch for as many. */
static size_t assign_all(buffer *items, buffer *sorted, const size_t *first, const size_t *last, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        items[i].offset = lowest_gap(sorted, i, &items[i], first, last);
        size_t at = i;
        for (; at > 0 && sorted[at - 1].offset > items[i].offset; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = items[i];
        size_t end = items[i].offset + items[i].bytes;
        total = end > total ? end : total;
    }
    return total;
}

sc_status sc_memory_planner_assign(size_t *offsets, size_t *arena_bytes, const size_t *bytes, const size_t *first,
                                   const size_t *last, size_t count, sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, 2 * count + 1, sizeof(buffer), error));
    buffer *items = memory, *sorted = items + count;
    size_t sum = 0;
    sc_status status = SC_OK;
    for (size_t i = 0; i < count && status == SC_OK; i++) {
        const size_t line = 64; /* every buffer starts on a cache line */
        items[i] = (buffer){.index = i, .bytes = (bytes[i] + line - 1) / line * line};
        items[i].first = first[i];
        items[i].steps = last[i] - first[i];
        if (items[i].bytes < bytes[i] || !sc_size_add(&sum, sum, items[i].bytes))
            status = sc_error_set(error, SC_ERROR_MEMORY, "plan: the buffers do not fit the address space");
    }
    *arena_bytes = 0;
    int (*const orders[])(const void *, const void *) = {by_size, by_size_and_first};
    for (size_t o = 0; o < 2 && status == SC_OK && count; o++) {
        qsort(items, count, sizeof *items, orders[o]);
        size_t needed = assign_all(items, sorted, first, last, count);
        if (o > 0 && needed >= *arena_bytes)
            break;
        *arena_bytes = needed;
        for (size_t i = 0; i < count; i++)
            offsets[items[i].index] = items[i].offset;
    }
    sc_memory_free(memory);
    return status;
}
