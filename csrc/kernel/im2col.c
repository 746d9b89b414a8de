#include "kernel/im2col.h"

#include <string.h>

/* Output columns ox for which ox * stride + shift lies in 0 .. width - 1: first .. last - 1. */
static void inside(size_t *first, size_t *last, size_t outputs, size_t stride, ptrdiff_t shift, size_t width) {
    ptrdiff_t s = (ptrdiff_t)stride;
    ptrdiff_t low = shift >= 0 ? 0 : (-shift + s - 1) / s;
    ptrdiff_t high = (ptrdiff_t)width - 1 - shift < 0 ? 0 : ((ptrdiff_t)width - 1 - shift) / s + 1;
    high = high > (ptrdiff_t)outputs ? (ptrdiff_t)outputs : high;
    low = low > high ? high : low;
    *first = (size_t)low;
    *last = (size_t)high;
}

static void gather(sc_real *to, const sc_real *from, size_t count, size_t stride) {
    if (stride == 1)
        memcpy(to, from, count * sizeof *to);
    else
        for (size_t i = 0; i < count; i++)
            to[i] = from[i * stride];
}

static void scatter_add(sc_real *to, const sc_real *from, size_t count, size_t stride) {
    if (stride == 1)
        for (size_t i = 0; i < count; i++)
            to[i] += from[i];
    else
        for (size_t i = 0; i < count; i++)
            to[i * stride] += from[i];
}

void sc_im2col(sc_real *col, size_t ld, size_t at, const sc_real *x, const sc_conv2d_size *s, size_t c0,
               size_t channels, size_t row, size_t rows) {
    for (size_t c = 0; c < channels; c++)
        for (size_t ky = 0; ky < s->kh; ky++)
            for (size_t kx = 0; kx < s->kw; kx++) {
                sc_real *line = col + ((c * s->kh + ky) * s->kw + kx) * ld + at;
                ptrdiff_t shift = (ptrdiff_t)(kx * s->dw) - (ptrdiff_t)s->pw;
                size_t first, last;
                inside(&first, &last, s->ow, s->sw, shift, s->w);
                for (size_t oy = row; oy < row + rows; oy++, line += s->ow) {
                    ptrdiff_t y = (ptrdiff_t)(oy * s->sh + ky * s->dh) - (ptrdiff_t)s->ph;
                    if (y < 0 || y >= (ptrdiff_t)s->h || first == last) {
                        memset(line, 0, s->ow * sizeof *line);
                        continue;
                    }
                    const sc_real *from = x + ((c0 + c) * s->h + (size_t)y) * s->w + (ptrdiff_t)(first * s->sw) + shift;
                    memset(line, 0, first * sizeof *line);
                    gather(line + first, from, last - first, s->sw);
                    memset(line + last, 0, (s->ow - last) * sizeof *line);
                }
            }
}

void sc_col2im(sc_real *x, const sc_real *col, size_t ld, size_t at, const sc_conv2d_size *s, size_t c0,
               size_t channels, size_t row, size_t rows) {
    for (size_t c = 0; c < channels; c++)
        for (size_t ky = 0; ky < s->kh; ky++)
            for (size_t kx = 0; kx < s->kw; kx++) {
                const sc_real *line = col + ((c * s->kh + ky) * s->kw + kx) * ld + at;
                ptrdiff_t shift = (ptrdiff_t)(kx * s->dw) - (ptrdiff_t)s->pw;
                size_t first, last;
                inside(&first, &last, s->ow, s->sw, shift, s->w);
                for (size_t oy = row; oy < row + rows && first < last; oy++, line += s->ow) {
                    ptrdiff_t y = (ptrdiff_t)(oy * s->sh + ky * s->dh) - (ptrdiff_t)s->ph;
                    if (y < 0 || y >= (ptrdiff_t)s->h)
                        continue;
                    sc_real *to = x + ((c0 + c) * s->h + (size_t)y) * s->w + (ptrdiff_t)(first * s->sw) + shift;
                    scatter_add(to, line + first, last - first, s->sw);
                }
            }
}
