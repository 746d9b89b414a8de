#include "kernel/grouped.h"

#include "base/size.h"
#include "kernel/product.h"

#include <omp.h>
#include <string.h>

/* Gradients of weights are sums over positions, one chain after the other, so vectors hold the same weight of
 * SC_VECTOR groups: images and gradients are copied with those side by side. Weights are summed in tiles: a few outputs
 * times a few taps. */
enum {
    LINE = 64 / sizeof(sc_real),
    BAND = 32768,  /* numbers of the copies that suit the cache */
    MANY_TAPS = 9, /* of a tile with one output, where that is all */
    FEW_TAPS = 3,
    MAX_OUTPUTS = 4,
};

typedef struct layout {
    const sc_conv2d_size *s;
    size_t channels, outputs;    /* of a group */
    size_t taps, tile, all_taps; /* of one channel; of a tile; rounded up to whole tiles */
    size_t band, lines, pitch;   /* positions down in the copies, and lines and their length that these read */
} layout;

static layout make_layout(const sc_conv2d_size *s) {
    layout l = {.s = s, .channels = s->c / s->groups, .outputs = s->o / s->groups, .taps = s->kh * s->kw};
    l.tile = l.outputs == 1 ? MANY_TAPS : FEW_TAPS;
    l.all_taps = sc_round_up(l.taps, l.tile);
    l.pitch = (s->ow - 1) * s->sw + (s->kw - 1) * s->dw + 1;
    size_t reach = (s->kh - 1) * s->dh + 1, fixed = reach * l.pitch * SC_VECTOR;
    size_t each = (s->sh * l.pitch + l.outputs * s->ow) * SC_VECTOR, left = sc_max(BAND, 2 * fixed) - fixed;
    size_t bands = sc_divide_up(s->oh, sc_min(sc_max(left / each, 1), s->oh));
    l.band = sc_divide_up(s->oh, bands);
    l.lines = (l.band - 1) * s->sh + reach;
    return l;
}

/* A thread's part of scratch: sums that are complete, those of the present chain, copies, and where taps begin. */
static size_t sums_reals(const layout *l) {
    return l->outputs * l->all_taps * SC_VECTOR;
}

static size_t image_reals(const layout *l) {
    return l->lines * l->pitch * SC_VECTOR;
}

static size_t gradient_reals(const layout *l) {
    return l->outputs * l->band * l->s->ow * SC_VECTOR;
}

static size_t thread_reals(const layout *l) {
    size_t taps = sc_divide_up(l->all_taps * sizeof(size_t), sizeof(sc_real));
    return sc_round_up(2 * sums_reals(l) + image_reals(l) + gradient_reals(l) + taps, LINE);
}

/* What a thread works on: one channel of SC_VECTOR groups. */
typedef struct task {
    const layout *l;
    const sc_real *x, *dy; /* of the first of these groups */
    size_t groups;         /* that there are */
    sc_real *total, *sum, *image, *gradient;
    size_t *taps;
    size_t left; /* positions that the present chain lacks */
} task;

/* ---- copies ---- */

/* to[lines x pitch x SC_VECTOR], from the line that the first tap of a position down reads. */
static void copy_image(const task *t, const sc_real *x, size_t position) {
    const sc_conv2d_size *s = t->l->s;
    size_t plane = s->h * s->w, pitch = t->l->pitch, low = sc_min(s->pw, pitch);
    size_t high = sc_max(low, sc_min(pitch, s->w + s->pw));
    for (size_t i = 0; i < t->l->lines; i++) {
        sc_real *to = t->image + i * pitch * SC_VECTOR;
        size_t line = position * s->sh + i; /* of the padded image */
        if (line < s->ph || line >= s->ph + s->h) {
            memset(to, 0, pitch * SC_VECTOR * sizeof *to);
            continue;
        }
        memset(to, 0, low * SC_VECTOR * sizeof *to);
        sc_pack_lines(to + low * SC_VECTOR, SC_VECTOR, x + (line - s->ph) * s->w, t->l->channels * plane, t->groups,
                      high - low);
        memset(to + high * SC_VECTOR, 0, (pitch - high) * SC_VECTOR * sizeof *to);
    }
}

