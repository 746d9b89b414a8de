#include "kernel/grouped.h"

#include "base/size.h"
#include "kernel/patches.h"

#include <omp.h>
#include <string.h>

/* Rows (outputs of a group) that are summed at a time: powers of two up to MAX_ROWS, which fill the registers of the
 * level with sums of as many vectors as WIDE_n says. BAND: numbers of an image's copy that suit the cache. */
enum {
    LINE = 64 / sizeof(sc_real),
    BAND = 32768,
    WIDE_1 = 8,
    WIDE_2 = SC_TILE_ROWS == 12 ? 8 : 4,
    WIDE_4 = SC_TILE_ROWS == 12 ? 6 : 3,
    WIDE_8 = 3,
    MAX_ROWS = SC_TILE_ROWS == 12 ? 8 : 4,
    MAX_VECTORS = 8,
    MAX_STRIDE = 4,
};

/* ---- runs ---- */

/* One direction of a copy, which holds places low .. low + (positions - 1) * stride + span of an image, those of every
 * phase of the stride by themselves: so every tap reads the next place at the next position. */
typedef struct copy_axis {
    ptrdiff_t low;
    size_t span, phases;
} copy_axis;

/* Maps of all groups: numbers between images, groups, channels of a group and lines. */
typedef struct maps {
    size_t image, group, channel, line;
} maps;

/* Sums at all positions of all images: the forward pass, or one phase of the backward pass. */
typedef struct run {
    sc_patch_axis down, across;
    copy_axis copy_down, copy_across;
    size_t groups, channels, rows; /* of a group: the channels that sums run over, and the sums of a position */
    size_t depth;                  /* numbers of a sum */
    size_t band, pitch;            /* positions down that are summed from one copy, numbers between lines of a phase */
    const sc_real *x;
    maps from, to;
    sc_real *y;
    size_t first, step; /* of the output: the place of position 0, and the distance of positions across */
    bool add;
    const sc_epilogue *epilogue;
    const sc_real *weights; /* [groups x depth x rows], see pack_weights */
    const size_t *taps;     /* [depth]: where they begin in a copy */
} run;

static copy_axis make_copy_axis(const sc_patch_axis *a) {
    ptrdiff_t reach = a->taps ? (ptrdiff_t)(a->taps - 1) * a->step : 0;
    copy_axis c = {.low = a->first + (reach < 0 ? reach : 0), .span = (size_t)(reach < 0 ? -reach : reach)};
    c.phases = sc_min(a->stride, c.span + 1);
    return c;
}

static size_t copied_lines(const run *r) {
    return r->band + r->copy_down.span / r->down.stride;
}

static size_t copied_channel(const run *r) {
    return r->copy_down.phases * r->copy_across.phases * copied_lines(r) * r->pitch;
}

/* Positions lie in a band as in one phase of its copy. */
static size_t band_positions(const run *r) {
    return sc_round_up(r->band * r->pitch, SC_VECTOR);
}

/* Vectors that begin within a band may end beyond its copy. */
static size_t copy_reals(const run *r) {
    return sc_round_up(r->channels * copied_channel(r) + MAX_VECTORS * SC_VECTOR, LINE);
}

static size_t sums_reals(const run *r) {
    return sc_round_up(r->rows * band_positions(r), LINE);
}

/* Fills what follows from the axes and the numbers of channels. */
static void lay_out(run *r) {
    r->depth = r->channels * r->down.taps * r->across.taps;
    r->copy_down = make_copy_axis(&r->down);
    r->copy_across = make_copy_axis(&r->across);
    r->pitch = r->across.positions + r->copy_across.span / r->across.stride;
    size_t halo = r->copy_down.span / r->down.stride;
    size_t line = r->pitch * sc_max(r->channels * r->copy_down.phases * r->copy_across.phases, r->rows);
    size_t lines = sc_max(BAND / line, 2 * halo + 1) - halo;
    size_t bands = sc_divide_up(r->down.positions, sc_min(lines, r->down.positions));
    r->band = sc_divide_up(r->down.positions, bands);
}

/* ---- packing ---- */

/* Weight (group, row, channel, tap down, tap across) is at w[group * group_stride + ...]; of the taps, some. */
typedef struct weights {
    const sc_real *w;
    size_t group, row, channel, line; /* numbers between them */
    size_t first_down, step_down, first_across, step_across;
} weights;

