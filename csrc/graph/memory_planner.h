/* Static memory planning: buffers whose lifetimes do not overlap share memory of one arena. */
#ifndef SC_GRAPH_MEMORY_PLANNER_H
#define SC_GRAPH_MEMORY_PLANNER_H

#include "base/status.h"

#include <stddef.h>

/* Gives each of `count` buffers of bytes[i], live from step first[i] to last[i] inclusive, an offset such that no two
 * that are live together overlap; *arena_bytes gets the size of the arena. Greedy by size: largest first, among equals
 * the shortest-lived or the earliest, whichever takes less; each at the lowest offset that is free. */
sc_status sc_memory_planner_assign(size_t *offsets, size_t *arena_bytes, const size_t *bytes, const size_t *first,
                                   const size_t *last, size_t count, sc_error *error);

#endif
