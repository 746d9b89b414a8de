#include "graph/name_index.h"

#include "base/memory.h"
#include "base/random.h"

#include <string.h>

enum { MIN_CAPACITY = 64 }; /* a power of two, as all are */

/* FNV-1a, mixed once more since its low bits alone are used. */
static uint64_t hash_of(const char *name) {
    uint64_t hash = 14695981039346656037u;
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        hash = (hash ^ *c) * 1099511628211u;
    return sc_random_mix(hash, 0);
}

/* Where the name stands, or the free place where it would. */
static sc_name_slot *slot_of(const sc_name_index *index, const char *name, uint64_t hash) {
    size_t mask = index->capacity - 1, at = (size_t)hash & mask;
    while (index->slots[at].name && (index->slots[at].hash != hash || strcmp(index->slots[at].name, name) != 0))
        at = (at + 1) & mask;
    return &index->slots[at];
}

sc_status sc_name_index_reserve(sc_name_index *index, sc_error *error) {
    if (2 * (index->count + 1) <= index->capacity)
        return SC_OK;
    void *memory;
    sc_name_index larger = {.count = index->count, .capacity = index->capacity ? 2 * index->capacity : MIN_CAPACITY};
    SC_TRY(sc_memory_calloc(&memory, larger.capacity, sizeof *larger.slots, error));
    larger.slots = memory;
    for (size_t i = 0; i < index->capacity; i++)
        if (index->slots[i].name)
            *slot_of(&larger, index->slots[i].name, index->slots[i].hash) = index->slots[i];
    sc_memory_free(index->slots);
    *index = larger;
    return SC_OK;
}

void sc_name_index_add(sc_name_index *index, const char *name, size_t item) {
    uint64_t hash = hash_of(name);
    *slot_of(index, name, hash) = (sc_name_slot){.name = name, .hash = hash, .item = item};
    index->count++;
}

void sc_name_index_remove(sc_name_index *index, const char *name) {
    size_t mask = index->capacity - 1, hole = (size_t)(slot_of(index, name, hash_of(name)) - index->slots);
    for (size_t at = (hole + 1) & mask; index->slots[at].name; at = (at + 1) & mask) {
        size_t home = (size_t)index->slots[at].hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask))
            continue; /* it is found without passing the hole */
        index->slots[hole] = index->slots[at];
        hole = at;
    }
    index->slots[hole] = (sc_name_slot){0};
    index->count--;
}

ptrdiff_t sc_name_index_find(const sc_name_index *index, const char *name) {
    if (index->count == 0)
        return SC_NOT_FOUND;
    const sc_name_slot *slot = slot_of(index, name, hash_of(name));
    return slot->name ? (ptrdiff_t)slot->item : SC_NOT_FOUND;
}

void sc_name_index_free(sc_name_index *index) {
    sc_memory_free(index->slots);
    *index = (sc_name_index){0};
}