/* How many of `left` rows are summed at a time. */
static size_t some_rows(size_t left) {
    size_t rows = MAX_ROWS;
    while (rows > left)
        rows /= 2;
    return rows;
}

/* to[groups][pieces of rows][depth][rows of the piece] */
static void pack_weights(sc_real *to, const weights *w, const run *r) {
    for (size_t group = 0; group < r->groups; group++)
        for (size_t row = 0, rows; row < r->rows; row += rows) {
            rows = some_rows(r->rows - row);
            for (size_t c = 0; c < r->channels; c++)
                for (size_t down = 0; down < r->down.taps; down++)
                    for (size_t across = 0; across < r->across.taps; across++) {
                        const sc_real *from = w->w + group * w->group + row * w->row + c * w->channel +
                                              (w->first_down + down * w->step_down) * w->line + w->first_across +
                                              across * w->step_across;
                        for (size_t i = 0; i < rows; i++)
                            *to++ = from[i * w->row];
                    }
        }
}

static void find_taps(size_t *taps, const run *r) {
    size_t plane = copied_lines(r) * r->pitch;
    for (size_t c = 0; c < r->channels; c++)
        for (size_t t = 0; t < r->down.taps; t++)
            for (size_t u = 0; u < r->across.taps; u++) {
                size_t down = (size_t)(r->down.first + (ptrdiff_t)t * r->down.step - r->copy_down.low);
                size_t across = (size_t)(r->across.first + (ptrdiff_t)u * r->across.step - r->copy_across.low);
                size_t phase = down % r->down.stride * r->copy_across.phases + across % r->across.stride;
                *taps++ = c * copied_channel(r) + phase * plane + down / r->down.stride * r->pitch +
                          across / r->across.stride;
            }
}

/* to[pitch] = places first, first + stride, ... of line[size], zero beyond its ends. */
static void copy_line(sc_real *restrict to, const sc_real *restrict line, ptrdiff_t first, size_t stride, size_t size,
                      size_t pitch) {
    size_t low = first < 0 ? sc_min(sc_divide_up((size_t)-first, stride), pitch) : 0, high = low;
    if (first < (ptrdiff_t)size)
        high = sc_max(low, sc_min(sc_divide_up((size_t)((ptrdiff_t)size - first), stride), pitch));
    const sc_real *from = line + first;
    for (size_t i = 0; i < low; i++)
        to[i] = 0;
    if (stride == 1)
        for (size_t i = low; i < high; i++)
            to[i] = from[i];
    else if (stride == 2)
        for (size_t i = low; i < high; i++)
            to[i] = from[2 * i];
    else
        for (size_t i = low; i < high; i++)
            to[i] = from[i * stride];
    for (size_t i = high; i < pitch; i++)
        to[i] = 0;
}

/* The copy of a group's channels for positions down from `position` on. */
static void copy_band(sc_real *to, const run *r, const sc_real *x, size_t position) {
    size_t lines = copied_lines(r);
    for (size_t c = 0; c < r->channels; c++)
        for (size_t down = 0; down < r->copy_down.phases; down++)
            for (size_t across = 0; across < r->copy_across.phases; across++)
                for (size_t i = 0; i < lines; i++, to += r->pitch) {
                    ptrdiff_t at = (ptrdiff_t)((position + i) * r->down.stride + down) + r->copy_down.low;
                    if (at < 0 || at >= (ptrdiff_t)r->down.size)
                        memset(to, 0, r->pitch * sizeof *to);
                    else
                        copy_line(to, x + c * r->from.channel + (size_t)at * r->from.line,
                                  r->copy_across.low + (ptrdiff_t)across, r->across.stride, r->across.size, r->pitch);
                }
    memset(to, 0, MAX_VECTORS * SC_VECTOR * sizeof *to);
}

/* ---- sums ---- */

/* One chain of sums: y[rows x vectors] = w x, or with `add` y +=; rows and vectors are constants where this is inlined.
 */
