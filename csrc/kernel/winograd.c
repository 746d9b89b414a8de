#include "kernel/winograd.h"

#include "base/size.h"
#include "kernel/product.h"
#include "kernel/winograd_tiles.h"

#include <omp.h>
#include <string.h>

enum {
    TILE = SC_WINOGRAD_TILE,
    REACH = SC_WINOGRAD_REACH,
    POINTS = SC_WINOGRAD_POINTS,
    PANELS = 8, /* of outputs whose products are kept at a time */
    MAX_ROWS = PANELS * SC_TILE_ROWS,
};

/* One convolution, or the backward pass, whose filters are flipped by half a turn. */
typedef struct winograd {
    sc_tiling t;
    bool backward; /* filters come as [c x o x 3 x 3] and are flipped */
    size_t u_step, v_step, m_step;
    const sc_real *u; /* filters: POINTS packed operands, u_step apart */
    const sc_real *x;
    sc_real *y;
    const sc_epilogue *epilogue;
    sc_real *v; /* inputs of a block: POINTS packed operands, v_step apart; and again for each thread */
    sc_real *m; /* products [POINTS x m_step], of at most MAX_ROWS rows of a block; and again for each thread */
} winograd;

/* ---- sizes ---- */

static winograd describe(const sc_conv2d_size *s, size_t n, bool backward) {
    winograd p = {.t = sc_tiling_make(s, n, backward), .backward = backward};
    size_t c = p.t.c, o = p.t.o, width = p.t.width;
    p.u_step = sc_tiling_step(sc_packed_rows_size(o, c));
    p.v_step = sc_tiling_step(c * width);
    p.m_step = sc_tiling_step(sc_min(MAX_ROWS, sc_round_up(o, SC_TILE_ROWS)) * width);
    return p;
}

/* Part of the definition of results, hence the same at all levels and for any batch. Measured on one core, with AVX-512
 * and AVX2: from 8 channels on the transform is 1.5 to 4 times as fast as plain sums wherever maps have some ten tiles.
 * On maps of 7 x 7, four tiles, it is so from a batch of 4 on, and alone at worst two thirds as fast, filters ready. */
bool sc_winograd_suits(const sc_conv2d_size *s) {
    const size_t channels = 8, tiles = 4;
    return s->kh == 3 && s->kw == 3 && s->sh == 1 && s->sw == 1 && s->dh == 1 && s->dw == 1 && s->groups == 1 &&
           s->ph <= 2 && s->pw <= 2 && s->c >= channels && s->o >= channels &&
           sc_divide_up(s->oh, TILE) * sc_divide_up(s->ow, TILE) >= tiles;
}

size_t sc_winograd_filters_size(const sc_conv2d_size *s, bool backward) {
    return POINTS * describe(s, 1, backward).u_step;
}

static size_t scratch_reals(const sc_conv2d_size *s, size_t n, bool backward, size_t threads) {
    winograd p = describe(s, n, backward);
    return POINTS * (p.u_step + threads * (p.v_step + p.m_step));
}

size_t sc_winograd_scratch(const sc_conv2d_size *s, size_t n) {
    size_t threads = sc_product_threads();
    return sc_max(scratch_reals(s, n, false, threads), scratch_reals(s, n, true, threads)) * sizeof(sc_real);
}

/* ---- filters ---- */

/* Some rows of filters and some of their numbers: a panel, [depth x width] once packed. */
typedef struct panel {
    size_t row, rows, width, at, depth;
} panel;

/* weights[9][SC_LANES] of the packed numbers from `first` on. */
static void gather_weights(sc_real weights[9][SC_LANES], const winograd *p, const sc_real *w, const panel *part,
                           size_t first) {
    size_t row = first % part->width, k = first / part->width;
    size_t o_step = p->backward ? 9 : p->t.c * 9, c_step = p->backward ? p->t.o * 9 : 9;
    for (size_t l = 0; l < SC_LANES; l++) {
        bool there = row < part->rows && k < part->depth;
        const sc_real *from = w + (part->row + row) * o_step + (part->at + k) * c_step;
        for (size_t i = 0; i < 9; i++)
            weights[p->backward ? 8 - i : i][l] = there ? from[i] : 0;
        row = row + 1 == part->width ? 0 : row + 1;
        k += row == 0;
    }
}