/* to[outputs x lines x ow x SC_VECTOR] */
static void copy_gradient(const task *t, const sc_real *dy, size_t position, size_t lines) {
    const sc_conv2d_size *s = t->l->s;
    size_t positions = s->oh * s->ow;
    for (size_t o = 0; o < t->l->outputs; o++)
        sc_pack_lines(t->gradient + o * t->l->band * s->ow * SC_VECTOR, SC_VECTOR,
                      dy + o * positions + position * s->ow, t->l->outputs * positions, t->groups, lines * s->ow);
}

/* ---- sums ---- */

/* sum[outputs x all_taps] += the products at count positions; outputs and taps are constants where this is inlined. */
SC_INLINE void sum_tile(sc_real *sum, size_t ld, const sc_real *restrict dy, size_t dy_output,
                        const sc_real *restrict x, size_t x_step, const size_t *taps, size_t count,
                        const size_t outputs, const size_t tile) {
    sc_vector part[MAX_OUTPUTS][MANY_TAPS];
    const sc_real *from[MANY_TAPS];
#pragma GCC unroll 9
    for (size_t u = 0; u < tile; u++)
        from[u] = x + taps[u];
#pragma GCC unroll 4
    for (size_t o = 0; o < outputs; o++)
#pragma GCC unroll 9
        for (size_t u = 0; u < tile; u++)
            part[o][u] = sc_vector_load(sum + o * ld + u * SC_VECTOR);
    for (size_t i = 0, at = 0; i < count; i++, at += x_step, dy += SC_VECTOR) {
        sc_vector left[MAX_OUTPUTS];
#pragma GCC unroll 4
        for (size_t o = 0; o < outputs; o++)
            left[o] = sc_vector_load(dy + o * dy_output);
#pragma GCC unroll 9
        for (size_t u = 0; u < tile; u++) {
            sc_vector right = sc_vector_load(from[u] + at);
#pragma GCC unroll 4
            for (size_t o = 0; o < outputs; o++)
                part[o][u] = sc_vector_fma(left[o], right, part[o][u]);
        }
    }
#pragma GCC unroll 4
    for (size_t o = 0; o < outputs; o++)
#pragma GCC unroll 9
        for (size_t u = 0; u < tile; u++)
            sc_vector_store(sum + o * ld + u * SC_VECTOR, part[o][u]);
}

/* All weights at `count` positions across, from (line of the band, place) on. */
static void sum_segment(const task *t, size_t line, size_t place, size_t count) {
    const layout *l = t->l;
    size_t ld = l->all_taps * SC_VECTOR, next = l->band * l->s->ow * SC_VECTOR, step = l->s->sw * SC_VECTOR;
    const sc_real *dy = t->gradient + (line * l->s->ow + place) * SC_VECTOR;
    const sc_real *x = t->image + (line * l->s->sh * l->pitch + place * l->s->sw) * SC_VECTOR;
    for (size_t o = 0, outputs; o < l->outputs; o += outputs, dy += outputs * next) {
        size_t left = l->outputs - o;
        outputs = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        for (size_t u = 0; u < l->all_taps; u += l->tile) {
            sc_real *sum = t->sum + o * ld + u * SC_VECTOR;
            if (l->tile == MANY_TAPS)
                sum_tile(sum, ld, dy, next, x, step, t->taps + u, count, 1, MANY_TAPS);
            else if (outputs == 4)
                sum_tile(sum, ld, dy, next, x, step, t->taps + u, count, 4, FEW_TAPS);
            else if (outputs == 2)
                sum_tile(sum, ld, dy, next, x, step, t->taps + u, count, 2, FEW_TAPS);
            else
                sum_tile(sum, ld, dy, next, x, step, t->taps + u, count, 1, FEW_TAPS);
        }
    }
}

static void end_chain(task *t) {
    for (size_t i = 0; i < sums_reals(t->l); i++) {
        t->total[i] += t->sum[i];
        t->sum[i] = 0;
    }
    t->left = SC_CHAIN;
}

