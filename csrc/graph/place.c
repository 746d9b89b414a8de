#include "base/memory.h"
#include "graph/plan.h"

#include <stdlib.h>

typedef struct placed {
    size_t index, bytes, offset;
    size_t first, steps; /* of its life */
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

/* The largest first, and among equals as they come. */
static int by_size_and_first(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
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

/* Places items in their order, each as low as it can be; the size of the arena. `sorted` is room for as many. */
static size_t place_all(placed *items, placed *sorted, const size_t *first, const size_t *last, size_t count) {
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

sc_status sc_plan_place(size_t *offsets, size_t *total, const size_t *bytes, const size_t *first, const size_t *last,
                        size_t count, sc_error *error) {
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, 2 * count + 1, sizeof(placed), error));
    placed *items = memory, *sorted = items + count;
    size_t sum = 0;
    sc_status status = SC_OK;
    for (size_t i = 0; i < count && status == SC_OK; i++) {
        const size_t line = 64; /* every buffer starts on a cache line */
        items[i] = (placed){.index = i, .bytes = (bytes[i] + line - 1) / line * line};
        items[i].first = first[i];
        items[i].steps = last[i] - first[i];
        if (items[i].bytes < bytes[i] || !sc_size_add(&sum, sum, items[i].bytes))
            status = sc_error_set(error, SC_ERROR_MEMORY, "plan: the buffers do not fit the address space");
    }
    *total = 0;
    int (*const orders[])(const void *, const void *) = {by_size, by_size_and_first};
    for (size_t o = 0; o < 2 && status == SC_OK && count; o++) {
        qsort(items, count, sizeof *items, orders[o]);
        size_t needed = place_all(items, sorted, first, last, count);
        if (o > 0 && needed >= *total)
            break;
        *total = needed;
        for (size_t i = 0; i < count; i++)
            offsets[items[i].index] = items[i].offset;
    }
    sc_memory_free(memory);
    return status;
}