/* u[36], u_step apart: a panel, transformed as it is packed. */
static void transform_panel(sc_real *u, const winograd *p, const sc_real *w, const panel *part) {
    size_t count = part->width * part->depth;
    for (size_t first = 0; first < count; first += SC_LANES) {
        sc_real weights[9][SC_LANES];
        sc_lanes g[9], half[3 * REACH], full[POINTS];
        gather_weights(weights, p, w, part, first);
        memcpy(g, weights, sizeof g);
        for (size_t row = 0; row < 3; row++)
            sc_winograd_filters(half + row * REACH, 1, g + row * 3, 1);
        for (size_t j = 0; j < REACH; j++)
            sc_winograd_filters(full + j, REACH, half + j, REACH);
        for (size_t k = 0; k < POINTS; k++)
            sc_vector_copy(u + k * p->u_step + first, (const sc_real *)&full[k], sc_min(SC_LANES, count - first));
    }
}

static void transform_filters(sc_real *u, const winograd *p, const sc_real *w) {
    size_t padded = sc_packed_rows_size(p->t.o, 1);
#pragma omp parallel for collapse(2) schedule(static)
    for (size_t at = 0; at < p->t.c; at += SC_CHAIN)
        for (size_t row = 0; row < p->t.o; row += SC_TILE_ROWS) {
            panel part = {.row = row, .width = sc_panel_rows(row, p->t.o), .at = at};
            part.rows = sc_min(part.width, p->t.o - row);
            part.depth = sc_min(SC_CHAIN, p->t.c - at);
            transform_panel(u + at * padded + row * part.depth, p, w, &part);
        }
}

void sc_winograd_transform_filters(sc_real *u, const sc_real *w, const sc_conv2d_size *s, bool backward) {
    winograd p = describe(s, 1, backward);
    transform_filters(u, &p, w);
}

/* ---- products and outputs ---- */

/* m = the products of rows [row, end) of filters with `tiles` tiles. */
static void multiply(const winograd *p, sc_real *m, const sc_real *v, size_t row, size_t end, size_t tiles) {
    size_t padded = sc_packed_rows_size(p->t.o, 1);
    for (size_t k = 0; k < POINTS; k++, m += p->m_step, v += p->v_step)
        for (size_t at = 0; at < p->t.c; at += SC_CHAIN) {
            size_t depth = sc_min(SC_CHAIN, p->t.c - at);
            const sc_real *a = p->u + k * p->u_step + at * padded, *b = v + at * p->t.width;
            for (size_t column = 0; column < tiles; column += SC_TILE_COLUMNS)
                for (size_t i = row; i < end; i += SC_TILE_ROWS)
                    sc_tile_multiply(m + (i - row) * p->t.width + column, p->t.width, a + i * depth, b + column * depth,
                                     sc_panel_rows(i, p->t.o), sc_panel_columns(column, tiles), depth, at > 0);
        }
}

/* line[4 x 4 tiles] from the products of SC_LANES tiles of one channel; to the first of the lines, which are `length`
 * long. */
static void transform_outputs(sc_real *line, size_t length, const sc_real *m, size_t step) {
    sc_lanes half[TILE][REACH], y[TILE];
    for (size_t j = 0; j < REACH; j++) {
        sc_lanes in[REACH];
        for (size_t i = 0; i < REACH; i++)
            in[i] = *(const sc_lanes_unaligned *)(m + (i * REACH + j) * step);
        sc_winograd_outputs(y, in);
        for (size_t i = 0; i < TILE; i++)
            half[i][j] = y[i];
    }
    for (size_t i = 0; i < TILE; i++) {
        sc_winograd_outputs(y, half[i]);
        sc_lanes_transpose(y);
        for (size_t r = 0; r < 4; r++)
            *(sc_lanes_unaligned *)(line + i * length + r * SC_LANES) = y[r];
    }
}

static void write_outputs(const winograd *p, const sc_tiling_outputs *w, const sc_real *m, size_t row, size_t end) {
    sc_real lines[TILE * TILE * SC_WINOGRAD_TILES], residual[TILE * TILE * SC_WINOGRAD_TILES];
    sc_epilogue epilogue = p->epilogue ? *p->epilogue : (sc_epilogue){0};
    size_t length = TILE * w->tiles;
    if (epilogue.residual)
        memset(residual, 0, TILE * length * sizeof *residual);
    for (size_t o = row; o < end; o++, m += p->t.width) {
        sc_real *to = p->y + o * p->t.oh * p->t.ow;
        for (size_t t = 0; t < w->tiles; t += SC_LANES)
            transform_outputs(lines + TILE * t, length, m + t, p->m_step);
        if (p->epilogue) {
            const sc_real *from = p->epilogue->residual ? p->epilogue->residual + (to - p->y) : NULL;
            for (size_t i = 0; i < w->pieces && from; i++)
                sc_vector_copy(residual + w->piece[i].buffer, from + w->piece[i].plane, w->piece[i].count);
            epilogue.residual = from ? residual : NULL;
            sc_epilogue_apply(lines, &epilogue, o, 0, TILE * length);
        }
        for (size_t i = 0; i < w->pieces; i++)
            sc_vector_copy(to + w->piece[i].plane, lines + w->piece[i].buffer, w->piece[i].count);
    }
}

