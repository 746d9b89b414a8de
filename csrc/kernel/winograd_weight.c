#include "base/size.h"
#include "kernel/gemm.h"
#include "kernel/winograd.h"
#include "kernel/winograd_tiles.h"

#include <omp.h>
#include <string.h>

enum {
    TILE = SC_WINOGRAD_TILE,
    REACH = SC_WINOGRAD_REACH,
    POINTS = SC_WINOGRAD_POINTS,
    GROUP = SC_CHAIN / SC_WINOGRAD_TILES, /* blocks that are treated at a time: a chain of the sums */
    CHANNELS = 16,                        /* whose transforms are one task */
};

/* One convolution's inputs and gradients of outputs, of a group of blocks, as lines, one per channel, at all points;
 * and the gradients of its filters in the transformed space. */
typedef struct weights {
    sc_tiling t;
    size_t v_step, m_step; /* from point to point; from block to block POINTS times as much */
    const sc_real *x, *dy;
    sc_real *v, *m;
    sc_real *u; /* [POINTS x o x c] */
    void *products;
    size_t threads;
} weights;

/* ---- sizes ---- */

static weights describe(const sc_conv2d_size *s, size_t n) {
    weights p = {.t = sc_tiling_make(s, n, false), .threads = sc_product_threads()};
    p.v_step = sc_tiling_step(p.t.c * p.t.width);
    p.m_step = sc_tiling_step(p.t.o * p.t.width);
    return p;
}

static size_t blocks_at_a_time(const weights *p) {
    return sc_min(GROUP, p->t.blocks);
}

static size_t filters_size(const weights *p) {
    return sc_tiling_step(POINTS * p->t.o * p->t.c);
}

size_t sc_winograd_weight_scratch(const sc_conv2d_size *s, size_t n) {
    weights p = describe(s, n);
    size_t reals = filters_size(&p) + blocks_at_a_time(&p) * POINTS * (p.v_step + p.m_step);
    return reals * sizeof(sc_real) + p.threads * sc_product_thread_scratch();
}

/* ---- gradients of outputs ---- */

static void transform_down(sc_real *out, const sc_real *in, size_t length) {
    for (size_t l = 0; l < length; l += SC_LANES) {
        sc_lanes g[TILE], m[REACH];
        for (size_t i = 0; i < TILE; i++)
            g[i] = *(const sc_lanes_unaligned *)(in + i * length + l);
        sc_winograd_output_gradients(m, g);
        for (size_t i = 0; i < REACH; i++)
            *(sc_lanes_unaligned *)(out + i * length + l) = m[i];
    }
}

/* SC_LANES tiles, four numbers each in every line of `in`. */
static void transform_across(sc_real *out, size_t step, const sc_real *in, size_t length) {
    size_t at[4][SC_QUADS];
    for (size_t l = 0; l < SC_LANES; l++)
        at[l % 4][l / 4] = TILE * l;
    for (size_t i = 0; i < REACH; i++, in += length) {
        sc_lanes g[TILE], m[REACH];
        for (size_t r = 0; r < TILE; r++)
            sc_lanes_gather(&g[r], in, at[r]);
        sc_lanes_transpose(g);
        sc_winograd_output_gradients(m, g);
        for (size_t j = 0; j < REACH; j++)
            *(sc_lanes_unaligned *)(out + (i * REACH + j) * step) = m[j];
    }
}

/* m of a block, channels first .. last - 1. */
static void transform_gradients(sc_real *m, const weights *p, size_t block, size_t first, size_t last) {
    sc_real stage[TILE * TILE * SC_WINOGRAD_TILES], half[REACH * TILE * SC_WINOGRAD_TILES];
    sc_tiling_outputs places;
    sc_tiling_find_outputs(&places, &p->t, block);
    size_t length = TILE * places.tiles;
    memset(stage, 0, TILE * length * sizeof *stage);
    for (size_t o = first; o < last; o++) {
        const sc_real *from = p->dy + o * p->t.oh * p->t.ow;
        for (size_t i = 0; i < places.pieces; i++)
            sc_vector_copy(stage + places.piece[i].buffer, from + places.piece[i].plane, places.piece[i].count);
        transform_down(half, stage, length);
        for (size_t i = 0; i < places.tiles; i += SC_LANES)
            transform_across(m + o * p->t.width + i, p->m_step, half + TILE * i, length);
    }
}

/* ---- products ---- */

