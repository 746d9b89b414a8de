#include "kernel/panels.h"

#include "base/size.h"

enum {
    LINE = 64 / sizeof(sc_real), /* of the cache */
    LINES_AHEAD = 4,             /* of those that are packed, which are asked for early */
    NUMBERS_AHEAD = 16,          /* the same where lines lie across */
};

size_t sc_panel_rows(size_t row, size_t m) {
    size_t left = m - row;
    return left >= SC_TILE_ROWS ? SC_TILE_ROWS : sc_divide_up(left, SC_TILE_STEP) * SC_TILE_STEP;
}

size_t sc_panel_columns(size_t column, size_t n) {
    return n - column > SC_TILE_HALF ? SC_TILE_COLUMNS : SC_TILE_HALF;
}

size_t sc_padded_rows(size_t m) {
    return sc_round_up(m, SC_TILE_STEP);
}

size_t sc_padded_columns(size_t n) {
    return sc_round_up(n, SC_TILE_HALF);
}

#if !defined SC_REAL_IS_DOUBLE
/* Numbers that one step of a transpose takes from each of four lines: a vector, in groups of four. */
enum { STEP = SC_VECTOR };

typedef int32_t places __attribute__((vector_size(SC_VECTOR_BYTES)));

/* Four places in each group of four numbers; 4 to 7 are those of the second of two vectors. */
#if SC_VECTOR_BYTES == 64
#define GROUPS(a, b, c, d)                                                                                             \
    (places) {                                                                                                         \
        FROM(a, 0), FROM(b, 0), FROM(c, 0), FROM(d, 0), FROM(a, 4), FROM(b, 4), FROM(c, 4), FROM(d, 4), FROM(a, 8),    \
            FROM(b, 8), FROM(c, 8), FROM(d, 8), FROM(a, 12), FROM(b, 12), FROM(c, 12), FROM(d, 12)                     \
    }
#elif SC_VECTOR_BYTES == 32
#define GROUPS(a, b, c, d)                                                                                             \
    (places) {                                                                                                         \
        FROM(a, 0), FROM(b, 0), FROM(c, 0), FROM(d, 0), FROM(a, 4), FROM(b, 4), FROM(c, 4), FROM(d, 4)                 \
    }
#else
#define GROUPS(a, b, c, d)                                                                                             \
    (places) {                                                                                                         \
        FROM(a, 0), FROM(b, 0), FROM(c, 0), FROM(d, 0)                                                                 \
    }
#endif
#define FROM(place, group) ((place) % 4 + (place) / 4 * STEP + (group))

/* Group after group of a vector, to[4 * group x width]. */
SC_SIMD void store_groups(sc_real *to, size_t width, sc_vector v) {
#if SC_VECTOR_BYTES == 64
    _mm_storeu_ps(to, _mm512_castps512_ps128((__m512)v));
    _mm_storeu_ps(to + 4 * width, _mm512_extractf32x4_ps((__m512)v, 1));
    _mm_storeu_ps(to + 8 * width, _mm512_extractf32x4_ps((__m512)v, 2));
    _mm_storeu_ps(to + 12 * width, _mm512_extractf32x4_ps((__m512)v, 3));
#elif SC_VECTOR_BYTES == 32
    _mm_storeu_ps(to, _mm256_castps256_ps128((__m256)v));
    _mm_storeu_ps(to + 4 * width, _mm256_extractf128_ps((__m256)v, 1));
#else
    (void)width;
    sc_vector_store(to, v);
#endif
}

/* to[STEP x width], four numbers each = the transpose of STEP numbers of four lines: four by four in all groups of four
 * at once. */
SC_SIMD void transpose_four(sc_real *to, size_t width, const sc_real *line, size_t stride) {
    const places low = GROUPS(0, 4, 1, 5), high = GROUPS(2, 6, 3, 7);
    const places left = GROUPS(0, 1, 4, 5), right = GROUPS(2, 3, 6, 7);
    sc_vector a = sc_vector_load(line), b = sc_vector_load(line + stride);
    sc_vector c = sc_vector_load(line + 2 * stride), d = sc_vector_load(line + 3 * stride);
    sc_vector ab = __builtin_shuffle(a, b, low), cd = __builtin_shuffle(c, d, low);
    sc_vector ab_high = __builtin_shuffle(a, b, high), cd_high = __builtin_shuffle(c, d, high);
    store_groups(to, width, __builtin_shuffle(ab, cd, left));
    store_groups(to + width, width, __builtin_shuffle(ab, cd, right));
    store_groups(to + 2 * width, width, __builtin_shuffle(ab_high, cd_high, left));
    store_groups(to + 3 * width, width, __builtin_shuffle(ab_high, cd_high, right));
}

/* Four lines, whose transpose is four numbers of each of to[depth x width]. */
static void pack_four(sc_real *to, size_t width, const sc_real *line, size_t stride, size_t depth) {
    size_t k = 0;
    for (; k + STEP <= depth; k += STEP) {
        for (size_t j = 0; j < 4; j++)
            __builtin_prefetch(line + (j + LINES_AHEAD) * stride + k);
        transpose_four(to + k * width, width, line + k, stride);
    }
    for (; k < depth; k++)
        for (size_t j = 0; j < 4; j++)
            to[k * width + j] = line[j * stride + k];
}
#else
static void pack_four(sc_real *to, size_t width, const sc_real *line, size_t stride, size_t depth) {
    for (size_t k = 0; k < depth; k++)
        for (size_t j = 0; j < 4; j++)
            to[k * width + j] = line[j * stride + k];
}
#endif

void sc_pack_lines(sc_real *to, size_t width, const sc_real *line, size_t line_stride, size_t count, size_t depth) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4, line += 4 * line_stride)
        pack_four(to + i, width, line, line_stride, depth);
    for (; i < count; i++, line += line_stride)
        for (size_t k = 0; k < depth; k++)
            to[k * width + i] = line[k];
    for (; i < width; i++)
        for (size_t k = 0; k < depth; k++)
            to[k * width + i] = 0;
}

void sc_pack_across(sc_real *to, size_t width, const sc_real *line, size_t k_stride, size_t count, size_t depth) {
    for (size_t k = 0; k < depth; k++, to += width, line += k_stride) {
        for (size_t i = 0; i < count; i += LINE)
            __builtin_prefetch(line + NUMBERS_AHEAD * k_stride + i);
        if (count == SC_TILE_COLUMNS)
            sc_vector_copy(to, line, SC_TILE_COLUMNS);
        else
            sc_vector_copy(to, line, count);
        for (size_t i = count; i < width; i++)
            to[i] = 0;
    }
}
