/* Which inputs an output of a pool covers. */
#ifndef SC_KERNEL_WINDOW_H
#define SC_KERNEL_WINDOW_H

#include "kernel/pool.h"
#include "kernel/vecmath.h"

/* first .. last - 1; never empty. */
typedef struct sc_window {
    size_t first, last;
} sc_window;

/* The inputs that output `o` is made from. */
SC_INLINE sc_window sc_window_at(const sc_pool_axis *axis, size_t o) {
    if (axis->kernel == 0)
        return (sc_window){o * axis->in / axis->out, ((o + 1) * axis->in + axis->out - 1) / axis->out};
    size_t start = o * axis->stride, end = start + axis->kernel - axis->padding;
    return (sc_window){start > axis->padding ? start - axis->padding : 0, end < axis->in ? end : axis->in};
}

/* The outputs whose window reaches the input that lies `tap` after the start of the window. */
SC_INLINE sc_window sc_outputs_at(const sc_pool_axis *axis, size_t tap) {
    size_t first = tap >= axis->padding ? 0 : (axis->padding - tap + axis->stride - 1) / axis->stride;
    size_t reach = axis->in + axis->padding; /* o * stride + tap < reach */
    size_t last = reach > tap ? (reach - tap - 1) / axis->stride + 1 : 0;
    return (sc_window){first, last < axis->out ? last : axis->out};
}

#endif
