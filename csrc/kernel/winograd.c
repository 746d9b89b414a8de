#include "kernel/winograd.h"

#include "kernel/gemm.h"

#include <omp.h>
#include <string.h>

enum { TILE = 4, REACH = 6, POINTS = REACH * REACH };
enum { LANES = 64 };                       /* numbers that one pass of a transform treats side by side */
enum { PHASE = 512, LINE = TILE * PHASE }; /* see split_phases */

/* One convolution: from [n x c x h x w] to [n x o x oh x ow]. The way back to the inputs is one too, with the roles of
 * channels exchanged and the filters turned by half a turn. */
typedef struct winograd {
    size_t n, c, h, w, o, oh, ow;
    size_t pad_y, pad_x;  /* zeros above and to the left of the input */
    bool back;            /* filters come as [c x o x 3 x 3] and are turned */
    bool add;             /* to what is there */
    size_t rows, columns; /* of tiles in one image */
    size_t chunk;         /* rows of tiles, over all images, that are treated at a time */
    size_t tiles;         /* that memory is needed for: of a whole chunk, of this or any smaller n */
    /* filters [36 x o x c] (back: [36 x c x o]), inputs [36 x c x tiles], products [36 x o x tiles] */
    sc_real *u, *v, *m;
    sc_real *scratch; /* of the products, one part per thread */
} winograd;

/* ---- sizes ---- */

static size_t least(size_t i, size_t j) {
    return i < j ? i : j;
}

static size_t tiles_along(size_t outputs) {
    return (outputs + TILE - 1) / TILE;
}

/* Few enough tiles for inputs and products to stay near the caches; but where channels are many, and products dear,
 * more of them, since every product reorders its filters first. */
static void cut(winograd *p) {
    const size_t bytes = (size_t)4 << 20, fewest = least(5 * p->c * p->o / (p->c + p->o), 320);
    p->rows = tiles_along(p->oh);
    p->columns = tiles_along(p->ow);
    size_t rows = p->n * p->rows, tiles = bytes / (POINTS * (p->c + p->o) * sizeof(sc_real));
    tiles = tiles < fewest ? fewest : tiles;
    size_t chunk = tiles / p->columns ? tiles / p->columns : 1, chunks = (rows + chunk - 1) / chunk;
    p->chunk = (rows + chunks - 1) / chunks;
    p->tiles = least(chunk, rows) * p->columns; /* a smaller n may be cut into fewer and larger chunks */
}

static winograd describe_forward(const sc_conv2d_size *s, size_t n) {
    winograd p = {.n = n, .c = s->c, .h = s->h, .w = s->w, .o = s->o, .oh = s->oh, .ow = s->ow};
    p.pad_y = s->ph;
    p.pad_x = s->pw;
    cut(&p);
    return p;
}

static winograd describe_back(const sc_conv2d_size *s, size_t n) {
    winograd p = {.n = n, .c = s->o, .h = s->oh, .w = s->ow, .o = s->c, .oh = s->h, .ow = s->w, .back = true};
    p.pad_y = 2 - s->ph;
    p.pad_x = 2 - s->pw;
    cut(&p);
    return p;
}

static size_t reals(const winograd *p) {
    return POINTS * (p->c * p->o + (p->c + p->o) * p->tiles);
}

bool sc_winograd_suits(const sc_conv2d_size *s) {
    const size_t channels = 24, tiles = 4; /* below these the transforms cost more than they save */
    return s->kh == 3 && s->kw == 3 && s->sh == 1 && s->sw == 1 && s->dh == 1 && s->dw == 1 && s->groups == 1 &&
           s->ph <= 2 && s->pw <= 2 && s->c >= channels && s->o >= channels &&
           tiles_along(s->oh) * tiles_along(s->ow) >= tiles && 2 * (tiles_along(s->ow) + 1) <= PHASE &&
           2 * (tiles_along(s->w) + 1) <= PHASE;
}

