#include "image/phantom.h"

#include "base/math64.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/size.h"

#include <math.h>

/* Coordinates: x from -1 (the image's left, the patient's right) to 1, y from -1 (top) to 1. Values: how much the
 * body absorbs, 0 air to 1 bone, before exposure. */
typedef struct lung {
    double side;                /* -1 or 1 */
    double x, y, width, height; /* middle and half sizes */
    double dome;                /* y of the diaphragm's top */
} lung;

enum { RIBS = 9, PATCHES = 4, LATTICE = 16 };

typedef struct finding {
    sc_phantom_finding kind;
    int where; /* the lung that has it */
    double x[PATCHES], y[PATCHES], radius[PATCHES], strength;
    double level, rise; /* of an effusion */
} finding;

typedef struct body {
    double centre, tilt, width, shoulder, tissue; /* outline */
    lung lungs[2];
    double heart_x, heart_y, heart_width, heart_height;
    double rib_start, rib_gap, rib_slope, rib_strength, spine_width;
    double gain, offset, gamma, grain; /* exposure */
    double soft;                       /* width of edges: never less than a pixel */
    double lattice[LATTICE][LATTICE];  /* of the smooth noise */
    finding findings[SC_PHANTOM_FINDINGS];
    int count; /* of them */
} body;

static double clamped(double value, double low, double high) {
    return value < low ? low : value > high ? high : value;
}

static double square(double value) {
    return value * value;
}

static double length_of(double x, double y) {
    return sqrt(x * x + y * y);
}

/* 1 where value is well below 0, 0 well above, smooth over a width of 2 soft. */
static double inside(double value, double soft) {
    double t = clamped(0.5 - 0.5 * value / soft, 0, 1);
    return t * t * (3 - 2 * t);
}

static double bump(double distance, double width) {
    double t = distance / width;
    return t * t > 12 ? 0 : sc_exp64(-t * t);
}

/* Smooth noise in -1..1 of a given number of waves over the image. */
static double noise(const body *b, double x, double y, double waves) {
    double u = (x + 1) * waves + 64, v = (y + 1) * waves + 64;
    double fu = floor(u), fv = floor(v);
    size_t i = (size_t)fu, j = (size_t)fv;
    u -= fu;
    v -= fv;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    const double *top = b->lattice[j % LATTICE], *bottom = b->lattice[(j + 1) % LATTICE];
    size_t next = (i + 1) % LATTICE;
    i %= LATTICE;
    return (1 - v) * ((1 - u) * top[i] + u * top[next]) + v * ((1 - u) * bottom[i] + u * bottom[next]);
}

static double clouds(const body *b, double x, double y) {
    return 0.55 * noise(b, x, y, 2.3) + 0.3 * noise(b, x + 0.37, y - 0.21, 4.9) +
           0.15 * noise(b, x - 0.11, y + 0.53, 10.3);
}

/* Negative inside the lung, positive outside, about a distance. */
static double lung_edge(const lung *l, double x, double y) {
    double down = clamped((y - (l->y - l->height)) / (2 * l->height), 0, 1); /* 0 apex, 1 base */
    double width = l->width * (0.62 + 0.5 * sc_sin64(1.75 * down));
    double lean = l->side * 0.1 * (down - 0.5); /* wider apart at the base */
    double dx = fabs(x - l->x - lean) / width, dy = fabs(y - l->y) / l->height;
    double shape =
        (sc_pow64(dx * dx * sqrt(dx) + dy * dy * sqrt(dy), 0.4) - 1) * width; /* exponent 2.5: nearly an ellipse */
    double outward = (x - l->x) * l->side;
    double floor_y = l->dome + 0.9 * (outward + 0.1) * (outward + 0.1) + (outward > 0 ? 0.25 * outward : 0);
    return fmax(shape, y - floor_y);
}

static void place_anatomy(body *b, sc_random *random) {
    b->centre = sc_random_between(random, -0.06, 0.06);
    b->tilt = sc_random_between(random, -0.05, 0.05);
    b->width = sc_random_between(random, 0.86, 1.0);
    b->shoulder = sc_random_between(random, -0.86, -0.74);
    b->tissue = sc_random_between(random, 0.42, 0.52);
    double lift = sc_random_between(random, -0.07, 0.07), breath = sc_random_between(random, 0.92, 1.08);
    for (int i = 0; i < 2; i++) {
        lung *l = &b->lungs[i];
        l->side = i == 0 ? -1 : 1;
        l->width = sc_random_between(random, 0.27, 0.32);
        l->height = sc_random_between(random, 0.68, 0.76) * breath;
        l->x = l->side * sc_random_between(random, 0.40, 0.45);
        l->y = lift - 0.02;
        l->dome = l->y + l->height * sc_random_between(random, 0.70, 0.80) + (i == 0 ? -0.05 : 0);
    }
    b->heart_x = sc_random_between(random, 0.1, 0.17);
    b->heart_y = lift + sc_random_between(random, 0.27, 0.34);
    b->heart_width = sc_random_between(random, 0.34, 0.43);
    b->heart_height = sc_random_between(random, 0.26, 0.31);
    b->rib_gap = sc_random_between(random, 0.15, 0.18);
    b->rib_start = sc_random_between(random, -0.9, -0.78);
    b->rib_slope = sc_random_between(random, 0.25, 0.5);
    b->rib_strength = sc_random_between(random, 0.06, 0.11);
    b->spine_width = sc_random_between(random, 0.08, 0.11);
}

