#include "kernel/gram.h"

#include "base/interrupt.h"
#include "base/memory.h"
#include "base/size.h"
#include "kernel/gemm.h"
#include "kernel/tile.h"

#include <omp.h>

/* Where one thread works. */
typedef struct workspace {
    sc_real *tile; /* [edge x edge] */
    void *scratch; /* of a product */
} workspace;

/* Tiles that leave something to do for all threads, and are large enough not to pack operands all the time; multiples
 * of the widest register tile. Bits do not depend on it. */
static size_t tile_edge(size_t m, size_t n, size_t threads) {
    size_t edge = 192;
    while (edge > 48 && sc_divide_up(m, edge) * sc_divide_up(n, edge) < 4 * threads)
        edge /= 2;
    return edge;
}

static void describe(sc_gemm *product, const sc_gram *g, size_t row, size_t column, size_t first, size_t edge) {
    const sc_real *b = g->b ? g->b : g->a;
    size_t ldb = g->b ? g->ldb : g->lda, n = g->b ? g->n : g->m;
    *product = (sc_gemm){
        .m = sc_min(edge, g->m - row),
        .n = sc_min(edge, n - column),
        .k = sc_min(SC_CHAIN, g->terms - first),
        .ldc = edge,
    };
    if (g->across) {
        product->a = (sc_gemm_operand){g->a + row * g->lda + first, g->lda, SC_PLAIN};
        product->b = (sc_gemm_operand){b + column * ldb + first, ldb, SC_TRANSPOSED};
    } else {
        product->a = (sc_gemm_operand){g->a + first * g->lda + row, g->lda, SC_TRANSPOSED};
        product->b = (sc_gemm_operand){b + first * ldb + column, ldb, SC_PLAIN};
    }
}

static void add_tile(const sc_gram *g, const workspace *space, size_t row, size_t column, size_t edge) {
    sc_gemm product;
    for (size_t first = 0; first < g->terms; first += SC_CHAIN) {
        describe(&product, g, row, column, first, edge);
        product.c = space->tile;
        product.scratch = space->scratch;
        sc_gemm_run(&product);
        for (size_t i = 0; i < product.m; i++)
            for (size_t j = 0; j < product.n; j++)
                g->sum[(row + i) * g->ld + column + j] += (double)space->tile[i * edge + j];
    }
    if (!g->b && row != column && g->terms)
        for (size_t i = 0; i < product.m; i++)
            for (size_t j = 0; j < product.n; j++)
                g->sum[(column + j) * g->ld + row + i] = g->sum[(row + i) * g->ld + column + j];
}

/* All tiles, or of symmetric sums those on and below the diagonal. */
static void add_tiles(const sc_gram *g, const workspace *spaces, size_t edge, size_t threads) {
    size_t down = sc_divide_up(g->m, edge), wide = g->b ? sc_divide_up(g->n, edge) : down;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)threads)
    for (size_t i = 0; i < down * wide; i++) {
        size_t row = i / wide, column = i % wide;
        if ((g->b || column <= row) && sc_interrupt_check(NULL) == SC_OK)
            add_tile(g, &spaces[omp_get_thread_num()], row * edge, column * edge, edge);
    }
}

sc_status sc_gram_add(const sc_gram *g, sc_error *error) {
    size_t threads = sc_product_threads(), n = g->b ? g->n : g->m, edge = tile_edge(g->m, n, threads);
    size_t tile = sc_round_up(edge * edge * sizeof(sc_real), 64), scratch = sc_product_thread_scratch();
    if (g->m == 0 || n == 0 || g->terms == 0)
        return SC_OK;
    void *memory, *list;
    SC_TRY(sc_memory_alloc(&list, threads, sizeof(workspace), error));
    sc_status status = sc_memory_alloc(&memory, threads, tile + scratch, error);
    if (status == SC_OK) {
        workspace *spaces = list;
        for (size_t t = 0; t < threads; t++) {
            char *own = (char *)memory + t * (tile + scratch);
            spaces[t] = (workspace){.tile = (sc_real *)(void *)own, .scratch = own + tile};
        }
        add_tiles(g, spaces, edge, threads);
        sc_memory_free(memory);
        status = sc_interrupt_check(error);
    }
    sc_memory_free(list);
    return status;
}