size_t sc_winograd_scratch(const sc_conv2d_size *s, size_t n) {
    winograd there = describe_forward(s, n), back = describe_back(s, n);
    return (reals(&there) > reals(&back) ? reals(&there) : reals(&back)) * sizeof(sc_real) + sc_product_scratch();
}

static void place(winograd *p, void *scratch) {
    p->scratch = scratch;
    p->u = p->scratch + sc_product_scratch() / sizeof(sc_real);
    p->v = p->u + POINTS * p->c * p->o;
    p->m = p->v + POINTS * p->c * p->tiles;
}

/* ---- transforms in one dimension, for many lanes, with the points 0, 1, -1, 1/2, -2 and infinity ---- */

/* Six inputs to six points: B^T d. Outputs are `step` apart. Differences come first, so that where all inputs are equal
 * every point but that of 1 is zero, to the bit. */
static void transform_inputs(sc_real *out, size_t step, const sc_real *const *in, size_t count) {
    const sc_real *restrict d0 = in[0], *restrict d1 = in[1], *restrict d2 = in[2];
    const sc_real *restrict d3 = in[3], *restrict d4 = in[4], *restrict d5 = in[5];
    sc_real *restrict v0 = out, *restrict v1 = v0 + step, *restrict v2 = v1 + step;
    sc_real *restrict v3 = v2 + step, *restrict v4 = v3 + step, *restrict v5 = v4 + step;
    for (size_t l = 0; l < count; l++) {
        sc_real d42 = d4[l] - d2[l], d31 = d3[l] - d1[l], d32 = d3[l] - d2[l], d12 = d1[l] - d2[l];
        v0[l] = (d0[l] - d2[l]) + d42 + (sc_real)1.5 * d31;
        v1[l] = (d4[l] - d1[l]) + ((sc_real)0.5 * d2[l] + (sc_real)2.5 * d3[l]);
        v2[l] = d12 + d42 + (sc_real)0.5 * d32;
        v3[l] = d42 + 2 * d31;
        v4[l] = d42 - (sc_real)0.5 * d31;
        v5[l] = (d5[l] - d3[l]) - d31 + (sc_real)1.5 * d42;
    }
}

/* Three weights to six points: G g. Inputs are LANES apart, outputs `step` LANES. */
static void transform_filters(sc_real *out, size_t step, const sc_real *restrict g, size_t count) {
    const sc_real third = (sc_real)1 / 3, fifteenth = (sc_real)1 / 15;
    sc_real *restrict u0 = out, *restrict u1 = u0 + step * LANES, *restrict u2 = u1 + step * LANES;
    sc_real *restrict u3 = u2 + step * LANES, *restrict u4 = u3 + step * LANES, *restrict u5 = u4 + step * LANES;
    for (size_t l = 0; l < count; l++) {
        sc_real g0 = g[l], g1 = g[LANES + l], g2 = g[2 * LANES + l];
        u0[l] = g0;
        u1[l] = third * (g0 + g2 + g1);
        u2[l] = third * (g1 - (g0 + g2));
        u3[l] = -fifteenth * (16 * g0 + 8 * g1 + 4 * g2);
        u4[l] = fifteenth * (g0 - 2 * g1 + 4 * g2);
        u5[l] = g2;
    }
}

/* Six points to four outputs: A^T m. Inputs are in_step apart, outputs out_step LANES. */
static void transform_products(sc_real *out, size_t out_step, const sc_real *restrict m, size_t in_step, size_t count) {
    sc_real *restrict y0 = out, *restrict y1 = y0 + out_step * LANES;
    sc_real *restrict y2 = y1 + out_step * LANES, *restrict y3 = y2 + out_step * LANES;
    for (size_t l = 0; l < count; l++) {
        sc_real m1 = m[in_step + l], m2 = m[2 * in_step + l], m3 = m[3 * in_step + l], m4 = m[4 * in_step + l];
        sc_real even = m1 + m2, odd = m1 - m2;
        y0[l] = m[l] + even + (m3 + m4);
        y1[l] = odd + ((sc_real)0.5 * m3 - 2 * m4);
        y2[l] = even + ((sc_real)0.25 * m3 + 4 * m4);
        y3[l] = odd + ((sc_real)0.125 * m3 - 8 * m4) + m[5 * in_step + l];
    }
}

