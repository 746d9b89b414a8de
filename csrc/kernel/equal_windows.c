#include "kernel/equal_windows.h"

#include <stdint.h>
#include <string.h>

/* Neighbours are to the left, above, and above to the left and to the right. */
enum { LEFT, ABOVE, ABOVE_LEFT, ABOVE_RIGHT, SIDES };

/* The scratch of one image. Inputs are counted with the zeros around them: h + 2 ph rows of w + 2 pw. */
typedef struct image {
    sc_real *line, *above; /* [width]: one row of one channel, and the one above it */
    size_t *first;         /* [oh x ow]: the first of the outputs that one sees the same inputs as */
    unsigned char *equal;  /* [height x SIDES x width]: whether an input is as its neighbour, in all channels */
    size_t height, width;
} image;

static size_t bytes_of_image(const sc_conv2d_size *s) {
    size_t height = s->h + 2 * s->ph, width = s->w + 2 * s->pw;
    size_t bytes = 2 * width * sizeof(sc_real) + s->oh * s->ow * sizeof(size_t) + height * SIDES * width + 16;
    return (bytes + 63) / 64 * 64;
}

static image pick(void *scratch, const sc_conv2d_size *s, size_t index) {
    unsigned char *memory = (unsigned char *)scratch + index * bytes_of_image(s);
    image out = {.height = s->h + 2 * s->ph, .width = s->w + 2 * s->pw};
    out.first = (size_t *)(void *)memory;
    out.line = (sc_real *)(void *)(out.first + s->oh * s->ow);
    out.above = out.line + out.width;
    out.equal = (unsigned char *)(out.above + out.width);
    return out;
}

size_t sc_equal_windows_scratch(const sc_conv2d_size *s, size_t n) {
    return n * bytes_of_image(s) + n;
}

static void read_line(sc_real *line, const sc_real *x, const sc_conv2d_size *s, size_t c, size_t y) {
    memset(line, 0, (s->w + 2 * s->pw) * sizeof *line);
    if (y >= s->ph && y - s->ph < s->h)
        memcpy(line + s->pw, x + (c * s->h + y - s->ph) * s->w, s->w * sizeof *line);
}

/* Whether any is left. */
static int keep_equal(unsigned char *restrict equal, const sc_real *a, const sc_real *b, size_t count) {
    int left = 0;
    for (size_t i = 0; i < count; i++) {
        equal[i] &= a[i] == b[i];
        left |= equal[i];
    }
    return left;
}

/* The flags of one row; channels are read until there is none left but among the zeros at the sides, where all are
 * equal. Whether some are left: a window has inputs that are not zeros around the image, so that these flags decide. */
static bool compare_row(image *im, const sc_real *x, const sc_conv2d_size *s, size_t y) {
    size_t w = im->width, start = s->pw, end = s->pw + s->w;
    size_t second = start > 0 ? start : 1,
           beyond = end < w ? end + 1 : w; /* where some neighbour to the left differs */
    unsigned char *equal = im->equal + y * SIDES * w;
    int left = 1;
    memset(equal, 1, SIDES * w);
    equal[LEFT * w] = equal[ABOVE_LEFT * w] = equal[ABOVE_RIGHT * w + w - 1] = 0;
    if (y == 0)
        memset(equal + ABOVE * w, 0, (SIDES - ABOVE) * w);
    for (size_t c = 0; c < s->c && left; c++) {
        read_line(im->line, x, s, c, y);
        const sc_real *line = im->line, *above = im->above;
        left = keep_equal(equal + LEFT * w + second, line + second, line + second - 1, beyond - second);
        if (y == 0)
            continue;
        read_line(im->above, x, s, c, y - 1);
        left |= keep_equal(equal + ABOVE * w + start, line + start, above + start, end - start);
        left |= keep_equal(equal + ABOVE_LEFT * w + second, line + second, above + second - 1, beyond - second);
        left |= keep_equal(equal + ABOVE_RIGHT * w + second - 1, line + second - 1, above + second, beyond - second);
    }
    return left != 0;
}

static bool sees_equal(const image *im, int side, size_t oy, size_t ox) {
    unsigned char all = 1;
    for (size_t k = 0; k < 9; k++)
        all &= im->equal[((oy + k / 3) * SIDES + (size_t)side) * im->width + ox + k % 3];
    return all;
}

static size_t find(size_t *first, size_t i) {
    while (first[i] != i)
        i = first[i] = first[first[i]];
    return i;
}

static void join(size_t *first, size_t i, size_t j) {
    i = find(first, i);
    j = find(first, j);
    first[i > j ? i : j] = i < j ? i : j;
}

/* Outputs that see equal inputs, as sets, each under its first member. */
static void collect(image *im, const sc_conv2d_size *s) {
    for (size_t i = 0; i < s->oh * s->ow; i++)
        im->first[i] = i;
    for (size_t oy = 0; oy < s->oh; oy++)
        for (size_t ox = 0; ox < s->ow; ox++) {
            size_t i = oy * s->ow + ox;
            if (ox > 0 && sees_equal(im, LEFT, oy, ox))
                join(im->first, i, i - 1);
            if (oy > 0 && sees_equal(im, ABOVE, oy, ox))
                join(im->first, i, i - s->ow);
            if (oy > 0 && ox > 0 && sees_equal(im, ABOVE_LEFT, oy, ox))
                join(im->first, i, i - s->ow - 1);
            if (oy > 0 && ox + 1 < s->ow && sees_equal(im, ABOVE_RIGHT, oy, ox))
                join(im->first, i, i - s->ow + 1);
        }
    for (size_t i = 0; i < s->oh * s->ow; i++)
        im->first[i] = find(im->first, i);
}

void sc_equal_windows_join(sc_real *y, void *scratch, const sc_real *x, const sc_conv2d_size *s, size_t n) {
    unsigned char *any = (unsigned char *)scratch + n * bytes_of_image(s);
    size_t plane = s->oh * s->ow;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        image im = pick(scratch, s, i);
        any[i] = 0;
        for (size_t row = 0; row < im.height; row++) {
            bool left = compare_row(&im, x + i * s->c * s->h * s->w, s, row), inside = row >= s->ph;
            any[i] |= left && inside && row - s->ph < s->h;
        }
        if (any[i])
            collect(&im, s);
    }
#pragma omp parallel for schedule(static)
    for (size_t item = 0; item < n * s->o; item++) {
        if (!any[item / s->o])
            continue;
        const size_t *first = pick(scratch, s, item / s->o).first;
        for (size_t i = 0; i < plane; i++)
            y[item * plane + i] = y[item * plane + first[i]];
    }
}
