/* Names of nodes or of parameters, found without looking at all: a graph from a file has as many as it likes. */
#ifndef SC_GRAPH_NAME_INDEX_H
#define SC_GRAPH_NAME_INDEX_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* One name of the table; a free place has none. */
typedef struct sc_name_slot {
    const char *name;
    uint64_t hash;
    size_t item;
} sc_name_slot;

/* A hash table with open addressing, at most half full. A zeroed one is empty. */
typedef struct sc_name_index {
    sc_name_slot *slots; /* [capacity] */
    size_t count, capacity;
} sc_name_index;

enum { SC_NOT_FOUND = -1 };

/* Makes room for one more name, so that adding it cannot fail. */
sc_status sc_name_index_reserve(sc_name_index *index, sc_error *error);

/* Adds a name that is not there yet, for which there is room. It is not copied: it has to live as long as it is there.
 */
void sc_name_index_add(sc_name_index *index, const char *name, size_t item);

/* Takes a name out that is there. */
void sc_name_index_remove(sc_name_index *index, const char *name);

/* What was added under the name, or SC_NOT_FOUND. */
ptrdiff_t sc_name_index_find(const sc_name_index *index, const char *name);

/* Frees the table, which is empty then. */
void sc_name_index_free(sc_name_index *index);

#endif
