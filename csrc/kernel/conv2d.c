#include "kernel/conv2d.h"

#include "base/size.h"
#include "kernel/gemm.h"
#include "kernel/grouped.h"
#include "kernel/patches.h"
#include "kernel/winograd.h"

#include <string.h>

/* Numbers of one sum of one group. */
static size_t depth_of(const sc_conv2d_size *s) {
    return s->c / s->groups * s->kh * s->kw;
}

/* ---- places ---- */

/* Where the positions of a batch lie in maps of `channels` channels. A phase of a map is every stride-th position down
 * and across; all of them, where strides are 1. */
typedef struct places {
    size_t positions, across; /* of one phase of one image: all, and those across */
    size_t image_stride;      /* between images */
    size_t line_stride, step; /* between positions down, and across */
    bool whole;               /* positions of an image lie side by side */
} places;

static size_t find_runs(sc_run *out, const void *context, size_t column, size_t count) {
    const places *p = context;
    size_t runs = 0, image = column / p->positions, at = column % p->positions;
    while (count) {
        size_t row = at / p->across, place = at % p->across, left = p->whole ? p->positions - at : p->across - place;
        size_t chunk = left < count ? left : count;
        size_t address = p->whole ? at : row * p->line_stride + place * p->step;
        out[runs++] = (sc_run){image * p->image_stride + address, chunk};
        count -= chunk;
        at += chunk;
        if (at == p->positions) {
            at = 0;
            image++;
        }
    }
    return runs;
}

/* ---- forward ---- */

static sc_patches patches_of(const sc_real *x, const sc_conv2d_size *s, size_t group) {
    size_t plane = s->h * s->w;
    return (sc_patches){
        .x = x + group * (s->c / s->groups) * plane,
        .image_stride = s->c * plane,
        .down = {s->h, s->oh, s->kh, s->sh, -(ptrdiff_t)s->ph, (ptrdiff_t)s->dh},
        .across = {s->w, s->ow, s->kw, s->sw, -(ptrdiff_t)s->pw, (ptrdiff_t)s->dw},
    };
}

/* Weights of one group, packed. */
static size_t packed_group(const sc_conv2d_size *s) {
    return sc_packed_rows_size(s->o / s->groups, depth_of(s));
}

static void pack_group(sc_real *packed, const sc_real *w, const sc_conv2d_size *s, size_t group) {
    size_t outputs = s->o / s->groups, depth = depth_of(s);
    sc_matrix weights = sc_matrix_rows(SC_PLAIN, w + group * outputs * depth, depth);
    sc_operand rows = sc_rows_operand(&weights);
    sc_pack_rows(packed, &rows, outputs, depth);
}

static bool uses_winograd(const sc_conv2d_size *s) {
    return s->accuracy == SC_ACCURACY_FAST && sc_winograd_suits(s);
}

size_t sc_conv2d_packed_size(const sc_conv2d_size *s) {
    if (uses_winograd(s))
        return sc_winograd_filters_size(s, false);
    return sc_grouped_suits(s) ? 0 : s->groups * packed_group(s);
}

void sc_conv2d_pack(sc_real *packed, const sc_real *w, const sc_conv2d_size *s) {
    if (uses_winograd(s)) {
        sc_winograd_transform_filters(packed, w, s, false);
        return;
    }
    for (size_t group = 0; group < s->groups; group++)
        pack_group(packed + group * packed_group(s), w, s, group);
}

static void forward_group(sc_real *y, void *scratch, const sc_real *x, const sc_real *packed,
                          const sc_epilogue *epilogue, const sc_conv2d_size *s, size_t n, size_t group) {
    size_t outputs = s->o / s->groups, positions = s->oh * s->ow;
    sc_patches patches = patches_of(x, s, group);
    places to = {.positions = positions, .across = s->ow, .image_stride = s->o * positions, .whole = true};
    sc_product product = {
        .m = outputs,
        .n = n * positions,
        .k = depth_of(s),
        .rows = {.packed = packed},
        .columns = sc_patches_columns(&patches),
        .out = {.y = y,
                .first = group * outputs * positions,
                .row_stride = positions,
                .runs = find_runs,
                .context = &to,
                .epilogue = epilogue,
                .first_unit = group * outputs},
        .scratch = scratch,
    };
    sc_product_run(&product);
}

void sc_conv2d_forward(sc_real *y, void *scratch, const sc_real *x, const sc_real *w, const sc_real *packed,
                       const sc_epilogue *epilogue, const sc_conv2d_size *s, size_t n) {
    if (uses_winograd(s)) {
        sc_winograd_forward(y, scratch, x, w, packed, epilogue, s, n);
        return;
    }
    if (sc_grouped_suits(s)) {
        sc_grouped_forward(y, scratch, x, w, epilogue, s, n);
        return;
    }
    sc_real *own = (sc_real *)((char *)scratch + sc_product_scratch());
    for (size_t group = 0; group < s->groups; group++) {
        if (!packed)
            pack_group(own, w, s, group);
        forward_group(y, scratch, x, packed ? packed + group * packed_group(s) : own, epilogue, s, n, group);
    }
}

/* ---- backward ---- */

/* Weights as rows, one per input channel of a group; sums run over outputs and the taps of a phase. */
typedef struct flipped {
    const sc_real *w; /* of the group */
    size_t channels, kh, kw;
    const sc_patch_phase *down, *across;
} flipped;

