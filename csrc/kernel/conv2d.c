#include "kernel/conv2d.h"

#include "base/span.h"
#include "kernel/equal_windows.h"
#include "kernel/gemm.h"
#include "kernel/im2col.h"
#include "kernel/small_sums.h"
#include "kernel/winograd.h"

#include <omp.h>
#include <stdbool.h>
#include <string.h>

/* How the columns of a batch are cut: into bands of output rows of one image where images are large, into bundles of
 * whole images where they are small, since the product wants a few hundred columns to be fast. */
typedef struct tiling {
    size_t k;       /* rows of the patch matrix of one group */
    size_t rows;    /* output rows per tile; all of them when bundling */
    size_t images;  /* images per tile */
    size_t bands;   /* tiles per image; 1 when bundling */
    size_t tiles;   /* in the batch */
    size_t columns; /* most columns of a tile */
    bool direct;    /* 1 x 1, stride 1: the image is its own patch matrix */
} tiling;

enum { TARGET_COLUMNS = 512, MOST_BYTES = 8 << 20 };

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

static tiling cut(const sc_conv2d_size *s, size_t n) {
    tiling t = {.k = s->c / s->groups * s->kh * s->kw, .rows = s->oh, .images = 1, .bands = 1};
    size_t positions = s->oh * s->ow;
    size_t threads = (size_t)omp_get_max_threads();
    size_t target = least(TARGET_COLUMNS, MOST_BYTES / sizeof(sc_real) / t.k + 1);
    if (positions >= target) {
        size_t rows = (target + s->ow - 1) / s->ow;
        t.bands = (s->oh + rows - 1) / rows;
        t.rows = (s->oh + t.bands - 1) / t.bands;
        t.bands = (s->oh + t.rows - 1) / t.rows;
    } else {
        t.images = least(target / positions, (n + threads - 1) / threads); /* work for every thread */
        t.images = t.images ? t.images : 1;
    }
    t.tiles = (n + t.images - 1) / t.images * t.bands;
    t.columns = t.images * t.rows * s->ow;
    t.direct = s->kh == 1 && s->kw == 1 && s->sh == 1 && s->sw == 1 && s->ph == 0 && s->pw == 0 && t.images == 1;
    return t;
}

/* One tile of the batch. */
typedef struct tile {
    size_t image, images, row, rows, columns;
} tile;

static tile pick(const tiling *t, const sc_conv2d_size *s, size_t n, size_t index) {
    tile out = {.image = index / t->bands * t->images, .row = index % t->bands * t->rows};
    out.images = least(t->images, n - out.image);
    out.rows = least(t->rows, s->oh - out.row);
    out.columns = out.images * out.rows * s->ow;
    return out;
}

/* Scratch of one thread: a patch matrix and a bundle of outputs. */
static size_t thread_reals(const tiling *t, const sc_conv2d_size *s) {
    return (t->k + s->o / s->groups) * t->columns + 32;
}

static size_t weight_count(const sc_conv2d_size *s) {
    return s->o * (s->c / s->groups) * s->kh * s->kw;
}

size_t sc_conv2d_scratch(const sc_conv2d_size *s, size_t n) {
    tiling t = cut(s, n);
    size_t plain = (size_t)omp_get_max_threads() * (thread_reals(&t, s) + weight_count(s)) * sizeof(sc_real);
    if (!sc_winograd_suits(s, n))
        return plain;
    size_t careful = most(sc_small_sums_scratch(s, n), sc_equal_windows_scratch(s, n));
    return most(most(plain, sc_winograd_scratch(s, n)), careful);
}

static void make_columns(sc_real *col, const sc_real *x, const sc_conv2d_size *s, const tile *piece, size_t group) {
    size_t channels = s->c / s->groups;
    for (size_t i = 0; i < piece->images; i++)
        sc_im2col(col, piece->columns, i * piece->rows * s->ow, x + (piece->image + i) * s->c * s->h * s->w, s,
                  group * channels, channels, piece->row, piece->rows);
}

/* Where the outputs of one group of a tile that is part of one image begin: a matrix [o/g x columns] in place, its rows
 * as far apart as there are positions. */
static size_t place_of(const sc_conv2d_size *s, const tile *piece, size_t group) {
    size_t positions = s->oh * s->ow;
    return (piece->image * s->o + group * (s->o / s->groups)) * positions + piece->row * s->ow;
}

static void bundle(sc_real *matrix, const sc_real *y, const sc_conv2d_size *s, const tile *piece, size_t group) {
    size_t positions = s->oh * s->ow, outputs = s->o / s->groups;
    for (size_t o = 0; o < outputs; o++)
        for (size_t i = 0; i < piece->images; i++)
            memcpy(matrix + o * piece->columns + i * positions,
                   y + ((piece->image + i) * s->o + group * outputs + o) * positions, positions * sizeof *y);
}

