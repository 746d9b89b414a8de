#include "kernel/product.h"

#include "base/size.h"
#include "kernel/unpacked_tile.h"

#include <omp.h>

/* Blocks of rows and columns, whose packed parts and outputs stay in the second-level cache together, and the number of
 * chains for which they are packed at a time. They do not touch the bits. */
enum {
    GROUP = 2,
    BLOCK_COLUMNS = SC_TILE_COLUMNS * (256 / SC_TILE_COLUMNS),
    BLOCK_ROWS = SC_TILE_ROWS * (144 / SC_TILE_ROWS),
    LINE = 64 / sizeof(sc_real),
    MAX_UNPACKED_ROWS = 2 * SC_UNPACKED_TILE_ROWS,
};

/* ---- packing ---- */

size_t sc_packed_rows_size(size_t m, size_t k) {
    return sc_padded_rows(m) * k;
}

size_t sc_packed_columns_size(size_t n, size_t k) {
    return sc_padded_columns(n) * k;
}

/* All lines of an operand, numbers k .. k + depth - 1 of each, a block of lines and a chain at a time; `padded` lines
 * there are with those that fill up. */
static void pack_all(sc_real *to, const sc_operand *operand, size_t lines, size_t padded, size_t block, size_t k,
                     size_t depth) {
    size_t blocks = sc_divide_up(lines, block), chains = sc_divide_up(depth, SC_CHAIN);
#pragma omp parallel for collapse(2) schedule(static) if (lines * depth > 16384)
    for (size_t chain = 0; chain < chains; chain++)
        for (size_t b = 0; b < blocks; b++) {
            size_t at = chain * SC_CHAIN, chunk = sc_min(SC_CHAIN, depth - at), first = b * block;
            operand->pack(to + at * padded + first * chunk, operand->context, first, sc_min(block, lines - first),
                          k + at, chunk);
        }
}

void sc_pack_rows(sc_real *to, const sc_operand *rows, size_t m, size_t k) {
    pack_all(to, rows, m, sc_padded_rows(m), BLOCK_ROWS, 0, k);
}

void sc_pack_columns(sc_real *to, const sc_operand *columns, size_t n, size_t k) {
    pack_all(to, columns, n, sc_padded_columns(n), BLOCK_COLUMNS, 0, k);
}

/* ---- threads and scratch ---- */

size_t sc_product_threads(void) {
    return omp_in_parallel() ? 1 : (size_t)omp_get_max_threads();
}

/* One thread's part: packed columns, packed rows, and a tile that is on its way to scattered places. */
enum {
    COLUMNS_REALS = GROUP * SC_CHAIN * BLOCK_COLUMNS,
    ROWS_REALS = GROUP * SC_CHAIN * BLOCK_ROWS,
    TILE_REALS = SC_TILE_ROWS * SC_TILE_COLUMNS,
};

/* Parts for columns lie side by side, so that threads can share what they hold; then come the rest. */
static size_t rest_reals(void) {
    return sc_round_up(ROWS_REALS + TILE_REALS, LINE);
}

size_t sc_product_thread_scratch(void) {
    return (COLUMNS_REALS + rest_reals()) * sizeof(sc_real);
}

size_t sc_product_scratch(void) {
    return (size_t)omp_get_max_threads() * sc_product_thread_scratch();
}

/* ---- one tile ---- */

/* Where columns go: a panel, or a block of panels. */
typedef struct target {
    sc_run run[BLOCK_COLUMNS];
    size_t runs, column, count, step;
    size_t width; /* of the panel, with columns that fill it up */
    bool direct;  /* a whole panel in one piece */
} target;

static void find_target(target *t, const sc_product *p, size_t column, size_t count) {
    const sc_output *out = &p->out;
    t->column = column;
    t->count = sc_min(count, p->n - column);
    t->width = sc_panel_columns(column, p->n);
    t->step = out->step ? out->step : 1;
    t->runs = 1;
    if (out->runs)
        t->runs = out->runs(t->run, out->context, column, t->count);
    else
        t->run[0] = (sc_run){column, t->count};
    t->direct = t->runs == 1 && t->count == t->width && t->step == 1;
}

static void scatter_run(sc_real *restrict to, const sc_real *restrict from, size_t count, size_t step, bool add) {
    if (step == 1 && !add)
        sc_vector_copy(to, from, count);
    else if (step == 1)
        for (size_t i = 0; i < count; i++)
            to[i] += from[i];
    else
        for (size_t i = 0; i < count; i++)
            to[i * step] = add ? to[i * step] + from[i] : from[i];
}

