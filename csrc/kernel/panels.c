#include "kernel/panels.h"

#include "base/size.h"
#include "kernel/lanes.h"

enum {
    LINE = 64 / sizeof(sc_real), /* of the cache */
    LINES_AHEAD = 4,             /* distance of prefetching, in lines that are packed */
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

/* Quad after quad of lanes, to[4 * quad x width]. */
SC_INLINE void store_quads(sc_real *to, size_t width, const sc_lanes *v) {
#if SC_VECTOR_BYTES == 64
    _mm_storeu_ps(to, _mm512_castps512_ps128((__m512)*v));
    _mm_storeu_ps(to + 4 * width, _mm512_extractf32x4_ps((__m512)*v, 1));
    _mm_storeu_ps(to + 8 * width, _mm512_extractf32x4_ps((__m512)*v, 2));
    _mm_storeu_ps(to + 12 * width, _mm512_extractf32x4_ps((__m512)*v, 3));
#elif SC_VECTOR_BYTES == 32
    _mm_storeu_ps(to, _mm256_castps256_ps128((__m256)*v));
    _mm_storeu_ps(to + 4 * width, _mm256_extractf128_ps((__m256)*v, 1));
#else
    (void)width;
    *(sc_lanes_unaligned *)to = *v;
#endif
}

/* Four lines, whose transpose is four numbers of each of to[depth x width]. */
static void pack_four(sc_real *to, size_t width, const sc_real *line, size_t stride, size_t depth) {
    size_t k = 0;
    for (; k + SC_LANES <= depth; k += SC_LANES) {
        sc_lanes v[4];
        for (size_t j = 0; j < 4; j++) {
            __builtin_prefetch(line + (j + LINES_AHEAD) * stride + k);
            v[j] = *(const sc_lanes_unaligned *)(line + j * stride + k);
        }
        sc_lanes_transpose(v);
        for (size_t j = 0; j < 4; j++)
            store_quads(to + (k + j) * width, width, &v[j]);
    }
    for (; k < depth; k++)
        for (size_t j = 0; j < 4; j++)
            to[k * width + j] = line[j * stride + k];
}

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