/* Inputs and gradients of `count` blocks from `start` on, at all points. */
static void transform_group(const weights *p, size_t start, size_t count) {
    size_t of_inputs = sc_divide_up(p->t.c, CHANNELS), tasks = of_inputs + sc_divide_up(p->t.o, CHANNELS);
#pragma omp parallel for schedule(dynamic, 1) if (p->threads > 1)
    for (size_t i = 0; i < count * tasks; i++) {
        size_t block = i / tasks, task = i % tasks, first;
        if (task < of_inputs) {
            first = task * CHANNELS;
            sc_tiling_transform_inputs(p->v + block * POINTS * p->v_step, p->v_step, &p->t, p->x, start + block, first,
                                       sc_min(first + CHANNELS, p->t.c), true);
        } else {
            first = (task - of_inputs) * CHANNELS;
            transform_gradients(p->m + block * POINTS * p->m_step, p, start + block, first,
                                sc_min(first + CHANNELS, p->t.o));
        }
    }
}

/* u at one point, rows first .. last - 1, or with `add` u +=: one chain, over `tiles`. */
static void multiply(const weights *p, size_t point, size_t first, size_t last, size_t tiles, bool add) {
    size_t width = p->t.width, thread = p->threads > 1 ? (size_t)omp_get_thread_num() : 0;
    sc_pieces inputs = {p->v + point * p->v_step, width, width, POINTS * p->v_step};
    sc_pieces gradients = {p->m + point * p->m_step + first * width, width, width, POINTS * p->m_step};
    sc_product product = {
        .m = last - first,
        .n = p->t.c,
        .k = tiles,
        .rows = sc_pieces_rows(&gradients),
        .columns = sc_pieces_columns(&inputs),
        .out = {.y = p->u + (point * p->t.o + first) * p->t.c, .row_stride = p->t.c, .add = add},
        .scratch = (sc_real *)((char *)p->products + thread * sc_product_thread_scratch()),
    };
    sc_product_run(&product);
}

static void multiply_group(const weights *p, size_t start, size_t count) {
    size_t end = sc_min((start + count) * p->t.width, p->t.tiles), tiles = end - start * p->t.width;
    size_t rows = sc_divide_up(p->t.o, sc_divide_up(p->threads, 4)), pieces;
    rows = sc_round_up(rows, SC_TILE_ROWS);
    pieces = sc_divide_up(p->t.o, rows);
#pragma omp parallel for schedule(dynamic, 1) if (p->threads > 1)
    for (size_t i = 0; i < POINTS * pieces; i++) {
        size_t first = i % pieces * rows;
        multiply(p, i / pieces, first, sc_min(first + rows, p->t.o), tiles, start > 0);
    }
}

/* ---- filters ---- */

/* dw += the gradients of up to SC_LANES filters of output o, from c on. */
static void add_filters(sc_real *dw, const weights *p, size_t o, size_t c) {
    size_t count = sc_min(SC_LANES, p->t.c - c), step = p->t.o * p->t.c;
    sc_real points[POINTS][SC_LANES] = {{0}}, out[9][SC_LANES];
    sc_lanes u[POINTS], half[3][REACH], g[9];
    for (size_t k = 0; k < POINTS; k++)
        sc_vector_copy(points[k], p->u + k * step + o * p->t.c + c, count);
    memcpy(u, points, sizeof u);
    for (size_t j = 0; j < REACH; j++) {
        sc_lanes column[REACH], three[3];
        for (size_t i = 0; i < REACH; i++)
            column[i] = u[i * REACH + j];
        sc_winograd_filter_gradients(three, column);
        for (size_t i = 0; i < 3; i++)
            half[i][j] = three[i];
    }
    for (size_t i = 0; i < 3; i++)
        sc_winograd_filter_gradients(g + 3 * i, half[i]);
    memcpy(out, g, sizeof out);
    dw += (o * p->t.c + c) * 9;
    for (size_t l = 0; l < count; l++)
        for (size_t i = 0; i < 9; i++)
            dw[l * 9 + i] += out[i][l];
}

void sc_winograd_backward_weight(sc_real *dw, void *scratch, const sc_real *dy, const sc_real *x,
                                 const sc_conv2d_size *s, size_t n) {
    weights p = describe(s, n);
    size_t group = blocks_at_a_time(&p);
    p.x = x;
    p.dy = dy;
    p.u = scratch;
    p.v = p.u + filters_size(&p);
    p.m = p.v + group * POINTS * p.v_step;
    p.products = p.m + group * POINTS * p.m_step;
    for (size_t start = 0; start < p.t.blocks; start += group) {
        size_t count = sc_min(group, p.t.blocks - start);
        transform_group(&p, start, count);
        multiply_group(&p, start, count);
    }
#pragma omp parallel for schedule(static) if (p.threads > 1)
    for (size_t o = 0; o < p.t.o; o++)
        for (size_t c = 0; c < p.t.c; c += SC_LANES)
            add_filters(dw, &p, o, c);
}
