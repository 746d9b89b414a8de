#include "kernel/patches.h"

#include "base/size.h"
#include "kernel/gemm.h"

enum {
    SEGMENT = 256, /* columns that are packed at a time; a multiple of SC_TILE_COLUMNS */
    AHEAD = 8,     /* distance of prefetching, in planes */
    LINE = 64 / sizeof(sc_real),
};

sc_patch_phase sc_patch_phase_find(size_t size, size_t outputs, size_t kernel, size_t stride, size_t padding,
                                   size_t dilation, size_t phase) {
    sc_patch_phase p = {.phase = phase, .first = kernel, .step = 1};
    size_t second = kernel;
    for (size_t tap = 0; tap < kernel && second == kernel; tap++) {
        if ((phase + padding + stride * dilation * tap - tap * dilation) % stride)
            continue;
        if (p.first == kernel)
            p.first = tap;
        else
            second = tap;
    }
    p.step = second < kernel ? second - p.first : kernel;
    p.axis = (sc_patch_axis){.size = outputs, .positions = (size - phase + stride - 1) / stride, .stride = 1};
    p.axis.taps = p.first < kernel ? (kernel - p.first + p.step - 1) / p.step : 0;
    p.axis.first = ((ptrdiff_t)(phase + padding) - (ptrdiff_t)(p.first * dilation)) / (ptrdiff_t)stride;
    p.axis.step = -(ptrdiff_t)(p.step * dilation / stride);
    return p;
}

/* ---- lines ---- */

/* One line of the patch matrix: a channel, and what its tap reads. */
typedef struct line {
    const sc_real *plane; /* of the channel in the first image */
    size_t tap_down, tap_across;
    ptrdiff_t down, across, shift; /* of its tap, in rows, in columns and in numbers */
    size_t first, last;            /* positions across that read inside the image: first .. last - 1 */
} line;

static ptrdiff_t divide_up(ptrdiff_t x, ptrdiff_t by) { /* x is not negative; most strides are 1 or 2 */
    return by == 1 ? x : by == 2 ? (x + 1) / 2 : (x + by - 1) / by;
}

static void find_inside(line *l, const sc_patch_axis *axis) {
    ptrdiff_t stride = (ptrdiff_t)axis->stride, size = (ptrdiff_t)axis->size, shift = l->across;
    ptrdiff_t low = shift >= 0 ? 0 : divide_up(-shift, stride);
    ptrdiff_t high = size <= shift ? 0 : divide_up(size - shift, stride);
    ptrdiff_t positions = (ptrdiff_t)axis->positions;
    high = high > positions ? positions : high;
    l->first = (size_t)(low > high ? high : low);
    l->last = (size_t)high;
}

static void find_tap(line *l, const sc_patches *p) {
    l->down = p->down.first + (ptrdiff_t)l->tap_down * p->down.step;
    l->across = p->across.first + (ptrdiff_t)l->tap_across * p->across.step;
    l->shift = l->down * (ptrdiff_t)p->across.size + l->across;
    find_inside(l, &p->across);
}

static line find_line(const sc_patches *p, size_t k) {
    size_t taps = p->down.taps * p->across.taps, tap = k % taps;
    line l = {.plane = p->x + k / taps * p->down.size * p->across.size};
    l.tap_down = tap / p->across.taps;
    l.tap_across = tap % p->across.taps;
    find_tap(&l, p);
    return l;
}

static void advance(line *l, const sc_patches *p) {
    if (++l->tap_across == p->across.taps) {
        l->tap_across = 0;
        if (++l->tap_down == p->down.taps) {
            l->tap_down = 0;
            l->plane += p->down.size * p->across.size;
        }
    }
    if (p->down.taps * p->across.taps > 1)
        find_tap(l, p);
}

/* ---- pieces of lines ---- */

/* Positions that lie side by side in one image, in one position down. Planes that are read as they lie, by kernels of
 * one tap, count as one position down. */
typedef struct piece {
    size_t from;        /* where a tap that is not shifted reads the first, counted from the first channel */
    size_t row;         /* of the image, where such a tap reads */
    size_t across, end; /* positions across .. end - 1 */
    size_t to, step;    /* where it goes, and how far apart lines are there */
} piece;

/* Whether position p of a plane reads place p. */
static bool reads_whole_planes(const sc_patches *p) {
    const sc_patch_axis *down = &p->down, *across = &p->across;
    return down->taps * across->taps == 1 && down->first == 0 && across->first == 0 && down->stride == 1 &&
           across->stride == 1 && down->positions == down->size && across->positions == across->size;
}

