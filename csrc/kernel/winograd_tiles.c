#include "kernel/winograd_tiles.h"

#include "base/size.h"
#include "kernel/product.h"

#include <string.h>

enum {
    TILE = SC_WINOGRAD_TILE,
    REACH = SC_WINOGRAD_REACH,
    MAX_TILES = SC_WINOGRAD_TILES,
    LINE = 64 / sizeof(sc_real),      /* of the cache */
    STAGE = 8 * MAX_TILES + 2 * LINE, /* one line of the inputs of a block: of each tile, and of each end of a row */
};

sc_tiling sc_tiling_make(const sc_conv2d_size *s, size_t n, bool backward) {
    sc_tiling t = {.n = n, .c = s->c, .h = s->h, .w = s->w, .o = s->o, .oh = s->oh, .ow = s->ow};
    t.pad_y = s->ph;
    t.pad_x = s->pw;
    if (backward) {
        t = (sc_tiling){.n = n, .c = s->o, .h = s->oh, .w = s->ow, .o = s->c, .oh = s->h, .ow = s->w};
        t.pad_y = 2 - s->ph;
        t.pad_x = 2 - s->pw;
    }
    t.rows = sc_divide_up(t.oh, TILE);
    t.columns = sc_divide_up(t.ow, TILE);
    t.tiles = t.n * t.rows * t.columns;
    t.width = sc_min(MAX_TILES, sc_round_up(t.tiles, SC_LANES));
    t.blocks = sc_divide_up(t.tiles, t.width);
    return t;
}

size_t sc_tiling_count(const sc_tiling *t, size_t block) {
    return sc_min(t->width, t->tiles - block * t->width);
}

/* ---- places ---- */

/* Tiles of a block that lie side by side in one image. */
typedef struct run {
    size_t image, row, column, count;
} run;

static run find_run(const sc_tiling *t, size_t tile, size_t end) {
    size_t place = tile % (t->rows * t->columns);
    run r = {.image = tile / (t->rows * t->columns), .row = place / t->columns, .column = place % t->columns};
    r.count = sc_min(t->columns - r.column, end - tile);
    return r;
}

/* Where a block reads. Its inputs are staged as six lines, one for each of the six rows of a tile; there a run of tiles
 * takes four numbers per tile and four more, for the last to reach into. What lies outside of the image is left out. */
typedef struct reading {
    size_t at[MAX_TILES]; /* of each tile, in a line */
    size_t tiles, length; /* tiles, as many as whole panels have; of a line */
    size_t pieces;
    sc_tiling_piece piece[REACH * MAX_TILES];
} reading;

static void find_reading(reading *out, const sc_tiling *t, size_t block) {
    size_t first = block * t->width, end = first + sc_tiling_count(t, block), line = 0, tiles = 0;
    out->pieces = 0;
    for (size_t tile = first; tile < end;) {
        run r = find_run(t, tile, end);
        size_t low = TILE * r.column, high = sc_min(low + TILE * r.count + 2, t->pad_x + t->w),
               from = sc_max(low, t->pad_x);
        for (size_t i = 0; i < REACH; i++) {
            size_t y = TILE * r.row + i; /* counted, as low and high are, with the zeros around */
            if (y < t->pad_y || y - t->pad_y >= t->h || from >= high)
                continue;
            size_t plane = r.image * t->c * t->h * t->w + (y - t->pad_y) * t->w + (from - t->pad_x);
            out->piece[out->pieces++] = (sc_tiling_piece){plane, i * STAGE + line + (from - low), high - from};
        }
        for (size_t i = 0; i < r.count; i++, line += TILE)
            out->at[tiles++] = line;
        line += TILE;
        tile += r.count;
    }
    out->length = sc_round_up(line, SC_LANES);
    out->tiles = sc_round_up(tiles, SC_LANES);
    while (tiles < out->tiles)
        out->at[tiles++] = 0; /* any numbers will do: what becomes of them is not read */
}