static void pack_flipped(sc_real *to, const void *context, size_t first, size_t count, size_t k, size_t depth) {
    const flipped *t = context;
    size_t taps = t->down->axis.taps * t->across->axis.taps, kernel = t->kh * t->kw;
    for (size_t i = 0; i < count; i += SC_TILE_ROWS) {
        size_t width = sc_panel_rows(i, count), rows = count - i < width ? count - i : width;
        for (size_t d = 0; d < depth; d++, to += width) {
            size_t o = (k + d) / taps, tap = (k + d) % taps;
            size_t down = t->down->first + tap / t->across->axis.taps * t->down->step;
            size_t across = t->across->first + tap % t->across->axis.taps * t->across->step;
            const sc_real *from = t->w + (o * t->channels + first + i) * kernel + down * t->kw + across;
            for (size_t c = 0; c < width; c++)
                to[c] = c < rows ? from[c * kernel] : 0;
        }
    }
}

/* What the phases of the backward pass to the inputs share. */
typedef struct backward {
    sc_real *dx;
    void *scratch;
    const sc_real *dy, *w;
    const sc_conv2d_size *s;
    size_t n;
    bool add;
} backward;

static void backward_phase(const backward *b, size_t group, size_t phase_down, size_t phase_across) {
    const sc_conv2d_size *s = b->s;
    size_t channels = s->c / s->groups, outputs = s->o / s->groups, plane = s->h * s->w, positions = s->oh * s->ow;
    sc_patch_phase down = sc_patch_phase_find(s->h, s->oh, s->kh, s->sh, s->ph, s->dh, phase_down);
    sc_patch_phase across = sc_patch_phase_find(s->w, s->ow, s->kw, s->sw, s->pw, s->dw, phase_across);
    sc_patches patches = {.x = b->dy + group * outputs * positions,
                          .image_stride = s->o * positions,
                          .down = down.axis,
                          .across = across.axis};
    flipped weights = {b->w + group * outputs * depth_of(s), channels, s->kh, s->kw, &down, &across};
    places to = {.positions = down.axis.positions * across.axis.positions,
                 .across = across.axis.positions,
                 .image_stride = s->c * plane,
                 .line_stride = s->sh * s->w,
                 .step = s->sw,
                 .whole = s->sh == 1 && s->sw == 1};
    sc_product product = {
        .m = channels,
        .n = b->n * to.positions,
        .k = outputs * down.axis.taps * across.axis.taps,
        .columns = sc_patches_columns(&patches),
        .out = {.y = b->dx,
                .first = group * channels * plane + phase_down * s->w + phase_across,
                .row_stride = plane,
                .runs = find_runs,
                .context = &to,
                .step = s->sw,
                .add = b->add},
        .scratch = b->scratch,
    };
    sc_real *packed = (sc_real *)((char *)b->scratch + sc_product_scratch());
    sc_operand rows = {.pack = pack_flipped, .context = &weights};
    sc_pack_rows(packed, &rows, product.m, product.k);
    product.rows.packed = packed;
    sc_product_run(&product);
}

void sc_conv2d_backward_input(sc_real *dx, void *scratch, const sc_real *dy, const sc_real *w, const sc_conv2d_size *s,
                              size_t n, bool add) {
    if (uses_winograd(s)) {
        sc_winograd_backward_input(dx, scratch, dy, w, NULL, s, n, add);
        return;
    }
    if (sc_grouped_suits(s)) {
        sc_grouped_backward_input(dx, scratch, dy, w, s, n, add);
        return;
    }
    backward b = {.dx = dx, .scratch = scratch, .dy = dy, .w = w, .s = s, .n = n, .add = add};
    for (size_t group = 0; group < s->groups; group++)
        for (size_t down = 0; down < s->sh && down < s->h; down++)
            for (size_t across = 0; across < s->sw && across < s->w; across++)
                backward_phase(&b, group, down, across);
}

void sc_conv2d_backward_weight(sc_real *dw, void *scratch, const sc_real *dy, const sc_real *x, const sc_conv2d_size *s,
                               size_t n) {
    size_t outputs = s->o / s->groups, depth = depth_of(s), positions = s->oh * s->ow;
    if (uses_winograd(s)) {
        sc_winograd_backward_weight(dw, scratch, dy, x, s, n);
        return;
    }
    if (sc_grouped_suits_weight(s)) {
        sc_grouped_backward_weight(dw, scratch, dy, x, s, n);
        return;
    }
    for (size_t group = 0; group < s->groups; group++) {
        sc_patches patches = patches_of(x, s, group);
        sc_pieces rows = {dy + group * outputs * positions, positions, positions, s->o * positions};
        sc_product product = {
            .m = outputs,
            .n = depth,
            .k = n * positions,
            .rows = sc_pieces_rows(&rows),
            .columns = sc_patches_lines(&patches),
            .out = {.y = dw, .first = group * outputs * depth, .row_stride = depth, .add = true},
            .scratch = scratch,
        };
        sc_product_run(&product);
    }
}

/* ---- scratch ---- */

size_t sc_conv2d_scratch(const sc_conv2d_size *s, size_t n, bool weights) {
    size_t filters = packed_group(s); /* packed for forward, and flipped for the backward pass */
    size_t flipped_filters = sc_packed_rows_size(s->c / s->groups, s->o / s->groups * s->kh * s->kw);
    size_t plain = sc_product_scratch() + sc_max(filters, flipped_filters) * sizeof(sc_real);
    if (sc_grouped_suits(s))
        plain = sc_max(plain, sc_grouped_scratch(s));
    if (!sc_winograd_suits(s))
        return plain;
    plain = sc_max(plain, weights ? sc_winograd_weight_scratch(s, n) : 0);
    return sc_max(plain, sc_winograd_scratch(s, n));
}