static void sum_image(task *t, const sc_real *x, const sc_real *dy) {
    const sc_conv2d_size *s = t->l->s;
    for (size_t position = 0; position < s->oh; position += t->l->band) {
        size_t lines = sc_min(t->l->band, s->oh - position);
        copy_image(t, x, position);
        copy_gradient(t, dy, position, lines);
        for (size_t line = 0; line < lines; line++)
            for (size_t place = 0, count; place < s->ow; place += count) {
                count = sc_min(s->ow - place, t->left);
                sum_segment(t, line, place, count);
                t->left -= count;
                if (t->left == 0)
                    end_chain(t);
            }
    }
}

/* ---- all of them ---- */

/* Gradients of the task's weights, from dw of its first group and channel on: loads them into the vectors of its sums,
 * or stores these. */
static void transfer_weights(const task *t, sc_real *dw, bool store) {
    const layout *l = t->l;
    for (size_t group = 0; group < t->groups; group++)
        for (size_t o = 0; o < l->outputs; o++)
            for (size_t u = 0; u < l->taps; u++) {
                sc_real *there = dw + ((group * l->outputs + o) * l->channels) * l->taps + u;
                sc_real *here = t->total + (o * l->all_taps + u) * SC_VECTOR + group;
                if (store)
                    *there = *here;
                else
                    *here = *there;
            }
}

static void find_taps(const task *t) {
    const sc_conv2d_size *s = t->l->s;
    for (size_t u = 0; u < t->l->all_taps; u++) {
        size_t tap = sc_min(u, t->l->taps - 1); /* a last tile may sum one several times */
        t->taps[u] = (tap / s->kw * s->dh * t->l->pitch + tap % s->kw * s->dw) * SC_VECTOR;
    }
}

static void run_task(sc_real *scratch, const layout *l, sc_real *dw, const sc_real *dy, const sc_real *x, size_t n,
                     size_t first, size_t channel) {
    const sc_conv2d_size *s = l->s;
    size_t plane = s->h * s->w, positions = s->oh * s->ow, sums = sums_reals(l);
    task t = {.l = l, .groups = sc_min(SC_VECTOR, s->groups - first), .left = SC_CHAIN};
    t.taps = (size_t *)(void *)scratch;
    t.total = scratch + sc_divide_up(l->all_taps * sizeof(size_t), sizeof(sc_real));
    t.sum = t.total + sums;
    t.image = t.sum + sums;
    t.gradient = t.image + image_reals(l);
    sc_real *weights = dw + (first * l->outputs * l->channels + channel) * l->taps;
    find_taps(&t);
    memset(t.total, 0, 2 * sums * sizeof *t.total);
    transfer_weights(&t, weights, false);
    for (size_t image = 0; image < n; image++)
        sum_image(&t, x + (image * s->c + first * l->channels + channel) * plane,
                  dy + (image * s->o + first * l->outputs) * positions);
    if (t.left < SC_CHAIN)
        end_chain(&t);
    transfer_weights(&t, weights, true);
}

void sc_grouped_backward_weight(sc_real *dw, void *scratch, const sc_real *dy, const sc_real *x,
                                const sc_conv2d_size *s, size_t n) {
    layout l = make_layout(s);
    size_t blocks = sc_divide_up(s->groups, SC_VECTOR);
#pragma omp parallel for schedule(dynamic, 1) if (n * s->o * s->oh * s->ow > 16384)
    for (size_t i = 0; i < blocks * l.channels; i++)
        run_task((sc_real *)scratch + (size_t)omp_get_thread_num() * thread_reals(&l), &l, dw, dy, x, n,
                 i / l.channels * SC_VECTOR, i % l.channels);
}

bool sc_grouped_suits_weight(const sc_conv2d_size *s) {
    const size_t max_channels = 16; /* channels, above which products are no slower */
    return sc_grouped_suits(s) && s->o / s->groups <= max_channels && s->c / s->groups <= max_channels &&
           2 * s->groups >= SC_VECTOR;
}

size_t sc_grouped_weight_scratch(const sc_conv2d_size *s) {
    layout l = make_layout(s);
    return (size_t)omp_get_max_threads() * thread_reals(&l) * sizeof(sc_real);
}
