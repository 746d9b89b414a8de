#include "base/random.h"

#include "base/math64.h"

#include <math.h>

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t value, int bits) {
    return (value << bits) | (value >> (64 - bits));
}

uint64_t sc_random_mix(uint64_t a, uint64_t b) {
    uint64_t state = a;
    uint64_t mixed = splitmix(&state) ^ b;
    return splitmix(&mixed);
}

void sc_random_seed(sc_random *random, uint64_t seed, uint64_t stream) {
    uint64_t state = sc_random_mix(seed, stream);
    for (int i = 0; i < 4; i++)
        random->state[i] = splitmix(&state);
}

uint64_t sc_random_next(sc_random *random) {
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double sc_random_uniform(sc_random *random) {
    return (double)(sc_random_next(random) >> 11) * 0x1.0p-53;
}

double sc_random_between(sc_random *random, double low, double high) {
    return low + (high - low) * sc_random_uniform(random);
}

double sc_random_normal(sc_random *random) {
    double u, v, s;
    do {
        u = 2 * sc_random_uniform(random) - 1;
        v = 2 * sc_random_uniform(random) - 1;
        s = u * u + v * v;
    } while (s >= 1 || s == 0);
    return u * sqrt(-2 * sc_log64(s) / s);
}

uint64_t sc_random_below(sc_random *random, uint64_t bound) {
    uint64_t threshold = -bound % bound; /* the 2^64 mod bound values that would favour small results */
    uint64_t value;
    do
        value = sc_random_next(random);
    while (value < threshold);
    return value % bound;
}

void sc_random_shuffle(sc_random *random, size_t *items, size_t count) {
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)sc_random_below(random, i);
        size_t item = items[i - 1];
        items[i - 1] = items[j];
        items[j] = item;
    }
}