/* ---- filters ---- */

/* u[36][first][second] from w[first][second][3][3], for one `first`. */
static void filters_of(const winograd *p, const sc_real *w, size_t first, size_t firsts, size_t seconds) {
    sc_real g[9 * LANES], half[18 * LANES], full[POINTS * LANES];
    for (size_t at = 0; at < seconds; at += LANES) {
        size_t count = least(LANES, seconds - at);
        const sc_real *from = w + (first * seconds + at) * 9;
        for (size_t k = 0; k < 9; k++)
            for (size_t l = 0; l < count; l++)
                g[k * LANES + l] = from[l * 9 + (p->back ? 8 - k : k)];
        for (size_t row = 0; row < 3; row++) /* across: half is [6 across][3 down] */
            transform_filters(half + row * LANES, 3, g + row * 3 * LANES, count);
        for (size_t j = 0; j < REACH; j++)
            transform_filters(full + j * LANES, REACH, half + j * 3 * LANES, count);
        for (size_t k = 0; k < POINTS; k++)
            memcpy(p->u + (k * firsts + first) * seconds + at, full + k * LANES, count * sizeof *full);
    }
}

static void make_filters(const winograd *p, const sc_real *w) {
    size_t firsts = p->back ? p->c : p->o, seconds = p->back ? p->o : p->c;
#pragma omp parallel for schedule(static)
    for (size_t first = 0; first < firsts; first++)
        filters_of(p, w, first, firsts, seconds);
}

/* ---- inputs ---- */

/* Some rows of tiles of one image, and where their tiles begin in the chunk. */
typedef struct band {
    size_t image, first, count, at;
} band;

/* The part of rows [row, end) of tiles that lies in the image of the first of them. */
static band next_band(const winograd *p, size_t row, size_t end, size_t start) {
    band out = {.image = row / p->rows, .first = row % p->rows, .at = (row - start) * p->columns};
    out.count = least(p->rows - out.first, end - row);
    return out;
}

static void part_in_four(sc_real *restrict to, size_t step, const sc_real *restrict line, size_t count) {
    for (size_t t = 0; t < count; t++) {
        to[t] = line[4 * t];
        to[step + t] = line[4 * t + 1];
        to[2 * step + t] = line[4 * t + 2];
        to[3 * step + t] = line[4 * t + 3];
    }
}

/* phases[16][PHASE] from the plane x: phase (py, px) has the inputs at 4 ty + py, 4 tx + px, for one tile more down and
 * across than the piece, so that the six by six inputs of a tile are at the same place of one phase or another, or one
 * to the right or below, and tiles lie side by side in all of them. A piece is the rows of tiles that fit. */
static void split_phases(sc_real *phases, const winograd *p, const sc_real *x, size_t first, size_t count) {
    sc_real line[LINE];
    size_t across = p->columns + 1, width = least(p->w, 4 * across - p->pad_x);
    memset(line, 0, 4 * across * sizeof *line);
    for (size_t r = 0; r < 4 * (count + 1); r++) {
        size_t y = 4 * first + r; /* counted with the zeros above */
        sc_real *to = phases + (r % 4) * 4 * PHASE + r / 4 * across;
        if (y < p->pad_y || y - p->pad_y >= p->h) {
            for (size_t px = 0; px < 4; px++)
                memset(to + px * PHASE, 0, across * sizeof *to);
            continue;
        }
        memcpy(line + p->pad_x, x + (y - p->pad_y) * p->w, width * sizeof *line);
        part_in_four(to, PHASE, line, across);
    }
}

/* Inputs of one channel in the transformed space, out[36] `step` apart, for `count` tiles that lie side by side in the
 * phases from `at` on. */