/* A description by which whole planes are rows. */
static sc_patches by_planes(const sc_patches *p) {
    sc_patches planes = *p;
    if (reads_whole_planes(p)) {
        planes.across.size = planes.across.positions = p->down.size * p->across.size;
        planes.down.size = planes.down.positions = 1;
    }
    return planes;
}

/* The first piece of `count` columns from `column` on. */
static piece find_piece(const sc_patches *p, size_t column, size_t count) {
    size_t positions = p->down.positions * p->across.positions, at = column % positions;
    piece next = {.row = at / p->across.positions * p->down.stride, .across = at % p->across.positions};
    next.from = column / positions * p->image_stride + next.row * p->across.size + next.across * p->across.stride;
    next.end = sc_min(next.across + count, p->across.positions);
    return next;
}

/* ---- numbers ---- */

#if !defined SC_REAL_IS_DOUBLE && defined __AVX512F__
static __mmask16 lanes_between(size_t first, size_t last, size_t at) {
    return (__mmask16)(sc_lanes_below(last > at ? last - at : 0) & ~sc_lanes_below(first > at ? first - at : 0));
}

/* to[count] = from[i] where first <= i < last, and 0 elsewhere; only those are read. */
static void read_next(sc_real *to, const sc_real *from, size_t first, size_t last, size_t count) {
    for (size_t i = 0; i < count; i += SC_VECTOR)
        _mm512_mask_storeu_ps(to + i, sc_lanes_below(count - i),
                              _mm512_maskz_loadu_ps(lanes_between(first, last, i), from + i));
}

/* The same of from[2 * i]. */
static void read_second(sc_real *to, const sc_real *from, size_t first, size_t last, size_t count) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    last = last > first ? 2 * last - 1 : 0;
    first *= 2;
    for (size_t i = 0; i < count; i += SC_VECTOR) {
        __m512 low = _mm512_maskz_loadu_ps(lanes_between(first, last, 2 * i), from + 2 * i);
        __m512 high = _mm512_maskz_loadu_ps(lanes_between(first, last, 2 * i + SC_VECTOR), from + 2 * i + SC_VECTOR);
        _mm512_mask_storeu_ps(to + i, sc_lanes_below(count - i), _mm512_permutex2var_ps(low, even, high));
    }
}

/* to[count] = from[2 * i]. */
SC_INLINE void copy_second(sc_real *to, const sc_real *from, size_t count) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    size_t i = 0;
    for (; i + SC_VECTOR < count; i += SC_VECTOR) {
        __m512 low = _mm512_loadu_ps(from + 2 * i), high = _mm512_loadu_ps(from + 2 * i + SC_VECTOR);
        _mm512_storeu_ps(to + i, _mm512_permutex2var_ps(low, even, high));
    }
    size_t left = 2 * (count - i) - 1; /* numbers that may be read; at least one */
    __m512 low = _mm512_maskz_loadu_ps(sc_lanes_below(left), from + 2 * i);
    __m512 high =
        left > SC_VECTOR ? _mm512_maskz_loadu_ps(sc_lanes_below(left - SC_VECTOR), from + 2 * i + SC_VECTOR) : low;
    _mm512_mask_storeu_ps(to + i, sc_lanes_below(count - i), _mm512_permutex2var_ps(low, even, high));
}
#else
static void read_next(sc_real *to, const sc_real *from, size_t first, size_t last, size_t count) {
    for (size_t i = 0; i < first; i++)
        to[i] = 0;
    sc_vector_copy(to + first, from + first, last - first);
    for (size_t i = last; i < count; i++)
        to[i] = 0;
}

static void read_second(sc_real *restrict to, const sc_real *restrict from, size_t first, size_t last, size_t count) {
    for (size_t i = 0; i < first; i++)
        to[i] = 0;
    for (size_t i = first; i < last; i++)
        to[i] = from[2 * i];
    for (size_t i = last; i < count; i++)
        to[i] = 0;
}

SC_INLINE void copy_second(sc_real *restrict to, const sc_real *restrict from, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = from[2 * i];
}
#endif

/* A piece that may reach beyond the edge of the image, or whose numbers do not lie side by side. */
static void read_with_edges(sc_real *restrict to, const sc_real *restrict from, const line *l, const piece *part,
                            size_t stride) {
    size_t count = part->end - part->across, first = sc_min(sc_max(l->first, part->across), part->end) - part->across;
    size_t last = sc_max(sc_min(l->last, part->end), part->across + first) - part->across;
    if (stride == 1)
        read_next(to, from, first, last, count);
    else if (stride == 2)
        read_second(to, from, first, last, count);
    else
        for (size_t i = 0; i < count; i++)
            to[i] = i >= first && i < last ? from[i * stride] : 0;
}