/* A point well inside the lung, away from its edges by the margin. */
static void place_inside(const lung *l, double margin, sc_random *random, double *x, double *y) {
    *x = l->x;
    *y = l->y;
    for (int attempt = 0; attempt < 64; attempt++) {
        double tx = l->x + l->width * sc_random_between(random, -1, 1);
        double ty = l->y + l->height * sc_random_between(random, -0.9, 0.9);
        if (lung_edge(l, tx, ty) < -margin) {
            *x = tx;
            *y = ty;
            return;
        }
    }
}

static void place_finding(const body *b, finding *f, sc_random *random) {
    const lung *l = &b->lungs[f->where];
    switch (f->kind) {
    case SC_PHANTOM_NODULE:
        f->radius[0] = sc_random_between(random, 0.1, 0.16);
        f->strength = sc_random_between(random, 0.4, 0.52);
        place_inside(l, 0.6 * f->radius[0], random, &f->x[0], &f->y[0]);
        break;
    case SC_PHANTOM_EFFUSION:
        f->level = l->dome - sc_random_between(random, 0.3, 0.7);
        f->rise = sc_random_between(random, 0.9, 1.7);
        f->strength = sc_random_between(random, 0.9, 1);
        break;
    case SC_PHANTOM_OPACITY:
        f->strength = sc_random_between(random, 0.4, 0.55);
        for (int i = 0; i < PATCHES; i++) {
            f->radius[i] = sc_random_between(random, 0.17, 0.3);
            place_inside(&b->lungs[(f->where + i) % 2], 0.03, random, &f->x[i], &f->y[i]);
        }
        break;
    }
}

/* A lung is drawn for a normal image too: its noise is that of one with a finding. */
static void place_findings(body *b, unsigned set, sc_random *random) {
    b->count = 0;
    int where = (int)sc_random_below(random, 2);
    for (unsigned kind = 1; kind <= SC_PHANTOM_OPACITY; kind *= 2) {
        if (!(set & kind))
            continue;
        if (b->count > 0)
            where = (int)sc_random_below(random, 2);
        finding *f = &b->findings[b->count++];
        *f = (finding){.kind = (sc_phantom_finding)kind, .where = where};
        place_finding(b, f, random);
    }
}

static void place_exposure(body *b, sc_random *random) {
    b->gain = sc_random_between(random, 0.82, 1.1);
    b->offset = sc_random_between(random, -0.05, 0.07);
    b->gamma = sc_random_between(random, 0.8, 1.25);
    b->grain = sc_random_between(random, 0.008, 0.022);
    for (int j = 0; j < LATTICE; j++)
        for (int i = 0; i < LATTICE; i++)
            b->lattice[j][i] = sc_random_between(random, -1, 1);
}

/* Everything but lungs and bones: neck, shoulders that run out of the image, sides. */
static double outline(const body *b, double x, double y) {
    double ax = fabs(x), soft = fmax(0.04, b->soft);
    double neck = 0.3 + 0.12 * clamped(y + 1, 0, 1);
    double slope = 0.2 * clamped(ax - neck, 0, 1) + 0.5 * square(clamped((ax - 0.55) / 0.5, 0, 1));
    double shoulder = fmax(b->shoulder + slope - y, -1);
    double side = b->width - 0.1 * square(clamped(y - 0.1, 0, 1)) + 0.7 * sc_pow64(clamped(-0.05 - y, 0, 1), 1.5);
    double trunk = inside(fmax(ax - side, shoulder), soft);
    return fmax(trunk, inside(ax - neck, 0.07));
}

/* Bands that leave the spine, fall towards the side (the back) and come forward again, fainter. */
static double ribs(const body *b, double x, double y) {
    double ax = fabs(x), sum = 0, width = fmax(0.03, 0.8 * b->soft);
    for (int k = 0; k < RIBS; k++) {
        double start = b->rib_start + k * b->rib_gap;
        double back = start - 0.16 * sc_sin64(3 * clamped(ax, 0, 0.9)) + b->rib_slope * ax * ax;
        double front = start + 0.3 - 0.3 * (ax - 0.2);
        sum += bump(y - back, width) + 0.3 * bump(y - front, width);
    }
    return b->rib_strength * sum * inside(ax - 0.8, 0.1);
}