static void inputs_of(sc_real *out, size_t step, const sc_real *phases, size_t across, size_t at, size_t count) {
    sc_real half[POINTS * LANES];
    const sc_real *in[REACH];
    for (size_t i = 0; i < REACH; i++) {
        for (size_t j = 0; j < REACH; j++)
            in[j] = phases + (i % 4 * 4 + j % 4) * PHASE + i / 4 * across + j / 4 + at;
        transform_inputs(half + i * REACH * LANES, LANES, in, count);
    }
    for (size_t j = 0; j < REACH; j++) {
        for (size_t i = 0; i < REACH; i++)
            in[i] = half + (i * REACH + j) * LANES;
        transform_inputs(out + j * step, REACH * step, in, count);
    }
}

static size_t piece_rows(const winograd *p) {
    return PHASE / (p->columns + 1) - 1;
}

/* v[36], `step` apart: one channel of a piece, row by row. */
static void transform_rows(const winograd *p, const sc_real *phases, size_t count, sc_real *v, size_t step) {
    for (size_t row = 0; row < count; row++)
        for (size_t column = 0; column < p->columns; column += LANES)
            inputs_of(v + row * p->columns + column, step, phases, p->columns + 1, row * (p->columns + 1) + column,
                      least(LANES, p->columns - column));
}

/* The same for short rows: all rows at once, and then without what is computed between their ends and beginnings. */
static void transform_run(const winograd *p, const sc_real *phases, size_t count, sc_real *v, size_t step) {
    sc_real out[POINTS * LANES];
    size_t across = p->columns + 1, lanes = count * across - 1;
    for (size_t lane = 0; lane < lanes; lane += LANES) {
        size_t some = least(LANES, lanes - lane);
        inputs_of(out, LANES, phases, across, lane, some);
        for (size_t l = 0; l < some;) {
            size_t row = (lane + l) / across, column = (lane + l) % across;
            size_t run = least(p->columns - column, some - l); /* 0 at a lane that is no tile */
            for (size_t k = 0; k < POINTS && run; k++)
                memcpy(v + k * step + row * p->columns + column, out + k * LANES + l, run * sizeof *out);
            l += run + (column + run == p->columns);
        }
    }
}

static void make_inputs(const winograd *p, const sc_real *x, size_t start, size_t end, size_t tiles) {
#pragma omp parallel for schedule(static)
    for (size_t c = 0; c < p->c; c++)
        for (size_t row = start; row < end;) {
            sc_real phases[16 * PHASE + LANES];
            band where = next_band(p, row, end, start);
            size_t count = least(where.count, piece_rows(p));
            split_phases(phases, p, x + (where.image * p->c + c) * p->h * p->w, where.first, count);
            if (p->columns < LANES / 4)
                transform_run(p, phases, count, p->v + c * tiles + where.at, p->c * tiles);
            else
                transform_rows(p, phases, count, p->v + c * tiles + where.at, p->c * tiles);
            row += count;
        }
}

/* ---- products and outputs ---- */

static void multiply(const winograd *p, size_t tiles) {
    size_t threads = (size_t)omp_get_max_threads(), wanted = (4 * threads + POINTS - 1) / POINTS; /* work for all */
    size_t block = (p->o + wanted - 1) / wanted, blocks = (p->o + block - 1) / block;
#pragma omp parallel for schedule(static)
    for (size_t item = 0; item < POINTS * blocks; item++) {
        size_t k = item / blocks, first = item % blocks * block, count = least(block, p->o - first);
        const sc_real *u = p->u + k * p->c * p->o, *v = p->v + k * p->c * tiles;
        sc_real *m = p->m + (k * p->o + first) * tiles;
        void *scratch = p->scratch + (size_t)omp_get_thread_num() * (sc_product_thread_scratch() / sizeof(sc_real));
        if (p->back)
            sc_gemm(SC_TRANSPOSED, SC_PLAIN, count, tiles, p->c, 1, u + first, p->o, v, tiles, false, m, tiles,
                    scratch);
        else
            sc_gemm(SC_PLAIN, SC_PLAIN, count, tiles, p->c, 1, u + first * p->c, p->c, v, tiles, false, m, tiles,
                    scratch);
    }
}