static void unbundle(sc_real *y, const sc_real *matrix, const sc_conv2d_size *s, const tile *piece, size_t group) {
    size_t positions = s->oh * s->ow, outputs = s->o / s->groups;
    for (size_t o = 0; o < outputs; o++)
        for (size_t i = 0; i < piece->images; i++)
            memcpy(y + ((piece->image + i) * s->o + group * outputs + o) * positions,
                   matrix + o * piece->columns + i * positions, positions * sizeof *y);
}

/* The gradients of the outputs of one group of a tile as a matrix, and the distance of its rows: in place, or bundled
 * into the thread's scratch. */
static const sc_real *gradients_of(size_t *ld, sc_real *scratch, const sc_real *dy, const tiling *t,
                                   const sc_conv2d_size *s, const tile *piece, size_t group) {
    if (piece->images == 1) {
        *ld = s->oh * s->ow;
        return dy + place_of(s, piece, group);
    }
    sc_real *matrix = scratch + t->k * t->columns;
    bundle(matrix, dy, s, piece, group);
    *ld = piece->columns;
    return matrix;
}

/* The patch matrix of a tile, and the distance of its rows. */
static const sc_real *columns_of(size_t *ld, sc_real *scratch, const sc_real *x, const tiling *t,
                                 const sc_conv2d_size *s, const tile *piece, size_t group) {
    if (t->direct) {
        *ld = s->h * s->w;
        return x + (piece->image * s->c + group * (s->c / s->groups)) * s->h * s->w + piece->row * s->w;
    }
    make_columns(scratch, x, s, piece, group);
    *ld = piece->columns;
    return scratch;
}

static void add_bias(sc_real *y, size_t ld, const sc_real *b, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < columns; i++)
            y[r * ld + i] += b[r];
}

static void forward_tile(sc_real *y, sc_real *scratch, const sc_real *x, const sc_real *w, const sc_real *b,
                         const sc_conv2d_size *s, const tiling *t, const tile *piece) {
    size_t outputs = s->o / s->groups, positions = s->oh * s->ow;
    for (size_t g = 0; g < s->groups; g++) {
        size_t ld;
        const sc_real *col = columns_of(&ld, scratch, x, t, s, piece, g);
        sc_real *matrix = scratch + t->k * t->columns;
        bool whole = piece->images == 1;
        sc_real *out = whole ? y + place_of(s, piece, g) : matrix;
        size_t out_ld = whole ? positions : piece->columns;
        sc_gemm(SC_PLAIN, SC_PLAIN, outputs, piece->columns, t->k, 1, w + g * outputs * t->k, t->k, col, ld, 0, out,
                out_ld);
        if (b)
            add_bias(out, out_ld, b + g * outputs, outputs, piece->columns);
        if (!whole)
            unbundle(y, matrix, s, piece, g);
    }
}

void sc_conv2d_forward(sc_real *y, void *scratch, const sc_real *x, const sc_real *w, const sc_real *b,
                       const sc_conv2d_size *s, size_t n) {
    if (!s->exact && sc_winograd_suits(s, n)) {
        sc_winograd_forward(y, scratch, x, w, b, s, n);
        if (!s->careful)
            return;
        if (sc_small_sums_repair(y, scratch, x, w, b, s, n)) {
            sc_equal_windows_join(y, scratch, x, s, n);
            return;
        }
    }
    tiling t = cut(s, n);
    size_t stride = thread_reals(&t, s);
#pragma omp parallel for schedule(static) if (t.tiles >= (size_t)omp_get_max_threads())
    for (size_t i = 0; i < t.tiles; i++) {
        tile piece = pick(&t, s, n, i);
        forward_tile(y, (sc_real *)scratch + (size_t)omp_get_thread_num() * stride, x, w, b, s, &t, &piece);
    }
}

static void backward_input_tile(sc_real *dx, sc_real *scratch, const sc_real *dy, const sc_real *w,
                                const sc_conv2d_size *s, const tiling *t, const tile *piece, bool add) {
    size_t outputs = s->o / s->groups, channels = s->c / s->groups;
    for (size_t g = 0; g < s->groups; g++) {
        size_t from_ld;
        const sc_real *from = gradients_of(&from_ld, scratch, dy, t, s, piece, g);
        if (t->direct) {
            sc_real *to = dx + (piece->image * s->c + g * channels) * s->h * s->w + piece->row * s->w;
            sc_gemm(SC_TRANSPOSED, SC_PLAIN, t->k, piece->columns, outputs, 1, w + g * outputs * t->k, t->k, from,
                    from_ld, add, to, s->h * s->w);
            continue;
        }
        sc_gemm(SC_TRANSPOSED, SC_PLAIN, t->k, piece->columns, outputs, 1, w + g * outputs * t->k, t->k, from, from_ld,
                0, scratch, piece->columns);
        for (size_t i = 0; i < piece->images; i++)
            sc_col2im(dx + (piece->image + i) * s->c * s->h * s->w, scratch, piece->columns, i * piece->rows * s->ow, s,
                      g * channels, channels, piece->row, piece->rows);
    }
}

