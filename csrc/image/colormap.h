/* Relevance -> colours: what a heatmap is made of. */
#ifndef SC_IMAGE_COLORMAP_H
#define SC_IMAGE_COLORMAP_H

#include "base/real.h"
#include "base/status.h"

#include <stddef.h>

/* How relevance r becomes a colour. t = sign(r) min(1, |r| / limit)^gamma says where in the table it lies: 0 at row
 * zero, 1 at the last row, -1 at the first one; rows are interpolated linearly, and row zero is met exactly.
 *
 * Over a background the opacity of the colour is min(1, alpha (1 - (1 - |t|)^2)), and it is taken at sign(t) (0.5 + 0.4
 * |t|): what is nearly neutral would be a veil over the image, and the darkest colours would be lost in its shadows.
 */
typedef struct sc_colormap {
    const sc_real *table; /* [entries, 3]: red, green, blue in 0..1 */
    size_t entries;       /* at least 2 */
    size_t zero;          /* the row of no relevance, from 0; 0 for a table with one side, where r < 0 counts as 0 */
    double limit;         /* the magnitude that gets the end of the table; 0: nothing is relevant */
    double gamma;         /* above 0; below 1 lifts what is faint */
    const sc_real *background; /* [scale height, scale width] grey levels in 0..1; NULL: none */
    double alpha;              /* opacity factor over the background, at least 0 */
    size_t scale;              /* each value becomes scale x scale pixels; at least 1 */
} sc_colormap;

/* out [3, scale height, scale width] = relevance [height, width] in colours. SC_ERROR_NUMERIC where relevance or
 * background holds what is not finite. */
sc_status sc_colormap_apply(sc_real *out, const sc_real *relevance, size_t height, size_t width, const sc_colormap *map,
                            sc_error *error);

/* *out = the magnitude at a percentile in (0, 100] of values [count], by nearest rank: the smallest |v| that at least
 * that share of all magnitudes does not exceed. Exact, in time linear in count, which must be at least 1.
 * SC_ERROR_NUMERIC where a value is not finite. */
sc_status sc_magnitude_percentile(double *out, const sc_real *values, size_t count, double percentile, sc_error *error);

#endif
