#include "graph/memory_planner.h"

#include "base/memory.h"
#include "base/real.h"
#include "base/size.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 };

/* A buffer and its offset. */
typedef struct buffer {
    size_t index, bytes, offset;
    size_t first, last, steps; /* of its lifetime */
} buffer;

/* Neighbours among the placed buffers, and what is known of all of them, so that most blocks are passed over whole: a
 * graph from a file may have tens of thousands of buffers. */
typedef struct block {
    buffer items[BLOCK]; /* [count], sorted by offset */
    size_t count;
    size_t least_first, most_first, least_last, most_last; /* of the lifetimes */
    size_t end;                                            /* where the last of them ends */
    size_t gap;                                            /* the largest that is free between them */
} block;

/* All placed buffers, sorted by offset. */
typedef struct placed {
    block *blocks;  /* in the order in which they were made */
    block **sorted; /* [count] */
    size_t count;
} placed;

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

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static void summarise(block *b) {
    b->least_first = b->least_last = SIZE_MAX;
    b->most_first = b->most_last = b->end = b->gap = 0;
    for (size_t i = 0; i < b->count; i++) {
        const buffer *item = &b->items[i];
        b->least_first = min_size(b->least_first, item->first);
        b->most_first = max_size(b->most_first, item->first);
        b->least_last = min_size(b->least_last, item->last);
        b->most_last = max_size(b->most_last, item->last);
        if (i > 0 && item->offset > b->end)
            b->gap = max_size(b->gap, item->offset - b->end);
        b->end = max_size(b->end, item->offset + item->bytes);
    }
}

/* Goes on to the lowest offset from *offset on at which `item` overlaps nothing of a block that is live with it;
 * whether that lies before a buffer of the block, and so is the lowest of all. */
static bool pass_block(size_t *offset, const block *b, const buffer *item) {
    if (b->end <= *offset || b->least_first > item->last || b->most_last < item->first)
        return false;
    bool all_live = b->most_first <= item->last && item->first <= b->least_last;
    if (all_live && b->gap < item->bytes) {
        if (*offset + item->bytes <= b->items[0].offset)
            return true;
        *offset = b->end;
        return false;
    }
    for (size_t i = 0; i < b->count; i++) {
        const buffer *other = &b->items[i];
        bool overlap = other->first <= item->last && item->first <= other->last;
        if (!overlap || other->offset + other->bytes <= *offset)
            continue;
        if (*offset + item->bytes <= other->offset)
            return true;
        *offset = other->offset + other->bytes;
    }
    return false;
}

/* The lowest offset at which `item` overlaps no placed buffer that is live with it. */
static size_t lowest_gap(const placed *all, const buffer *item) {
    size_t offset = 0;
    for (size_t b = 0; b < all->count; b++)
        if (pass_block(&offset, all->sorted[b], item))
            break;
    return offset;
}

/* Puts an empty block at a place of the order. */
static block *open_block(placed *all, size_t at) {
    memmove(&all->sorted[at + 1], &all->sorted[at], (all->count - at) * sizeof *all->sorted);
    all->sorted[at] = &all->blocks[all->count++];
    all->sorted[at]->count = 0;
    return all->sorted[at];
}

static void place(placed *all, const buffer *item) {
    size_t at = all->count;
    while (at > 1 && all->sorted[at - 1]->items[0].offset > item->offset)
        at--;
    block *into = at == 0 ? open_block(all, 0) : all->sorted[at - 1];
    if (into->count == BLOCK) {
        block *upper = open_block(all, at);
        into->count = upper->count = BLOCK / 2;
        memcpy(upper->items, into->items + BLOCK / 2, sizeof upper->items / 2);
        summarise(into);
        if (upper->items[0].offset <= item->offset)
            into = upper;
        else
            summarise(upper);
    }
    size_t i = into->count++;
    for (; i > 0 && into->items[i - 1].offset > item->offset; i--)
        into->items[i] = into->items[i - 1];
    into->items[i] = *item;
    summarise(into);
}

/* Assigns offsets in the order of the items, each as low as possible; returns the size of the arena. */
static size_t assign_all(buffer *items, placed *all, size_t count) {
    size_t total = 0;
    all->count = 0;
    for (size_t i = 0; i < count; i++) {
        items[i].offset = lowest_gap(all, &items[i]);
        place(all, &items[i]);
        total = max_size(total, items[i].offset + items[i].bytes);
    }
    return total;
}

/* Room for so many buffers: blocks are at least half full, but for the first. */
static sc_status create_placed(placed *out, size_t count, sc_error *error) {
    void *memory;
    size_t blocks = count / (BLOCK / 2) + 1;
    *out = (placed){0};
    SC_TRY(sc_memory_alloc(&memory, blocks, sizeof(block), error));
    out->blocks = memory;
    SC_TRY(sc_memory_alloc(&memory, blocks, sizeof(block *), error));
    out->sorted = memory;
    return SC_OK;
}

static sc_status describe(buffer *items, const size_t *bytes, const size_t *first, const size_t *last, size_t count,
                          sc_error *error) {
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t line = 64; /* every buffer starts on a cache line */
        items[i] = (buffer){.index = i, .bytes = (bytes[i] + line - 1) / line * line, .first = first[i]};
        items[i].last = last[i];
        items[i].steps = last[i] - first[i];
        if (items[i].bytes < bytes[i] || !sc_size_add(&sum, sum, items[i].bytes))
            return sc_error_set(error, SC_ERROR_MEMORY, "plan: the buffers do not fit the address space");
    }
    return SC_OK;
}

sc_status sc_memory_planner_assign(size_t *offsets, size_t *arena_bytes, const size_t *bytes, const size_t *first,
                                   const size_t *last, size_t count, sc_error *error) {
    void *memory;
    placed all = {0};
    SC_TRY(sc_memory_alloc(&memory, count + 1, sizeof(buffer), error));
    buffer *items = memory;
    sc_status status = describe(items, bytes, first, last, count, error);
    if (status == SC_OK)
        status = create_placed(&all, count, error);
    *arena_bytes = 0;
    int (*const orders[])(const void *, const void *) = {by_size, by_size_and_first};
    for (size_t o = 0; o < 2 && status == SC_OK && count; o++) {
        qsort(items, count, sizeof *items, orders[o]);
        size_t needed = assign_all(items, &all, count);
        if (o > 0 && needed >= *arena_bytes)
            break;
        *arena_bytes = needed;
        for (size_t i = 0; i < count; i++)
            offsets[items[i].index] = items[i].offset;
    }
    sc_memory_free(all.blocks);
    sc_memory_free(all.sorted);
    sc_memory_free(memory);
    return status;
}