void sc_conv2d_backward_input(sc_real *dx, void *scratch, const sc_real *dy, const sc_real *w, const sc_conv2d_size *s,
                              size_t n, bool add) {
    if (!s->exact && sc_winograd_suits(s, n)) {
        sc_winograd_backward_input(dx, scratch, dy, w, s, n, add);
        return;
    }
    tiling t = cut(s, n);
    size_t stride = thread_reals(&t, s), bundles = t.tiles / t.bands;
    /* bands of one image overlap in dx, so a thread takes all of them */
#pragma omp parallel for schedule(static) if (bundles >= (size_t)omp_get_max_threads())
    for (size_t i = 0; i < bundles; i++)
        for (size_t band = 0; band < t.bands; band++) {
            tile piece = pick(&t, s, n, i * t.bands + band);
            size_t reals = s->c * s->h * s->w;
            if (band == 0 && !add && !t.direct)
                memset(dx + piece.image * reals, 0, piece.images * reals * sizeof *dx);
            backward_input_tile(dx, (sc_real *)scratch + (size_t)omp_get_thread_num() * stride, dy, w, s, &t, &piece,
                                add);
        }
}

static void backward_weight_tile(sc_real *dw, sc_real *scratch, const sc_real *dy, const sc_real *x,
                                 const sc_conv2d_size *s, const tiling *t, const tile *piece) {
    size_t outputs = s->o / s->groups;
    for (size_t g = 0; g < s->groups; g++) {
        size_t ld, from_ld;
        const sc_real *col = columns_of(&ld, scratch, x, t, s, piece, g);
        const sc_real *from = gradients_of(&from_ld, scratch, dy, t, s, piece, g);
        sc_gemm(SC_PLAIN, SC_TRANSPOSED, outputs, t->k, piece->columns, 1, from, from_ld, col, ld, 1,
                dw + g * outputs * t->k, t->k);
    }
}

void sc_conv2d_backward_weight(sc_real *dw, void *scratch, const sc_real *dy, const sc_real *x, const sc_conv2d_size *s,
                               size_t n) {
    tiling t = cut(s, n);
    size_t stride = thread_reals(&t, s), count = weight_count(s);
    size_t threads = (size_t)omp_get_max_threads();
    if (t.tiles < threads || threads == 1) {
        for (size_t i = 0; i < t.tiles; i++) {
            tile piece = pick(&t, s, n, i);
            backward_weight_tile(dw, scratch, dy, x, s, &t, &piece);
        }
        return;
    }
    /* each thread sums its tiles; the sums are added in the order of the threads, so that the bits do not vary */
    sc_real *sums = (sc_real *)scratch + threads * stride;
#pragma omp parallel num_threads((int)threads)
    {
        size_t me = (size_t)omp_get_thread_num(), team = (size_t)omp_get_num_threads();
        memset(sums + me * count, 0, count * sizeof *sums);
        for (size_t i = t.tiles * me / team; i < t.tiles * (me + 1) / team; i++) {
            tile piece = pick(&t, s, n, i);
            backward_weight_tile(sums + me * count, (sc_real *)scratch + me * stride, dy, x, s, &t, &piece);
        }
#pragma omp single
        threads = team;
    }
    for (size_t me = 0; me < threads; me++)
        sc_add_scaled(dw, sums + me * count, 1, count);
}

static sc_real sum_of(const sc_real *x, size_t count) {
    sc_real lanes[16] = {0}; /* independent sums, so that the loop is vector arithmetic */
    size_t i = 0;
    for (; i + 16 <= count; i += 16)
        for (size_t lane = 0; lane < 16; lane++)
            lanes[lane] += x[i + lane];
    sc_real sum = 0;
    for (size_t lane = 0; lane < 16; lane++)
        sum += lanes[lane];
    for (; i < count; i++)
        sum += x[i];
    return sum;
}

void sc_channels_sum(sc_real *db, const sc_real *dy, size_t n, size_t o, size_t positions) {
#pragma omp parallel for schedule(static) if (n * o * positions > 65536)
    for (size_t c = 0; c < o; c++)
        for (size_t i = 0; i < n; i++)
            db[c] += sum_of(dy + (i * o + c) * positions, positions);
}
