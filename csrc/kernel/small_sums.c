#include "kernel/small_sums.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum { TILE = 4, REACH = 6, TAPS = 9 }; /* of the transform F(4 x 4, 3 x 3) */
enum { MANY = 16 }; /* one sum in so many may be small; a sum done again takes several times as long */

static const sc_real least_part = (sc_real)(1.0 / (1 << 20));

typedef struct layout {
    sc_real *largest; /* [n x h x w], over channels */
    sc_real *bound;   /* [n x oh x ow]: the largest input of the tile */
    sc_real *limit;   /* [o]: least_part times the sum of the weights' magnitudes */
    sc_real *threads; /* per thread: a window [c x 9], marks [ow], columns [w] */
    size_t per_thread;
} layout;

static size_t per_thread(const sc_conv2d_size *s) {
    return s->c * TAPS + s->ow + s->w + 16;
}

static layout place(void *scratch, const sc_conv2d_size *s, size_t n) {
    layout l = {.largest = scratch, .per_thread = per_thread(s)};
    l.bound = l.largest + n * s->h * s->w;
    l.limit = l.bound + n * s->oh * s->ow;
    l.threads = l.limit + s->o;
    return l;
}

size_t sc_small_sums_scratch(const sc_conv2d_size *s, size_t n) {
    size_t threads = (size_t)omp_get_max_threads();
    return (n * (s->h * s->w + s->oh * s->ow) + s->o + threads * per_thread(s)) * sizeof(sc_real);
}

static sc_real *of_this_thread(const layout *l) {
    return l->threads + (size_t)omp_get_thread_num() * l->per_thread;
}

static void raise_to(sc_real *restrict to, const sc_real *restrict x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        sc_real size = x[i] < 0 ? -x[i] : x[i];
        to[i] = size > to[i] ? size : to[i];
    }
}

static void find_largest(const layout *l, const sc_real *x, const sc_conv2d_size *s, size_t n) {
    size_t plane = s->h * s->w;
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < n * s->h; row++) {
        sc_real *to = l->largest + row * s->w;
        const sc_real *from = x + row / s->h * s->c * plane + row % s->h * s->w;
        memset(to, 0, s->w * sizeof *to);
        for (size_t c = 0; c < s->c; c++)
            raise_to(to, from + c * plane, s->w);
    }
}

/* The part of `reach` numbers from `first` - `pad` on that lies in 0 .. size - 1: *from .. *to - 1. */
static void clip(size_t *from, size_t *to, size_t first, size_t pad, size_t size) {
    size_t end = first + REACH > pad ? first + REACH - pad : 0;
    *from = first > pad ? first - pad : 0;
    *to = end < size ? end : size;
}

/* Bounds of the outputs of one row of tiles of one image. */
static void bound_tiles(const layout *l, const sc_conv2d_size *s, size_t image, size_t top) {
    sc_real *columns = of_this_thread(l) + s->c * TAPS + s->ow;
    size_t first, last;
    memset(columns, 0, s->w * sizeof *columns);
    clip(&first, &last, top, s->ph, s->h);
    for (size_t y = first; y < last; y++)
        raise_to(columns, l->largest + (image * s->h + y) * s->w, s->w);
    sc_real *line = l->bound + (image * s->oh + top) * s->ow;
    for (size_t left = 0; left < s->ow; left += TILE) {
        sc_real largest = 0;
        clip(&first, &last, left, s->pw, s->w);
        for (size_t x = first; x < last; x++)
            largest = columns[x] > largest ? columns[x] : largest;
        for (size_t x = left; x < left + TILE && x < s->ow; x++)
            line[x] = largest;
    }
    for (size_t y = top + 1; y < top + TILE && y < s->oh; y++)
        memcpy(l->bound + (image * s->oh + y) * s->ow, line, s->ow * sizeof *line);
}

static sc_real sum_sizes(const sc_real *x, size_t count) {
    sc_real lanes[16] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 16 <= count; i += 16)
        for (size_t lane = 0; lane < 16; lane++)
            lanes[lane] += x[i + lane] < 0 ? -x[i + lane] : x[i + lane];
    for (; i < count; i++)
        sum += x[i] < 0 ? -x[i] : x[i];
    for (size_t lane = 0; lane < 16; lane++)
        sum += lanes[lane];
    return sum;
}