SC_INLINE void read_piece(sc_real *to, const line *l, const sc_patches *p, const piece *part) {
    size_t row = part->row + (size_t)l->down; /* huge, where it is above the image */
    if (row >= p->down.size) {
        read_next(to, l->plane, 0, 0, part->end - part->across);
        return;
    }
    const sc_real *from = l->plane + ((ptrdiff_t)part->from + l->shift);
    bool inside = part->across >= l->first && part->end <= l->last;
    if (inside && p->across.stride == 1)
        sc_vector_copy(to, from, part->end - part->across);
    else if (inside && p->across.stride == 2)
        copy_second(to, from, part->end - part->across);
    else
        read_with_edges(to, from, l, part, p->across.stride);
}

/* Planes come from memory in pieces too short for the processor to predict the next. */
SC_INLINE void prefetch_piece(const line *l, const sc_patches *p, const piece *part) {
    const sc_real *from = l->plane + AHEAD * p->down.size * p->across.size + part->from;
    for (size_t i = 0; i < (part->end - part->across) * p->across.stride; i += LINE)
        __builtin_prefetch(from + i);
}

void sc_patches_line(sc_real *to, const sc_patches *p, size_t k, size_t column, size_t count) {
    line l = find_line(p, k);
    for (size_t done = 0; done < count;) {
        piece next = find_piece(p, column + done, count - done);
        read_piece(to + done, &l, p, &next);
        done += next.end - next.across;
    }
}

/* ---- operands ---- */

/* Pieces of `count` columns from `first` on, none of which crosses from panel to panel. */
static size_t find_pieces(piece *pieces, const sc_patches *p, size_t first, size_t count, size_t depth) {
    size_t found = 0;
    for (size_t i = 0; i < count;) {
        size_t place = i % SC_TILE_COLUMNS;
        piece next = find_piece(p, first + i, sc_min(count - i, SC_TILE_COLUMNS - place));
        next.to = (i - place) * depth + place;
        next.step = sc_panel_columns(i - place, count);
        i += next.end - next.across;
        pieces[found++] = next;
    }
    return found;
}

/* Up to SEGMENT columns. */
static void pack_segment(sc_real *to, const sc_patches *p, size_t first, size_t count, size_t k, size_t depth) {
    piece pieces[SEGMENT];
    size_t found = find_pieces(pieces, p, first, count, depth);
    size_t last = (count - 1) / SC_TILE_COLUMNS * SC_TILE_COLUMNS, width = sc_panel_columns(last, count);
    size_t missing = last + width - count;
    line l = find_line(p, k);
    for (size_t i = 0; i < depth; i++, advance(&l, p)) {
        if (l.tap_down + l.tap_across == 0)
            for (size_t j = 0; j < found; j++)
                prefetch_piece(&l, p, &pieces[j]);
        for (size_t j = 0; j < found; j++)
            read_piece(to + pieces[j].to + i * pieces[j].step, &l, p, &pieces[j]);
        if (missing) /* zeros fill up the last panel */
            read_next(to + last * depth + i * width + width - missing, l.plane, 0, 0, missing);
    }
}

static void pack_columns(sc_real *to, const void *context, size_t first, size_t count, size_t k, size_t depth) {
    sc_patches p = by_planes(context);
    for (size_t at = 0; at < count; at += SEGMENT)
        pack_segment(to + at * depth, &p, first + at, sc_min(SEGMENT, count - at), k, depth);
}

static void pack_lines(sc_real *to, const void *context, size_t first, size_t count, size_t k, size_t depth) {
    const sc_patches *p = context;
    if (reads_whole_planes(p)) { /* a line is a channel's plane, image after image */
        size_t plane = p->down.size * p->across.size;
        sc_pieces planes = {p->x, plane, plane, p->image_stride};
        sc_pieces_columns(&planes).pack(to, &planes, first, count, k, depth);
        return;
    }
    sc_real lines[SC_TILE_COLUMNS * SC_CHAIN];
    for (size_t i = 0; i < count; i += SC_TILE_COLUMNS) {
        size_t width = sc_panel_columns(i, count), columns = sc_min(width, count - i);
        for (size_t c = 0; c < columns; c++)
            sc_patches_line(lines + c * SC_CHAIN, p, first + i + c, k, depth);
        sc_pack_lines(to + i * depth, width, lines, SC_CHAIN, columns, depth);
    }
}

sc_operand sc_patches_columns(const sc_patches *p) {
    return (sc_operand){.pack = pack_columns, .context = p};
}

sc_operand sc_patches_lines(const sc_patches *p) {
    return (sc_operand){.pack = pack_lines, .context = p};
}
