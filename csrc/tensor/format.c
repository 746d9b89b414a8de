#include "tensor/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_LINES = 18,     /* of all blocks, with the indices above them */
    MAX_COLUMNS = 10,   /* more are cut to EDGE at either end */
    MAX_ROWS = 16,      /* of a single block; more are cut to EDGE at either end */
    MAX_BLOCK_ROWS = 6, /* of one of several */
    EDGE = 4,           /* first and last entries of a dimension that is cut */
    BLOCK_EDGE = 2,     /* the same for rows of one of several blocks */
    NUMBER_TEXT = 32,   /* bytes of the longest number */
};

/* The entries of a dimension that are shown: all, or the first and the last `edge`. */
typedef struct extent {
    size_t size, edge;
    bool cut;
} extent;

static extent make_extent(size_t size, size_t max, size_t edge) {
    return (extent){.size = size, .edge = edge, .cut = size > max};
}

/* The entry after i that is shown; size after the last. */
static size_t next_shown(const extent *shown, size_t i) {
    return shown->cut && i + 1 == shown->edge ? shown->size - shown->edge : i + 1;
}

/* Whether "..." stands before entry i. */
static bool is_after_gap(const extent *shown, size_t i) {
    return shown->cut && i == shown->size - shown->edge;
}

static size_t lines_of(const extent *shown) {
    return shown->cut ? 2 * shown->edge + 1 : shown->size;
}

/* A text that is filled from the front, and a tensor seen as [blocks x rows x columns]. */
typedef struct printer {
    char *text;
    size_t used;
    const sc_tensor *tensor;
    extent rows, columns;
    size_t blocks, first_blocks; /* how many there are, and how many are shown before the last */
    bool scientific;
    int decimals;
    int width; /* of the longest number that is shown */
} printer;

static void append(printer *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(printer *to, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(to->text + to->used, SC_TENSOR_TEXT - to->used, format, arguments);
    va_end(arguments);
    to->used += length > 0 ? (size_t)length : 0;
    to->used = to->used < SC_TENSOR_TEXT ? to->used : SC_TENSOR_TEXT - 1;
}

static const char *format_number(char text[NUMBER_TEXT], const printer *how, size_t index) {
    const sc_tensor *tensor = how->tensor;
    if (tensor->dtype == SC_INT64)
        snprintf(text, NUMBER_TEXT, "%" PRId64, sc_tensor_int64(tensor)[index]);
    else if (tensor->dtype == SC_UINT8)
        snprintf(text, NUMBER_TEXT, "%d", sc_tensor_uint8(tensor)[index]);
    else if (isnan(sc_tensor_real(tensor)[index]))
        snprintf(text, NUMBER_TEXT, "nan");
    else
        snprintf(text, NUMBER_TEXT, how->scientific ? "%.*e" : "%.*f", how->decimals,
                 (double)sc_tensor_real(tensor)[index]);
    return text;
}

typedef void visit_number(printer *to, size_t index);

static void visit_block(printer *to, size_t block, visit_number *visit) {
    for (size_t row = 0; row < to->rows.size; row = next_shown(&to->rows, row))
        for (size_t column = 0; column < to->columns.size; column = next_shown(&to->columns, column))
            visit(to, (block * to->rows.size + row) * to->columns.size + column);
}

/* The block after one that is shown; `blocks` after the last. */
static size_t next_block(const printer *of, size_t block) {
    return block + 1 == of->first_blocks && of->first_blocks < of->blocks ? of->blocks - 1 : block + 1;
}

static void visit_shown(printer *to, visit_number *visit) {
    for (size_t block = 0; block < to->blocks; block = next_block(to, block))
        visit_block(to, block, visit);
}

/* Whole numbers need no decimals, others four; very large and very small ones an exponent. */
static void choose_decimals(printer *to, size_t index) {
    double magnitude = fabs((double)sc_tensor_real(to->tensor)[index]);
    if (!isfinite(magnitude) || magnitude == 0)
        return;
    if (magnitude != floor(magnitude) || magnitude >= 1e6)
        to->decimals = 4;
    if (magnitude >= 1e6 || magnitude < 1e-4)
        to->scientific = true;
}

static void widen(printer *to, size_t index) {
    char text[NUMBER_TEXT];
    int width = (int)strlen(format_number(text, to, index));
    to->width = width > to->width ? width : to->width;
}

static void append_row(printer *to, size_t first) {
    char number[NUMBER_TEXT];
    append(to, "[");
    for (size_t i = 0; i < to->columns.size; i = next_shown(&to->columns, i))
        append(to, "%s%s%*s", i ? ", " : "", is_after_gap(&to->columns, i) ? "..., " : "", to->width,
               format_number(number, to, first + i));
    append(to, "]");
}

static void append_block(printer *to, size_t block) {
    append(to, "[");
    for (size_t row = 0; row < to->rows.size; row = next_shown(&to->rows, row)) {
        append(to, "%s%s", row ? ",\n " : "", is_after_gap(&to->rows, row) ? "...,\n " : "");
        append_row(to, (block * to->rows.size + row) * to->columns.size);
    }
    append(to, "]");
}

/* "[2, 1]:", the indices (from 1) of a block in all dimensions but the last two. */
static void append_indices(printer *to, size_t block) {
    const sc_shape *shape = &to->tensor->shape;
    size_t stride = to->blocks;
    for (int d = 0; d < shape->ndim - 2; d++) {
        stride /= shape->size[d];
        append(to, "%s%zu", d ? ", " : "[", block / stride % shape->size[d] + 1);
    }
    append(to, "]:\n");
}

static void arrange(printer *to) {
    const sc_shape *shape = &to->tensor->shape;
    int ndim = shape->ndim;
    to->blocks = 1;
    for (int d = 0; d < ndim - 2; d++)
        to->blocks *= shape->size[d];
    bool several = ndim > 2;
    to->columns = make_extent(ndim > 0 ? shape->size[ndim - 1] : 1, MAX_COLUMNS, EDGE);
    to->rows = make_extent(ndim > 1 ? shape->size[ndim - 2] : 1, several ? MAX_BLOCK_ROWS : MAX_ROWS,
                           several ? BLOCK_EDGE : EDGE);
    size_t max_blocks = MAX_LINES / (lines_of(&to->rows) + 1);
    to->first_blocks = to->blocks > max_blocks ? max_blocks - 1 : to->blocks;
    if (to->tensor->dtype == SC_REAL)
        visit_shown(to, choose_decimals);
    visit_shown(to, widen);
}

const char *sc_tensor_format(char text[SC_TENSOR_TEXT], const sc_tensor *tensor) {
    char shape[SC_SHAPE_TEXT], number[NUMBER_TEXT];
    printer to = {.text = text, .tensor = tensor};
    append(&to, "Tensor %s %s\n", sc_shape_format(shape, &tensor->shape), sc_dtype_name(tensor->dtype));
    if (sc_tensor_numel(tensor) == 0) {
        append(&to, "[]");
        return text;
    }
    arrange(&to);
    if (tensor->shape.ndim == 0)
        append(&to, "%s", format_number(number, &to, 0));
    else if (tensor->shape.ndim == 1)
        append_row(&to, 0);
    else if (tensor->shape.ndim == 2)
        append_block(&to, 0);
    else
        for (size_t block = 0; block < to.blocks; block = next_block(&to, block)) {
            append(&to, "%s", block == 0 ? "" : "\n");
            if (block >= to.first_blocks)
                append(&to, "...\n");
            append_indices(&to, block);
            append_block(&to, block);
        }
    return text;
}