SC_INLINE void chain(sc_real *y, size_t ld, const sc_real *restrict x, const size_t *restrict taps,
                     const sc_real *restrict w, size_t depth, bool add, const size_t rows, const size_t vectors) {
    sc_vector sum[MAX_ROWS][MAX_VECTORS];
#pragma GCC unroll 8
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (size_t j = 0; j < vectors; j++)
            sum[i][j] = (sc_vector){0};
    for (size_t k = 0; k < depth; k++, w += rows) {
        const sc_real *from = x + taps[k];
        sc_vector right[MAX_VECTORS];
#pragma GCC unroll 8
        for (size_t j = 0; j < vectors; j++)
            right[j] = sc_vector_load(from + j * SC_VECTOR);
#pragma GCC unroll 8
        for (size_t i = 0; i < rows; i++) {
            sc_vector left = sc_vector_all(w[i]);
#pragma GCC unroll 8
            for (size_t j = 0; j < vectors; j++)
                sum[i][j] = sc_vector_fma(left, right[j], sum[i][j]);
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (size_t j = 0; j < vectors; j++) {
            sc_real *to = y + i * ld + j * SC_VECTOR;
            sc_vector_store(to, add ? sc_vector_load(to) + sum[i][j] : sum[i][j]);
        }
}

/* A piece of rows at count positions, a multiple of SC_VECTOR. */
SC_INLINE void sum_rows(sc_real *y, size_t ld, const sc_real *x, const run *r, const sc_real *w, size_t count,
                        const size_t rows, const size_t wide) {
    const size_t narrow = (wide + 1) / 2;
    for (size_t at = 0, left = count / SC_VECTOR; left;) {
        size_t vectors = left >= wide ? wide : left >= narrow ? narrow : 1;
        for (size_t k = 0; k < r->depth; k += SC_CHAIN) {
            size_t depth = sc_min(SC_CHAIN, r->depth - k);
            bool add = k > 0 || r->add;
            if (vectors == wide)
                chain(y + at, ld, x + at, r->taps + k, w + k * rows, depth, add, rows, wide);
            else if (vectors == narrow)
                chain(y + at, ld, x + at, r->taps + k, w + k * rows, depth, add, rows, narrow);
            else
                chain(y + at, ld, x + at, r->taps + k, w + k * rows, depth, add, rows, 1);
        }
        at += vectors * SC_VECTOR;
        left -= vectors;
    }
}

static void sum_band(sc_real *y, const sc_real *x, const run *r, const sc_real *w, size_t count) {
    size_t ld = band_positions(r);
    if (r->depth == 0 && !r->add)
        memset(y, 0, sums_reals(r) * sizeof *y);
    for (size_t row = 0, rows; row < r->rows; row += rows, y += rows * ld, w += rows * r->depth) {
        rows = some_rows(r->rows - row);
        if (rows == 1)
            sum_rows(y, ld, x, r, w, count, 1, WIDE_1);
        else if (rows == 2)
            sum_rows(y, ld, x, r, w, count, 2, WIDE_2);
        else if (rows == 4)
            sum_rows(y, ld, x, r, w, count, 4, WIDE_4);
        else
            sum_rows(y, ld, x, r, w, count, MAX_ROWS, WIDE_8);
    }
}

/* ---- outputs ---- */

static void move(sc_real *restrict to, size_t to_step, const sc_real *restrict from, size_t from_step, size_t count) {
    if (to_step == 1 && from_step == 1)
        for (size_t i = 0; i < count; i++)
            to[i] = from[i];
    else
        for (size_t i = 0; i < count; i++)
            to[i * to_step] = from[i * from_step];
}

static void interleave(sc_real *restrict to, const sc_real *restrict even, const sc_real *restrict odd, size_t count) {
    size_t pairs = count / 2;
    for (size_t i = 0; i < pairs; i++) {
        to[2 * i] = even[i];
        to[2 * i + 1] = odd[i];
    }
    if (count % 2)
        to[count - 1] = even[pairs];
}

/* What sums of a band are added to: zero where there is no position. */
static void read_band(sc_real *sums, const run *r, size_t at, size_t lines) {
    memset(sums, 0, sums_reals(r) * sizeof *sums);
    for (size_t row = 0; row < r->rows; row++)
        for (size_t i = 0; i < lines; i++)
            move(sums + row * band_positions(r) + i * r->pitch, 1, r->y + at + row * r->to.channel + i * r->to.line,
                 r->step, r->across.positions);
}

static void write_band(const run *r, const sc_real *sums, size_t at, size_t lines) {
    for (size_t row = 0; row < r->rows; row++)
        for (size_t i = 0; i < lines; i++)
            move(r->y + at + row * r->to.channel + i * r->to.line, r->step,
                 sums + row * band_positions(r) + i * r->pitch, 1, r->across.positions);
}

/* Two runs that take turns across. */
static void write_bands(const run *r, const sc_real *sums, size_t at, size_t lines) {
    const sc_real *even = sums, *odd = sums + sums_reals(r);
    for (size_t row = 0; row < r->rows; row++)
        for (size_t i = 0; i < lines; i++)
            interleave(r->y + at + row * r->to.channel + i * r->to.line, even + row * band_positions(r) + i * r->pitch,
                       odd + row * band_positions(r + 1) + i * r[1].pitch, r->across.positions + r[1].across.positions);
}

/* ---- all runs ---- */

/* [down x across] runs of one convolution; those across have the same bands. */
typedef struct convolution {
    run run[MAX_STRIDE * MAX_STRIDE];
    size_t down, across;
    size_t copy, sums; /* most numbers of a copy, and of the sums of runs across */
} convolution;

/* A thread's part of scratch: a copy, and sums. */
static void compute_band(sc_real *scratch, const convolution *p, const run *first, size_t image, size_t group,
                         size_t position) {
    sc_real *sums = scratch + p->copy;
    size_t lines = sc_min(first->band, first->down.positions - position);
    size_t place = image * first->to.image + group * first->to.group + position * first->to.line;
    for (const run *r = first; r < first + p->across; sums += sums_reals(r), r++) {
        if (r->add)
            read_band(sums, r, place + r->first, lines);
        copy_band(scratch, r, r->x + image * r->from.image + group * r->from.group, position);
        sum_band(sums, scratch, r, r->weights + group * r->depth * r->rows,
                 sc_round_up((lines - 1) * r->pitch + r->across.positions, SC_VECTOR));
        if (p->across != 2)
            write_band(r, sums, place + r->first, lines);
    }
    if (p->across == 2)
        write_bands(first, scratch + p->copy, place + first->first, lines);
    for (size_t row = 0; first->epilogue && row < first->rows; row++) { /* positions lie side by side there */
        size_t at = place + row * first->to.channel;
        sc_epilogue_apply(first->y + at, first->epilogue, group * first->rows + row, at, lines * first->to.line);
    }
}

/* Weights and taps of a run. */
static size_t taps_at(const run *r) {
    return sc_round_up(r->groups * r->rows * r->depth, LINE);
}

static size_t packed_reals(const run *r) {
    return taps_at(r) + sc_round_up(sc_divide_up(r->depth * sizeof(size_t), sizeof(sc_real)), LINE);
}

static size_t convolution_reals(const convolution *p) {
    size_t reals = (size_t)omp_get_max_threads() * (p->copy + p->sums);
    for (size_t i = 0; i < p->down * p->across; i++)
        reals += packed_reals(&p->run[i]);
    return reals;
}

/* Packs the weights and finds the taps of a run; *to moves on. */
static void prepare_run(run *r, sc_real **to, const weights *w) {
    size_t *taps = (size_t *)(void *)(*to + taps_at(r));
    pack_weights(*to, w, r);
    find_taps(taps, r);
    r->weights = *to;
    r->taps = taps;
    *to += packed_reals(r);
}

static void run_all(const convolution *p, sc_real *scratch, size_t n) {
    size_t groups = p->run[0].groups, each = p->copy + p->sums;
    size_t work = n * groups * p->run[0].down.positions * p->run[0].across.positions;
#pragma omp parallel for schedule(static) if (work > 16384)
    for (size_t i = 0; i < n * groups; i++) {
        sc_real *mine = scratch + (size_t)omp_get_thread_num() * each;
        for (const run *r = p->run; r < p->run + p->down * p->across; r += p->across)
            for (size_t position = 0; position < r->down.positions; position += r->band)
                compute_band(mine, p, r, i / groups, i % groups, position);
    }
}

/* Gives runs across the same bands, and finds what they take at most. */
static void match_bands(convolution *p) {
    for (run *r = p->run; r < p->run + p->down * p->across; r += p->across) {
        size_t sums = 0;
        for (size_t j = 1; j < p->across; j++)
            r->band = sc_min(r->band, r[j].band);
        for (size_t j = 0; j < p->across; j++) {
            r[j].band = r->band;
            sums += sums_reals(&r[j]);
            p->copy = sc_max(p->copy, copy_reals(&r[j]));
        }
        p->sums = sc_max(p->sums, sums);
    }
}

/* ---- forward and backward ---- */

static void describe_forward(convolution *p, const sc_conv2d_size *s) {
    size_t plane = s->h * s->w, positions = s->oh * s->ow, channels = s->c / s->groups, rows = s->o / s->groups;
    *p = (convolution){.down = 1, .across = 1};
    p->run[0] = (run){
        .down = {s->h, s->oh, s->kh, s->sh, -(ptrdiff_t)s->ph, (ptrdiff_t)s->dh},
        .across = {s->w, s->ow, s->kw, s->sw, -(ptrdiff_t)s->pw, (ptrdiff_t)s->dw},
        .groups = s->groups,
        .channels = channels,
        .rows = rows,
        .from = {s->c * plane, channels * plane, plane, s->w},
        .to = {s->o * positions, rows * positions, positions, s->ow},
        .step = 1,
    };
    lay_out(&p->run[0]);
    match_bands(p);
}

static sc_patch_phase phase_down(const sc_conv2d_size *s, size_t phase) {
    return sc_patch_phase_find(s->h, s->oh, s->kh, s->sh, s->ph, s->dh, phase);
}

static sc_patch_phase phase_across(const sc_conv2d_size *s, size_t phase) {
    return sc_patch_phase_find(s->w, s->ow, s->kw, s->sw, s->pw, s->dw, phase);
}

static void describe_backward(convolution *p, const sc_conv2d_size *s) {
    size_t plane = s->h * s->w, positions = s->oh * s->ow, channels = s->o / s->groups, rows = s->c / s->groups;
    *p = (convolution){.down = sc_min(s->sh, s->h), .across = sc_min(s->sw, s->w)};
    for (size_t i = 0; i < p->down * p->across; i++) {
        sc_patch_phase down = phase_down(s, i / p->across), across = phase_across(s, i % p->across);
        p->run[i] = (run){
            .down = down.axis,
            .across = across.axis,
            .groups = s->groups,
            .channels = channels,
            .rows = rows,
            .from = {s->o * positions, channels * positions, positions, s->ow},
            .to = {s->c * plane, rows * plane, plane, s->sh * s->w},
            .first = down.phase * s->w + across.phase,
            .step = s->sw,
        };
        lay_out(&p->run[i]);
    }
    match_bands(p);
}

void sc_grouped_forward(sc_real *y, void *scratch, const sc_real *x, const sc_real *w, const sc_epilogue *epilogue,
                        const sc_conv2d_size *s, size_t n) {
    convolution p;
    sc_real *rest = scratch;
    describe_forward(&p, s);
    run *r = p.run;
    weights all = {w, r->rows * r->depth, r->depth, s->kh * s->kw, s->kw, 0, 1, 0, 1};
    r->x = x;
    r->y = y;
    r->epilogue = epilogue;
    prepare_run(r, &rest, &all);
    run_all(&p, rest, n);
}

void sc_grouped_backward_input(sc_real *dx, void *scratch, const sc_real *dy, const sc_real *w, const sc_conv2d_size *s,
                               size_t n, bool add) {
    size_t kernel = s->kh * s->kw, flipped = s->c / s->groups * kernel;
    convolution p;
    sc_real *rest = scratch;
    describe_backward(&p, s);
    for (size_t i = 0; i < p.down * p.across; i++) {
        sc_patch_phase down = phase_down(s, i / p.across), across = phase_across(s, i % p.across);
        weights some = {
            w, s->o / s->groups * flipped, kernel, flipped, s->kw, down.first, down.step, across.first, across.step};
        p.run[i].x = dy;
        p.run[i].y = dx;
        p.run[i].add = add;
        prepare_run(&p.run[i], &rest, &some);
    }
    run_all(&p, rest, n);
}

bool sc_grouped_suits(const sc_conv2d_size *s) {
    const size_t max_channels = 32; /* channels, above which products are no slower */
    return s->groups > 1 && s->o / s->groups <= max_channels && s->c / s->groups <= max_channels &&
           s->sh <= MAX_STRIDE && s->sw <= MAX_STRIDE;
}

size_t sc_grouped_scratch(const sc_conv2d_size *s) {
    convolution forward, backward;
    describe_forward(&forward, s);
    describe_backward(&backward, s);
    return sc_max(sc_max(convolution_reals(&forward), convolution_reals(&backward)) * sizeof(sc_real),
                  sc_grouped_weight_scratch(s));
}