/* Outputs first .. last - 1 of a block, from its inputs v. */
static void finish_block(const winograd *p, size_t block, const sc_real *v, sc_real *m, size_t first, size_t last) {
    sc_tiling_outputs w;
    sc_tiling_find_outputs(&w, &p->t, block);
    for (size_t row = first; row < last; row += MAX_ROWS) {
        size_t end = sc_min(row + MAX_ROWS, last);
        multiply(p, m, v, row, end, w.tiles);
        write_outputs(p, &w, m, row, end);
    }
}

/* ---- threads ---- */

static sc_real *of_thread(sc_real *parts, size_t step, size_t threads) {
    return parts + (threads > 1 ? (size_t)omp_get_thread_num() * POINTS * step : 0);
}

/* A block is one thread's from inputs to outputs. */
static void run_blocks(const winograd *p, size_t threads) {
#pragma omp parallel for schedule(dynamic, 1) if (threads > 1)
    for (size_t block = 0; block < p->t.blocks; block++) {
        sc_real *v = of_thread(p->v, p->v_step, threads), *m = of_thread(p->m, p->m_step, threads);
        sc_tiling_transform_inputs(v, p->v_step, &p->t, p->x, block, 0, p->t.c, false);
        finish_block(p, block, v, m, 0, p->t.o);
    }
}

/* Few blocks are shared: their inputs are made by all threads, piece by piece, and then their outputs. */
static void run_pieces(const winograd *p, size_t start, size_t count, size_t threads) {
    size_t pieces = sc_divide_up(2 * threads, count), channels = sc_max(sc_divide_up(p->t.c, pieces), 8);
    size_t rows = sc_round_up(sc_divide_up(p->t.o, pieces), SC_TILE_ROWS);
    size_t down = sc_divide_up(p->t.c, channels), across = sc_divide_up(p->t.o, rows);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < count * down; i++) {
        size_t first = i % down * channels;
        sc_tiling_transform_inputs(p->v + i / down * POINTS * p->v_step, p->v_step, &p->t, p->x, start + i / down,
                                   first, sc_min(first + channels, p->t.c), false);
    }
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < count * across; i++) {
        size_t first = i % across * rows;
        finish_block(p, start + i / across, p->v + i / across * POINTS * p->v_step, of_thread(p->m, p->m_step, threads),
                     first, sc_min(first + rows, p->t.o));
    }
}

static void convolve(winograd *p, sc_real *scratch, const sc_real *w, const sc_real *u) {
    size_t threads = sc_product_threads();
    p->v = scratch + POINTS * p->u_step;
    p->m = p->v + threads * POINTS * p->v_step;
    p->u = u ? u : scratch;
    if (!u)
        transform_filters(scratch, p, w);
    if (threads == 1 || p->t.blocks >= 8 * threads) {
        run_blocks(p, threads);
        return;
    }
    for (size_t start = 0; start < p->t.blocks; start += threads)
        run_pieces(p, start, sc_min(threads, p->t.blocks - start), threads);
}

void sc_winograd_forward(sc_real *y, void *scratch, const sc_real *x, const sc_real *w, const sc_real *u,
                         const sc_epilogue *epilogue, const sc_conv2d_size *s, size_t n) {
    winograd p = describe(s, n, false);
    p.x = x;
    p.y = y;
    p.epilogue = epilogue;
    convolve(&p, scratch, w, u);
}

void sc_winograd_backward_input(sc_real *dx, void *scratch, const sc_real *dy, const sc_real *w, const sc_real *u,
                                const sc_conv2d_size *s, size_t n, bool add) {
    winograd p = describe(s, n, true);
    sc_epilogue sum = {.residual = dx}; /* each number is read before it is written */
    p.x = dy;
    p.y = dx;
    p.epilogue = add ? &sum : NULL;
    convolve(&p, scratch, w, u);
}