static void find_limits(const layout *l, const sc_real *x, const sc_real *w, const sc_conv2d_size *s, size_t n) {
    size_t rows = (s->oh + TILE - 1) / TILE;
    find_largest(l, x, s, n);
#pragma omp parallel for schedule(static)
    for (size_t item = 0; item < n * rows; item++)
        bound_tiles(l, s, item / rows, item % rows * TILE);
#pragma omp parallel for schedule(static)
    for (size_t o = 0; o < s->o; o++)
        l->limit[o] = least_part * sum_sizes(w + o * s->c * TAPS, s->c * TAPS);
}

static bool is_small(sc_real y, sc_real bound, sc_real limit) {
    return (y < 0 ? -y : y) < bound * limit;
}

static unsigned count_small(const sc_real *restrict y, const sc_real *restrict bound, sc_real limit, size_t count) {
    unsigned found = 0;
    for (size_t i = 0; i < count; i++)
        found += (y[i] < 0 ? -y[i] : y[i]) < bound[i] * limit;
    return found;
}

static size_t count_all(const layout *l, const sc_real *y, const sc_conv2d_size *s, size_t n) {
    size_t found = 0, plane = s->oh * s->ow;
#pragma omp parallel for schedule(static) reduction(+ : found)
    for (size_t item = 0; item < n * s->o; item++)
        found += count_small(y + item * plane, l->bound + item / s->o * plane, l->limit[item % s->o], plane);
    return found;
}

/* window[c x 3 x 3]: the inputs of output (oy, ox), with the zeros around them. */
static void read_window(sc_real *window, const sc_real *x, const sc_conv2d_size *s, size_t oy, size_t ox) {
    for (size_t c = 0; c < s->c; c++)
        for (size_t k = 0; k < TAPS; k++) {
            size_t y = oy + k / 3, at = ox + k % 3; /* counted with the zeros above and to the left */
            bool inside = y >= s->ph && y - s->ph < s->h && at >= s->pw && at - s->pw < s->w;
            window[c * TAPS + k] = inside ? x[(c * s->h + y - s->ph) * s->w + at - s->pw] : 0;
        }
}

static sc_real dot(const sc_real *restrict a, const sc_real *restrict b, size_t count) {
    sc_real lanes[16] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 16 <= count; i += 16)
        for (size_t lane = 0; lane < 16; lane++)
            lanes[lane] += a[i + lane] * b[i + lane];
    for (size_t lane = 0; lane < 16; lane++)
        sum += lanes[lane];
    for (; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* One row of outputs of all channels; window by window, since where one channel is small others are, as a rule. */
static void repair_row(const layout *l, sc_real *y, const sc_real *x, const sc_real *w, const sc_real *b,
                       const sc_conv2d_size *s, size_t image, size_t oy) {
    sc_real *window = of_this_thread(l), *marks = window + s->c * TAPS;
    const sc_real *bound = l->bound + (image * s->oh + oy) * s->ow;
    size_t plane = s->oh * s->ow;
    y += image * s->o * plane + oy * s->ow;
    memset(marks, 0, s->ow * sizeof *marks);
    for (size_t o = 0; o < s->o; o++)
        for (size_t ox = 0; ox < s->ow; ox++)
            marks[ox] = is_small(y[o * plane + ox], bound[ox], l->limit[o]) ? 1 : marks[ox];
    for (size_t ox = 0; ox < s->ow; ox++) {
        if (marks[ox] == 0)
            continue;
        read_window(window, x + image * s->c * s->h * s->w, s, oy, ox);
        for (size_t o = 0; o < s->o; o++)
            if (is_small(y[o * plane + ox], bound[ox], l->limit[o]))
                y[o * plane + ox] = dot(window, w + o * s->c * TAPS, s->c * TAPS) + (b ? b[o] : 0);
    }
}

bool sc_small_sums_repair(sc_real *y, void *scratch, const sc_real *x, const sc_real *w, const sc_real *b,
                          const sc_conv2d_size *s, size_t n) {
    layout l = place(scratch, s, n);
    find_limits(&l, x, w, s, n);
    size_t small = count_all(&l, y, s, n);
    if (small > n * s->o * s->oh * s->ow / MANY)
        return false;
#pragma omp parallel for schedule(dynamic, 1) if (small)
    for (size_t row = 0; row < n * s->oh * (small != 0); row++)
        repair_row(&l, y, x, w, b, s, row / s->oh, row % s->oh);
    return true;
}
