#include "kernel/patches.h"

#include "base/size.h"
#include <string.h>

enum { SEGMENT = 256 }; /* numbers of a line that are read at a time; a multiple of SC_TILE_COLUMNS */

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

/* One line of the patch matrix: a channel, and what its tap reads. */
typedef struct line {
    const sc_real *plane; /* of the channel in the first image */
    ptrdiff_t down, across;
    size_t first, last; /* positions across that read inside the image: first .. last - 1 */
    bool whole;         /* position p reads place p: planes are lines */
} line;

static void find_inside(line *l, const sc_patch_axis *axis) {
    ptrdiff_t stride = (ptrdiff_t)axis->stride, size = (ptrdiff_t)axis->size, shift = l->across;
    ptrdiff_t low = shift >= 0 ? 0 : stride == 1 ? -shift : (-shift + stride - 1) / stride;
    ptrdiff_t high = size <= shift ? 0 : stride == 1 ? size - shift : (size - 1 - shift) / stride + 1;
    ptrdiff_t positions = (ptrdiff_t)axis->positions;
    high = high > positions ? positions : high;
    l->first = (size_t)(low > high ? high : low);
    l->last = (size_t)high;
}

static line find_line(const sc_patches *p, size_t k) {
    const sc_patch_axis *down = &p->down, *across = &p->across;
    size_t taps = down->taps * across->taps, channel = k / taps, tap = k % taps;
    line l = {.plane = p->x + channel * down->size * across->size};
    l.down = down->first + (ptrdiff_t)(tap / across->taps) * down->step;
    l.across = across->first + (ptrdiff_t)(tap % across->taps) * across->step;
    find_inside(&l, across);
    l.whole = l.down == 0 && l.across == 0 && down->stride == 1 && across->stride == 1 &&
              down->positions == down->size && across->positions == across->size;
    return l;
}

static void gather(sc_real *restrict to, const sc_real *restrict from, size_t count, size_t stride) {
    if (stride == 1)
        sc_vector_copy(to, from, count);
    else if (stride == 2)
        for (size_t i = 0; i < count; i++)
            to[i] = from[2 * i];
    else
        for (size_t i = 0; i < count; i++)
            to[i] = from[i * stride];
}

/* Positions across, column .. column + count - 1, of one position down. */
static void read_row(sc_real *to, const line *l, const sc_patches *p, const sc_real *plane, size_t down, size_t column,
                     size_t count) {
    ptrdiff_t y = (ptrdiff_t)(down * p->down.stride) + l->down;
    size_t end = column + count, first = l->first > column ? l->first : column, last = sc_min(l->last, end);
    if (y < 0 || y >= (ptrdiff_t)p->down.size || first >= last) {
        memset(to, 0, count * sizeof *to);
        return;
    }
    for (size_t i = column; i < first; i++)
        to[i - column] = 0;
    const sc_real *from = plane + (size_t)y * p->across.size + (ptrdiff_t)(first * p->across.stride) + l->across;
    gather(to + (first - column), from, last - first, p->across.stride);
    for (size_t i = last; i < end; i++)
        to[i - column] = 0;
}

static void read_line(sc_real *to, const line *l, const sc_patches *p, size_t column, size_t count) {
    size_t positions = p->down.positions * p->across.positions, image = column / positions;
    size_t at = column % positions;
    while (count) {
        const sc_real *plane = l->plane + image * p->image_stride;
        size_t here = sc_min(count, positions - at);
        count -= here;
        if (l->whole) {
            sc_vector_copy(to, plane + at, here);
            to += here;
        } else {
            size_t row = at / p->across.positions, place = at % p->across.positions;
            for (size_t left = here; left; row++, place = 0) {
                size_t some = sc_min(left, p->across.positions - place);
                read_row(to, l, p, plane, row, place, some);
                to += some;
                left -= some;
            }
        }
        at = 0;
        image++;
    }
}

void sc_patches_line(sc_real *to, const sc_patches *p, size_t k, size_t column, size_t count) {
    line l = find_line(p, k);
    read_line(to, &l, p, column, count);
}

/* One line to its places in panels of columns, `stride` apart. */
static void deal_out(sc_real *to, size_t stride, const sc_real *numbers, size_t count) {
    for (; count >= SC_TILE_COLUMNS; count -= SC_TILE_COLUMNS, numbers += SC_TILE_COLUMNS, to += stride)
        sc_vector_copy(to, numbers, SC_TILE_COLUMNS);
    for (size_t i = 0; count && i < SC_TILE_COLUMNS; i++)
        to[i] = i < count ? numbers[i] : 0;
}

/* Lines are read over many panels at a time, and then dealt out to them; where a plane is a line, straight from it. */
static void pack_columns(sc_real *to, const void *context, size_t first, size_t count, size_t k, size_t depth) {
    const sc_patches *p = context;
    size_t positions = p->down.positions * p->across.positions, place = first % positions;
    sc_real segment[SEGMENT];
    for (size_t i = 0; i < depth; i++) {
        line l = find_line(p, k + i);
        if (l.whole && place + count <= positions) {
            const sc_real *from = l.plane + first / positions * p->image_stride + place;
            deal_out(to + i * SC_TILE_COLUMNS, depth * SC_TILE_COLUMNS, from, count);
            continue;
        }
        for (size_t at = 0; at < count; at += SEGMENT) {
            size_t some = sc_min(SEGMENT, count - at);
            read_line(segment, &l, p, first + at, some);
            deal_out(to + at * depth + i * SC_TILE_COLUMNS, depth * SC_TILE_COLUMNS, segment, some);
        }
    }
}

static void pack_lines(sc_real *to, const void *context, size_t first, size_t count, size_t k, size_t depth) {
    sc_real lines[SC_TILE_COLUMNS * SC_CHAIN];
    for (size_t i = 0; i < count; i += SC_TILE_COLUMNS) {
        size_t columns = sc_min(SC_TILE_COLUMNS, count - i);
        for (size_t c = 0; c < columns; c++)
            sc_patches_line(lines + c * SC_CHAIN, context, first + i + c, k, depth);
        sc_pack_lines(to + i * depth, SC_TILE_COLUMNS, lines, SC_CHAIN, columns, depth);
    }
}

sc_operand sc_patches_columns(const sc_patches *p) {
    return (sc_operand){.pack = pack_columns, .context = p};
}

sc_operand sc_patches_lines(const sc_patches *p) {
    return (sc_operand){.pack = pack_lines, .context = p};
}