/* rows[rows x SC_TILE_COLUMNS] to their places. */
static void scatter(const sc_product *p, const target *t, const sc_real *tile, size_t row, size_t rows, bool add) {
    for (size_t i = 0; i < rows; i++) {
        const sc_real *from = tile + i * SC_TILE_COLUMNS;
        sc_real *to = p->out.y + p->out.first + (row + i) * p->out.row_stride;
        for (size_t r = 0; r < t->runs; r++) {
            scatter_run(to + t->run[r].at, from, t->run[r].count, t->step, add);
            from += t->run[r].count;
        }
    }
}

/* What is done to outputs when their sums are complete: row by row over a block of columns, while it is in the cache.
 */
static void finish(const sc_product *p, const target *t, size_t row, size_t rows) {
    const sc_output *out = &p->out;
    for (size_t i = row; i < row + rows; i++) {
        size_t column = t->column;
        for (size_t r = 0; r < t->runs; r++) {
            size_t at = out->first + i * out->row_stride + t->run[r].at;
            if (out->columns_are_units)
                sc_epilogue_apply_units(out->y + at, out->epilogue, out->first_unit + column, at, t->run[r].count);
            else
                sc_epilogue_apply(out->y + at, out->epilogue, out->first_unit + i, at, t->run[r].count);
            column += t->run[r].count;
        }
    }
}

/* ---- blocks ---- */

/* What one thread works on: rows [row, end) and columns [column, stop), numbers at .. at + depth - 1 of the sums. */
typedef struct block {
    size_t row, end, column, stop, at, depth;
    const sc_real *a, *b; /* packed, from (row, at) and (column, at) on */
    sc_real *tile;
} block;

static void multiply_block(const sc_product *p, const block *b) {
    bool add = b->at > 0 || p->out.add, last = b->at + b->depth == p->k && p->out.epilogue;
    for (size_t column = b->column; column < b->stop; column += SC_TILE_COLUMNS) {
        target t;
        find_target(&t, p, column, SC_TILE_COLUMNS);
        const sc_real *right = b->b + (column - b->column) * b->depth;
        for (size_t row = b->row; row < b->end; row += SC_TILE_ROWS) {
            const sc_real *left = b->a + (row - b->row) * b->depth;
            size_t width = sc_panel_rows(row, p->m), rows = sc_min(width, p->m - row);
            if (t.direct && rows == width) {
                sc_real *to = p->out.y + p->out.first + row * p->out.row_stride + t.run[0].at;
                sc_tile_multiply(to, p->out.row_stride, left, right, width, t.width, b->depth, add);
            } else {
                sc_tile_multiply(b->tile, SC_TILE_COLUMNS, left, right, width, t.width, b->depth, false);
                scatter(p, &t, b->tile, row, rows, add);
            }
        }
    }
    if (last) {
        target t;
        find_target(&t, p, b->column, b->stop - b->column);
        finish(p, &t, b->row, b->end - b->row);
    }
}

/* One task: rows [row, end) and columns [column, stop), with the scratch of its thread. */
typedef struct task {
    const sc_product *p;
    size_t row, end, column, stop;
    sc_real *columns, *rows, *tile;
    bool shared; /* columns holds all columns of the product, packed by all threads */
} task;

/* With the scratch of the calling thread. */
static task make_task(const sc_product *p, size_t threads) {
    size_t thread = threads > 1 ? (size_t)omp_get_thread_num() : 0;
    task t = {.p = p, .columns = p->scratch + thread * COLUMNS_REALS};
    t.rows = p->scratch + threads * COLUMNS_REALS + thread * rest_reals();
    t.tile = t.rows + ROWS_REALS;
    return t;
}

/* Packs lines of a chain after the other, as sc_pack_rows and sc_pack_columns have them. */
static void pack_group(sc_real *to, const sc_operand *operand, size_t first, size_t count, size_t padded, size_t at,
                       size_t depth) {
    for (size_t done = 0; done < depth; done += SC_CHAIN) {
        size_t chunk = sc_min(SC_CHAIN, depth - done);
        operand->pack(to + done * padded, operand->context, first, count, at + done, chunk);
    }
}

/* A block of rows times a block of columns, numbers at .. at + depth - 1 of the sums. Operands are packed as a whole,
 * or have been packed for this block. */
