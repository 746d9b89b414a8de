#include "base/memory.h"
#include "graph/plan.h"

#include <stdlib.h>

typedef struct placed {
    size_t index, bytes, offset;
    size_t steps; /* of its life */
} placed;

/* The largest first. What lives long comes last among equals, out of the way of those that follow each other. */
static int by_size(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    if (x->steps != y->steps)
        return x->steps < y->steps ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* The lowest offset at which `item` meets none of the `count` placed ones (sorted by offset) that live beside it. */
static size_t lowest_gap(const placed *sorted, size_t count, const placed *item, const size_t *first,
                         const size_t *last) {
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        const placed *other = &sorted[i];
        bool meet = first[other->index] <= last[item->index] && first[item->index] <= last[other->index];
        if (!meet || other->offset + other->bytes <= offset)
            continue;
        if (offset + item->bytes <= other->offset)
            break;
        offset = other->offset + other->bytes;
    }
    return offset;
}

sc_status sc_plan_place(size_t *offsets, size_t *total, const size_t *bytes, const size_t *first, const size_t *last,
                        size_t count, sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, 2 * count + 1, sizeof(placed), error));
    placed *items = memory, *sorted = items + count;
    size_t sum = 0;
    sc_status status = SC_OK;
    for (size_t i = 0; i < count && status == SC_OK; i++) {
        const size_t line = 64; /* every buffer starts on a cache line */
        items[i] = (placed){.index = i, .steps = last[i] - first[i], .bytes = (bytes[i] + line - 1) / line * line};
        if (items[i].bytes < bytes[i] || !sc_size_add(&sum, sum, items[i].bytes))
            status = sc_error_set(error, SC_ERROR_MEMORY, "plan: the buffers do not fit the address space");
    }
    *total = 0;
    if (status == SC_OK && count)
        qsort(items, count, sizeof *items, by_size);
    for (size_t i = 0; i < count && status == SC_OK; i++) {
        placed item = items[i];
        item.offset = lowest_gap(sorted, i, &item, first, last);
        size_t at = i;
        for (; at > 0 && sorted[at - 1].offset > item.offset; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = item;
        offsets[item.index] = item.offset;
        if (item.offset + item.bytes > *total)
            *total = item.offset + item.bytes;
    }
    sc_memory_free(memory);
    return status;
}
