/* Arithmetic of sizes that cannot overflow where the sizes fit; sc_size_multiply of memory.h is for those that may not.
 */
#ifndef SC_BASE_SIZE_H
#define SC_BASE_SIZE_H

#include <stddef.h>

/* The smaller of two. */
static inline size_t sc_min(size_t a, size_t b) {
    return a < b ? a : b;
}

/* The larger of two. */
static inline size_t sc_max(size_t a, size_t b) {
    return a > b ? a : b;
}

/* How many of size b it takes for a. */
static inline size_t sc_divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* The least multiple of b that is not below a. */
static inline size_t sc_round_up(size_t a, size_t b) {
    return sc_divide_up(a, b) * b;
}

#endif
