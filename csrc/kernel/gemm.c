#include "kernel/gemm.h"

#include "base/size.h"
#include <string.h>

static void scale_by(sc_real *x, sc_real scale, size_t count) {
    for (size_t i = 0; i < count; i++)
        x[i] *= scale;
}

static void pack_panel(sc_real *to, const sc_matrix *a, size_t width, size_t first, size_t count, size_t k,
                       size_t depth) {
    if (a->along)
        sc_pack_lines(to, width, a->x + first * a->ld + k, a->ld, count, depth);
    else
        sc_pack_across(to, width, a->x + k * a->ld + first, a->ld, count, depth);
    if (a->scale != 1)
        scale_by(to, a->scale, width * depth);
}

static void pack_rows(sc_real *to, const void *context, size_t first, size_t count, size_t k, size_t depth) {
    for (size_t i = 0; i < count; i += SC_TILE_ROWS) {
        size_t width = sc_panel_rows(i, count), rows = sc_min(count - i, width);
        pack_panel(to + i * depth, context, width, first + i, rows, k, depth);
    }
}

static void pack_columns(sc_real *to, const void *context, size_t first, size_t count, size_t k, size_t depth) {
    for (size_t i = 0; i < count; i += SC_TILE_COLUMNS) {
        size_t width = sc_panel_columns(i, count), columns = sc_min(count - i, width);
        pack_panel(to + i * depth, context, width, first + i, columns, k, depth);
    }
}

sc_matrix sc_matrix_rows(sc_transposition transpose, const sc_real *a, size_t lda) {
    return (sc_matrix){.x = a, .ld = lda, .scale = 1, .along = transpose == SC_PLAIN};
}

sc_matrix sc_matrix_columns(sc_transposition transpose, const sc_real *b, size_t ldb) {
    return (sc_matrix){.x = b, .ld = ldb, .scale = 1, .along = transpose == SC_TRANSPOSED};
}

static const sc_real *lines_of(const sc_matrix *a) {
    return a->along && a->scale == 1 ? a->x : NULL;
}

sc_operand sc_rows_operand(const sc_matrix *a) {
    return (sc_operand){.pack = pack_rows, .context = a, .lines = lines_of(a), .line_stride = a->ld};
}

sc_operand sc_columns_operand(const sc_matrix *b) {
    return (sc_operand){.pack = pack_columns, .context = b, .lines = lines_of(b), .line_stride = b->ld};
}

static void pack_pieces(sc_real *to, const sc_pieces *p, size_t width, size_t first, size_t count, size_t k,
                        size_t depth) {
    for (size_t done = 0, chunk; done < depth; done += chunk, k += chunk) {
        const sc_real *from = p->x + k / p->length * p->step + first * p->ld + k % p->length;
        chunk = sc_min(p->length - k % p->length, depth - done);
        sc_pack_lines(to + done * width, width, from, p->ld, count, chunk);
    }
}

static void pack_pieces_rows(sc_real *to, const void *context, size_t first, size_t count, size_t k, size_t depth) {
    for (size_t i = 0; i < count; i += SC_TILE_ROWS) {
        size_t width = sc_panel_rows(i, count);
        pack_pieces(to + i * depth, context, width, first + i, sc_min(count - i, width), k, depth);
    }
}

static void pack_pieces_columns(sc_real *to, const void *context, size_t first, size_t count, size_t k, size_t depth) {
    for (size_t i = 0; i < count; i += SC_TILE_COLUMNS) {
        size_t width = sc_panel_columns(i, count);
        pack_pieces(to + i * depth, context, width, first + i, sc_min(count - i, width), k, depth);
    }
}

sc_operand sc_pieces_rows(const sc_pieces *p) {
    return (sc_operand){.pack = pack_pieces_rows, .context = p};
}

sc_operand sc_pieces_columns(const sc_pieces *p) {
    return (sc_operand){.pack = pack_pieces_columns, .context = p};
}

void sc_gemm_run(const sc_gemm *g) {
    sc_matrix rows = sc_matrix_rows(g->a.transpose, g->a.x, g->a.ld);
    sc_matrix columns = sc_matrix_columns(g->b.transpose, g->b.x, g->b.ld);
    rows.scale = g->scale != 0 ? g->scale : 1;
    sc_product product = {
        .m = g->m,
        .n = g->n,
        .k = g->k,
        .rows = sc_rows_operand(&rows),
        .columns = sc_columns_operand(&columns),
        .out = {.y = g->c, .row_stride = g->ldc, .add = g->add},
        .scratch = g->scratch,
    };
    sc_product_run(&product);
}

void sc_rows_fill(sc_real *y, const sc_real *row, size_t rows, size_t columns) {
#pragma omp parallel for schedule(static) if (rows * columns > 65536)
    for (size_t r = 0; r < rows; r++)
        memcpy(y + r * columns, row, columns * sizeof *row);
}