static void multiply_group(const task *t, size_t row, size_t end, size_t column, size_t stop, size_t at, size_t depth) {
    const sc_product *p = t->p;
    block b = {.row = row, .end = end, .column = column, .stop = stop, .tile = t->tile};
    for (b.at = at; b.at < at + depth; b.at += SC_CHAIN) {
        b.depth = sc_min(SC_CHAIN, at + depth - b.at);
        b.a = p->rows.packed ? p->rows.packed + b.at * sc_padded_rows(p->m) + row * b.depth
                             : t->rows + (b.at - at) * sc_padded_rows(end - row);
        if (p->columns.packed)
            b.b = p->columns.packed + b.at * sc_padded_columns(p->n) + column * b.depth;
        else if (t->shared)
            b.b = t->columns + (b.at - at) * sc_padded_columns(p->n) + column * b.depth;
        else
            b.b = t->columns + (b.at - at) * sc_padded_columns(stop - column);
        multiply_block(p, &b);
    }
}

/* Every column is packed once. */
static void run_columns_outside(const task *t) {
    const sc_product *p = t->p;
    for (size_t column = t->column, stop; column < t->stop; column = stop) {
        stop = sc_min(column + BLOCK_COLUMNS, t->stop);
        for (size_t at = 0, depth; at < p->k; at += depth) {
            depth = sc_min(GROUP * SC_CHAIN, p->k - at);
            if (!p->columns.packed)
                pack_group(t->columns, &p->columns, column, stop - column, sc_padded_columns(stop - column), at, depth);
            for (size_t row = t->row, end; row < t->end; row = end) {
                end = sc_min(row + BLOCK_ROWS, t->end);
                if (!p->rows.packed)
                    pack_group(t->rows, &p->rows, row, end - row, sc_padded_rows(end - row), at, depth);
                multiply_group(t, row, end, column, stop, at, depth);
            }
        }
    }
}

/* Every row is packed once. Columns are packed as a whole. */
static void run_rows_outside(const task *t) {
    const sc_product *p = t->p;
    for (size_t row = t->row, end; row < t->end; row = end) {
        end = sc_min(row + BLOCK_ROWS, t->end);
        for (size_t at = 0, depth; at < p->k; at += depth) {
            depth = sc_min(GROUP * SC_CHAIN, p->k - at);
            pack_group(t->rows, &p->rows, row, end - row, sc_padded_rows(end - row), at, depth);
            for (size_t column = t->column, stop; column < t->stop; column = stop) {
                stop = sc_min(column + BLOCK_COLUMNS, t->stop);
                multiply_group(t, row, end, column, stop, at, depth);
            }
        }
    }
}

/* A block of rows times all columns, which are packed. */
static void run_rows(const task *t, size_t at, size_t depth) {
    const sc_product *p = t->p;
    if (!p->rows.packed)
        pack_group(t->rows, &p->rows, t->row, t->end - t->row, sc_padded_rows(t->end - t->row), at, depth);
    for (size_t column = 0; column < p->n; column += BLOCK_COLUMNS)
        multiply_group(t, t->row, t->end, column, sc_min(column + BLOCK_COLUMNS, p->n), at, depth);
}

/* Columns that are too few to be shared out among the threads: all pack some of them, for all. */
static void run_shared(const sc_product *p, size_t threads) {
    size_t columns = sc_divide_up(sc_divide_up(p->n, SC_TILE_COLUMNS), 2 * threads) * SC_TILE_COLUMNS;
    size_t rows = sc_min(sc_divide_up(sc_divide_up(p->m, SC_TILE_ROWS), 4 * threads) * SC_TILE_ROWS, BLOCK_ROWS);
    size_t padded = sc_padded_columns(p->n), blocks = sc_divide_up(p->m, rows);
    size_t chains = p->rows.packed ? threads * COLUMNS_REALS / (padded * SC_CHAIN) : GROUP; /* that fit the scratch */
    for (size_t at = 0, depth; at < p->k; at += depth) {
        depth = sc_min(chains * SC_CHAIN, p->k - at);
        pack_all(p->scratch, &p->columns, p->n, padded, columns, at, depth);
#pragma omp parallel for schedule(dynamic, 1)
        for (size_t i = 0; i < blocks; i++) {
            task t = make_task(p, threads);
            t.columns = p->scratch;
            t.shared = true;
            t.row = i * rows;
            t.end = sc_min(t.row + rows, p->m);
            run_rows(&t, at, depth);
        }
    }
}

/* Few rows, and columns that are used too seldom to be worth packing: they are read once, from where they are. */
static bool suits_unpacked(const sc_product *p) {
    return p->m <= MAX_UNPACKED_ROWS && p->rows.lines && p->columns.lines && !p->columns.packed;
}

