/* The tiles of Winograd's F(4 x 4, 3 x 3): where each reads and writes, and its inputs in the transformed space. Tiles
 * are counted over all images; a block of them is treated at a time. */
#ifndef SC_KERNEL_WINOGRAD_TILES_H
#define SC_KERNEL_WINOGRAD_TILES_H

#include "base/size.h"
#include "kernel/conv2d.h"
#include "kernel/winograd_transforms.h"

enum {
    SC_WINOGRAD_TILE = 4,
    SC_WINOGRAD_REACH = 6,
    SC_WINOGRAD_POINTS = SC_WINOGRAD_REACH * SC_WINOGRAD_REACH,
    SC_WINOGRAD_TILES = 64, /* of a block: few, so that a thread's operands stay near its caches */
};

/* One convolution: from [n x c x h x w] to [n x o x oh x ow]. The backward pass to the inputs is one too, with the
 * roles of channels exchanged. */
typedef struct sc_tiling {
    size_t n, c, h, w, o, oh, ow;
    size_t pad_y, pad_x;         /* zeros above and to the left of the input */
    size_t rows, columns, tiles; /* of tiles in one image; all tiles of all images */
    size_t width, blocks;        /* tiles of a block, and their number */
} sc_tiling;

/* That of a convolution of n images, or of its backward pass. */
sc_tiling sc_tiling_make(const sc_conv2d_size *s, size_t n, bool backward);

/* From point to point, for so many numbers: what lies a power of two apart is moved by a line of the cache. */
static inline size_t sc_tiling_step(size_t reals) {
    const size_t line = 64 / sizeof(sc_real);
    return sc_round_up(reals, line) + line;
}

/* The tiles of a block, the last of which may have fewer. */
size_t sc_tiling_count(const sc_tiling *t, size_t block);

/* Numbers of a plane that lie side by side, there and in a buffer. */
typedef struct sc_tiling_piece {
    size_t plane, buffer, count;
} sc_tiling_piece;

/* Where a block writes: from four lines of outputs, with four numbers for each tile. */
typedef struct sc_tiling_outputs {
    size_t tiles, pieces; /* tiles, as many as whole vectors have */
    sc_tiling_piece piece[SC_WINOGRAD_TILE * SC_WINOGRAD_TILES];
} sc_tiling_outputs;

/* Where this block writes. */
void sc_tiling_find_outputs(sc_tiling_outputs *out, const sc_tiling *t, size_t block);

/* Inputs of a block, channels first .. last - 1 of x, at every point: v + point * step. As packed columns, one per tile
 * in an order of their own, whose sums run over channels; or as `lines`, one per channel, t->width apart. */
void sc_tiling_transform_inputs(sc_real *v, size_t step, const sc_tiling *t, const sc_real *x, size_t block,
                                size_t first, size_t last, bool lines);

#endif