static double with_finding(const body *b, const finding *f, double x, double y, double absorbed, double texture) {
    const lung *l = &b->lungs[f->where];
    switch (f->kind) {
    case SC_PHANTOM_NODULE: {
        double distance = length_of(x - f->x[0], y - f->y[0]) - f->radius[0];
        return absorbed + f->strength * inside(distance, fmax(0.035, b->soft)) * (1 - 0.4 * absorbed);
    }
    case SC_PHANTOM_EFFUSION: {
        double outward = (x - l->x) * l->side + 0.12;
        double surface = f->level - f->rise * outward * outward * (outward > 0 ? 1 : 0.3);
        double chest = inside(lung_edge(&(lung){l->side, l->x, l->y, l->width, l->height, 9}, x, y) - 0.03,
                              fmax(0.06, b->soft)); /* the whole ellipse: fluid covers the diaphragm */
        double fluid = inside(surface - y, fmax(0.05, b->soft)) * chest * f->strength;
        return absorbed + fluid * fmax(0, 0.6 + 0.1 * y + 0.04 * texture - absorbed);
    }
    case SC_PHANTOM_OPACITY: {
        double haze = 0;
        for (int i = 0; i < PATCHES; i++)
            haze += bump(length_of(x - f->x[i], y - f->y[i]), f->radius[i]);
        double cloudy = clamped(0.85 + 0.65 * texture, 0.3, 1.4);
        return absorbed + f->strength * clamped(haze, 0, 1.2) * cloudy * fmax(0, 1 - 1.1 * absorbed);
    }
    }
    return absorbed;
}

/* An egg that leans to the left of the patient, and the great vessels above it. */
static double heart(const body *b, double x, double y) {
    double dx = x - b->heart_x, dy = y - b->heart_y;
    double along = 0.8 * dx + 0.6 * dy, across = 0.8 * dy - 0.6 * dx;
    double egg = length_of(along / b->heart_width, across / (b->heart_height * (1 - 0.25 * along))) - 1;
    double vessels = length_of((x - 0.09) / 0.13, (y - b->heart_y + 0.4) / 0.3) - 1;
    double soft = fmax(0.06, b->soft);
    return fmax(inside(egg * b->heart_width, soft), 0.7 * inside(vessels * 0.13, soft));
}

static double absorption(const body *b, double px, double y) {
    double x = px - b->centre - b->tilt * y, ax = fabs(x);
    double texture = clouds(b, px, y), trunk = outline(b, x, y);
    double value = b->tissue + 0.05 * texture + 0.1 * y;
    double air = 0, apart = 1;
    for (int i = 0; i < 2; i++) {
        double edge = lung_edge(&b->lungs[i], x, y);
        air = fmax(air, inside(edge, fmax(0.05, b->soft)));
        apart = fmin(apart, length_of(x - 0.62 * b->lungs[i].x, (y - b->lungs[i].y - 0.02) * 0.75));
    }
    double vessels = 0.16 * bump(apart, 0.2) * (1 + 0.7 * noise(b, px, y, 9.1));
    value = value * (1 - air) + air * (0.13 + 0.035 * texture + vessels);
    double spine = inside(ax - b->spine_width, fmax(0.05, b->soft));
    value += 0.1 * spine * (1 + 0.16 * sc_sin64(2 * 3.14159265 * y / (0.8 * b->rib_gap)));
    value += 0.13 * inside(ax - 0.17 - 0.04 * sc_sin64(4 * y), 0.08) * inside(-0.75 - y, 0.3); /* mediastinum */
    double muscle = heart(b, x, y);
    value += muscle * fmax(0, 0.62 + 0.03 * texture - value);
    value += ribs(b, x, y) * (0.35 + 0.65 * air) * (1 - 0.5 * muscle);
    double collar = y - (b->shoulder + 0.2 - 0.22 * ax + 0.1 * sc_sin64(5 * ax));
    value += 0.13 * bump(collar, fmax(0.035, 0.8 * b->soft)) * inside(0.1 - ax, 0.05) * inside(ax - 0.72, 0.05);
    for (int i = 0; i < b->count; i++)
        value = with_finding(b, &b->findings[i], x, y, value, texture);
    return 0.02 + trunk * value;
}

sc_status sc_phantom_draw(sc_pixels *out, unsigned findings, size_t size, uint64_t seed, size_t index,
                          sc_error *error) {
    size_t area;
    *out = (sc_pixels){0};
    if (size < SC_PHANTOM_MIN_SIZE || !sc_size_multiply(&area, size, size))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "phantom: size: expected at least %d, got %zu",
                            SC_PHANTOM_MIN_SIZE, size);
    void *memory;
    SC_TRY(sc_memory_alloc(&memory, area, 1, error));
    sc_random random;
    sc_random_seed(&random, seed, index);
    body b = {.soft = 1.6 / (double)size};
    place_anatomy(&b, &random);
    place_exposure(&b, &random);
    place_findings(&b, findings, &random);
    uint8_t *bytes = memory;
    for (size_t y = 0; y < size; y++)
        for (size_t x = 0; x < size; x++) {
            double px = (2 * (double)x + 1) / (double)size - 1, py = (2 * (double)y + 1) / (double)size - 1;
            double value = clamped(b.gain * absorption(&b, px, py) * 1.15 + b.offset, 0, 1);
            value = sc_pow64(value, b.gamma) + b.grain * sc_random_normal(&random);
            bytes[y * size + x] = (uint8_t)lrint(255 * clamped(value, 0, 1));
        }
    *out =
        (sc_pixels){.data = memory, .width = size, .height = size, .channels = 1, .depth = SC_DEPTH_8, .owned = memory};
    return SC_OK;
}