static void run_unpacked(const sc_product *p, size_t threads) {
    const sc_operand *a = &p->rows, *b = &p->columns;
#pragma omp parallel for schedule(dynamic, 1) if (threads > 1)
    for (size_t column = 0; column < p->n; column += SC_TILE_COLUMNS) {
        sc_real tile[MAX_UNPACKED_ROWS * SC_TILE_COLUMNS];
        target t;
        find_target(&t, p, column, SC_TILE_COLUMNS);
        for (size_t at = 0; at < p->k; at += SC_CHAIN)
            for (size_t row = 0; row < p->m; row += SC_UNPACKED_TILE_ROWS)
                sc_unpacked_tile_multiply(tile + row * SC_TILE_COLUMNS, a->lines + row * a->line_stride + at,
                                          a->line_stride, sc_min(SC_UNPACKED_TILE_ROWS, p->m - row),
                                          b->lines + column * b->line_stride + at, b->line_stride, t.count,
                                          sc_min(SC_CHAIN, p->k - at), at > 0);
        scatter(p, &t, tile, 0, p->m, p->out.add);
        if (p->out.epilogue)
            finish(p, &t, 0, p->m);
    }
}

/* How the output is divided into tasks. */
typedef struct grid {
    size_t rows, columns; /* of a task */
    size_t down, across;  /* tasks */
} grid;

/* Panels of the thread that gets most of them, when all are divided into `blocks`. */
static size_t max_panels(size_t panels, size_t blocks, size_t threads) {
    size_t each = sc_divide_up(panels, blocks), tasks = sc_divide_up(panels, each);
    return sc_divide_up(tasks, threads) * each;
}

/* The number of blocks of one direction, at least `blocks`, and how many pieces of the other it takes for all threads
 * to have work, evenly. */
static void balance(size_t *blocks, size_t *pieces, size_t panels, size_t max_pieces, size_t threads) {
    size_t fewest = *blocks, best;
    *pieces = 1;
    if (threads == 1 || fewest >= 16 * threads)
        return;
    if (fewest < threads) {
        *pieces = sc_min(sc_divide_up(2 * threads, fewest), max_pieces);
        return;
    }
    best = max_panels(panels, fewest, threads);
    for (size_t more = fewest + 1; more <= 16 * threads && more <= panels; more++)
        if (max_panels(panels, more, threads) < best) {
            best = max_panels(panels, more, threads);
            *blocks = more;
        }
}

static grid make_grid(const sc_product *p, size_t threads, bool rows_outside) {
    size_t across = sc_divide_up(p->n, SC_TILE_COLUMNS), down = sc_divide_up(p->m, SC_TILE_ROWS); /* in panels */
    grid g;
    if (rows_outside) {
        g.down = sc_divide_up(p->m, BLOCK_ROWS);
        balance(&g.down, &g.across, down, across, threads);
    } else {
        g.across = sc_divide_up(p->n, BLOCK_COLUMNS);
        balance(&g.across, &g.down, across, down, threads);
    }
    g.columns = sc_divide_up(across, g.across) * SC_TILE_COLUMNS;
    g.across = sc_divide_up(p->n, g.columns);
    g.rows = sc_divide_up(down, g.down) * SC_TILE_ROWS;
    g.down = sc_divide_up(p->m, g.rows);
    return g;
}

/* A sum over nothing. */
static void fill_zero(const sc_product *p) {
    for (size_t column = 0; column < p->n; column += SC_TILE_COLUMNS) {
        target t;
        const sc_real zeros[SC_TILE_COLUMNS] = {0};
        find_target(&t, p, column, SC_TILE_COLUMNS);
        for (size_t row = 0; row < p->m && !p->out.add; row++)
            scatter(p, &t, zeros, row, 1, false);
        if (p->out.epilogue)
            finish(p, &t, 0, p->m);
    }
}

void sc_product_run(const sc_product *p) {
    if (p->m == 0 || p->n == 0)
        return;
    if (p->k == 0) {
        fill_zero(p);
        return;
    }
    bool small = p->m * p->n < 64 * 64 && p->m * p->n * p->k < 64 * 64 * 64;
    size_t threads = small ? 1 : sc_product_threads();
    if (suits_unpacked(p)) {
        run_unpacked(p, threads);
        return;
    }
    bool rows_outside = p->columns.packed && !p->rows.packed;
    grid g = make_grid(p, threads, rows_outside);
    size_t tasks = g.down * g.across;
    if (!p->columns.packed && g.down > 1 && p->n <= threads * BLOCK_COLUMNS) {
        run_shared(p, threads);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) if (tasks > 1 && threads > 1)
    for (size_t i = 0; i < tasks; i++) {
        task t = make_task(p, threads);
        t.row = i % g.down * g.rows;
        t.end = sc_min(t.row + g.rows, p->m);
        t.column = i / g.down * g.columns;
        t.stop = sc_min(t.column + g.columns, p->n);
        (rows_outside ? run_rows_outside : run_columns_outside)(&t);
    }
}