static void join_four(sc_real *restrict line, const sc_real *restrict from, size_t count) {
    for (size_t t = 0; t < count; t++)
        for (size_t q = 0; q < 4; q++)
            line[4 * t + q] = from[q * LANES + t];
}

static void put(sc_real *restrict to, const sc_real *restrict line, sc_real bias, bool add, size_t count) {
    if (add)
        for (size_t i = 0; i < count; i++)
            to[i] += line[i];
    else
        for (size_t i = 0; i < count; i++)
            to[i] = line[i] + bias;
}

/* Tiles column .. column + count - 1 of one row of tiles, from y[4 down][4 across][LANES], into the plane `to`. */
static void put_tiles(sc_real *to, const winograd *p, const sc_real *y, sc_real bias, size_t row, size_t column,
                      size_t count) {
    sc_real line[TILE * LANES];
    for (size_t i = 0; i < TILE && TILE * row + i < p->oh; i++) {
        join_four(line, y + i * TILE * LANES, count);
        put(to + (TILE * row + i) * p->ow + TILE * column, line, bias, p->add,
            least(TILE * count, p->ow - TILE * column));
    }
}

/* The outputs of one channel, from the products m[36] that are `step` apart. */
static void outputs_of(sc_real *to, const winograd *p, const sc_real *m, size_t step, sc_real bias, const band *where) {
    sc_real half[TILE * REACH * LANES], y[TILE * TILE * LANES];
    size_t tiles = where->count * p->columns;
    for (size_t lane = 0; lane < tiles; lane += LANES) {
        size_t count = least(LANES, tiles - lane);
        for (size_t j = 0; j < REACH; j++) /* down: half is [4 down][6 across] */
            transform_products(half + j * LANES, REACH, m + j * step + lane, REACH * step, count);
        for (size_t i = 0; i < TILE; i++)
            transform_products(y + i * TILE * LANES, 1, half + i * REACH * LANES, LANES, count);
        for (size_t l = 0; l < count;) {
            size_t row = (lane + l) / p->columns, column = (lane + l) % p->columns;
            size_t run = least(p->columns - column, count - l);
            put_tiles(to, p, y + l, bias, where->first + row, column, run);
            l += run;
        }
    }
}

static void make_outputs(const winograd *p, sc_real *y, const sc_real *bias, size_t start, size_t end, size_t tiles) {
#pragma omp parallel for schedule(static)
    for (size_t o = 0; o < p->o; o++)
        for (size_t row = start; row < end;) {
            band where = next_band(p, row, end, start);
            outputs_of(y + (where.image * p->o + o) * p->oh * p->ow, p, p->m + o * tiles + where.at, p->o * tiles,
                       bias ? bias[o] : 0, &where);
            row += where.count;
        }
}

static void run(const winograd *p, sc_real *y, const sc_real *x, const sc_real *w, const sc_real *bias) {
    make_filters(p, w);
    for (size_t start = 0; start < p->n * p->rows; start += p->chunk) {
        size_t end = least(start + p->chunk, p->n * p->rows), tiles = (end - start) * p->columns;
        make_inputs(p, x, start, end, tiles);
        multiply(p, tiles);
        make_outputs(p, y, bias, start, end, tiles);
    }
}

void sc_winograd_forward(sc_real *y, void *scratch, const sc_real *x, const sc_real *w, const sc_real *bias,
                         const sc_conv2d_size *s, size_t n) {
    winograd p = describe_forward(s, n);
    place(&p, scratch);
    run(&p, y, x, w, bias);
}

void sc_winograd_backward_input(sc_real *dx, void *scratch, const sc_real *dy, const sc_real *w,
                                const sc_conv2d_size *s, size_t n, bool add) {
    winograd p = describe_back(s, n);
    p.add = add;
    place(&p, scratch);
    run(&p, dx, dy, w, NULL);
}