void sc_tiling_find_outputs(sc_tiling_outputs *out, const sc_tiling *t, size_t block) {
    size_t first = block * t->width, end = first + sc_tiling_count(t, block);
    out->tiles = sc_round_up(end - first, SC_LANES);
    out->pieces = 0;
    for (size_t tile = first; tile < end;) {
        run r = find_run(t, tile, end);
        size_t column = TILE * r.column, count = sc_min(TILE * r.count, t->ow - column);
        for (size_t i = 0; i < TILE && TILE * r.row + i < t->oh; i++) {
            size_t plane = r.image * t->o * t->oh * t->ow + (TILE * r.row + i) * t->ow + column;
            out->piece[out->pieces++] = (sc_tiling_piece){plane, TILE * (i * out->tiles + tile - first), count};
        }
        tile += r.count;
    }
}

/* ---- inputs ---- */

static void stage_inputs(sc_real *stage, const sc_real *x, const reading *r) {
    for (size_t i = 0; i < r->pieces; i++)
        sc_vector_copy(stage + r->piece[i].buffer, x + r->piece[i].plane, r->piece[i].count);
}

static void transform_down(sc_real *out, const sc_real *in, size_t length) {
    for (size_t l = 0; l < length; l += SC_LANES) {
        sc_lanes d[REACH], v[REACH];
        for (size_t i = 0; i < REACH; i++)
            d[i] = *(const sc_lanes_unaligned *)(in + i * STAGE + l);
        sc_winograd_inputs(v, d);
        for (size_t i = 0; i < REACH; i++)
            *(sc_lanes_unaligned *)(out + i * STAGE + l) = v[i];
    }
}

/* SC_LANES tiles, in the order in which they come out of sc_lanes_transpose. */
static void transform_across(sc_real *out, size_t step, const sc_real *in, const size_t *at) {
    for (size_t i = 0; i < REACH; i++, in += STAGE) {
        sc_lanes d[8], v[REACH];
        for (size_t r = 0; r < 4; r++) {
            sc_lanes_gather(&d[r], in, at + r * SC_QUADS);
            sc_lanes_gather(&d[4 + r], in + 4, at + r * SC_QUADS);
        }
        sc_lanes_transpose(d);
        sc_lanes_transpose(d + 4);
        sc_winograd_inputs(v, d);
        for (size_t j = 0; j < REACH; j++)
            *(sc_lanes_unaligned *)(out + (i * REACH + j) * step) = v[j];
    }
}

/* The same tiles in the order in which sc_lanes_transpose makes lanes 0, 1, 2, ... of them. */
static void order_lanes(reading *r) {
    size_t at[SC_WINOGRAD_TILES];
    memcpy(at, r->at, r->tiles * sizeof *at);
    for (size_t i = 0; i < r->tiles; i++) {
        size_t lane = i % SC_LANES;
        r->at[i - lane + lane % 4 * SC_QUADS + lane / 4] = at[i];
    }
}

void sc_tiling_transform_inputs(sc_real *v, size_t step, const sc_tiling *t, const sc_real *x, size_t block,
                                size_t first, size_t last, bool lines) {
    sc_real stage[2][REACH * STAGE], half[REACH * STAGE]; /* staged one channel ahead: stores are slow to be loaded */
    reading r;
    find_reading(&r, t, block);
    if (lines)
        order_lanes(&r);
    for (size_t i = 0; i < 2 * REACH; i++)
        memset(stage[i / REACH] + i % REACH * STAGE, 0, r.length * sizeof(sc_real));
    x += first * t->h * t->w;
    stage_inputs(stage[first % 2], x, &r);
    for (size_t c = first; c < last; c++) {
        size_t at = c / SC_CHAIN * SC_CHAIN, depth = sc_min(SC_CHAIN, t->c - at);
        x += t->h * t->w;
        if (c + 1 < last)
            stage_inputs(stage[(c + 1) % 2], x, &r);
        transform_down(half, stage[c % 2], r.length);
        for (size_t i = 0; i < r.tiles; i += SC_LANES) {
            size_t place = i % SC_TILE_COLUMNS, start = i - place;
            sc_real *to = v + at * t->width + start * depth + (c - at) * sc_panel_columns(start, r.tiles) + place;
            transform_across(lines ? v + c * t->width + i : to, step, half, r.at + i);
        }
    }
}
