/* Arithmetic of sizes: sc_size_multiply and sc_size_add check for overflow, the others are for sizes that are known to
 * fit. */
#ifndef SC_BASE_SIZE_H
#define SC_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b; false (and *out untouched) when the product does not fit a size_t. */
static inline bool sc_size_multiply(size_t *out, size_t a, size_t b) {
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

/* *out = a + b; false (and *out untouched) when the sum does not fit a size_t. */
static inline bool sc_size_add(size_t *out, size_t a, size_t b) {
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

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
