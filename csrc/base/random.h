/* Seeded random numbers. There is no global generator: every random choice owns its sc_random, and work that is split
 * over threads or can be resumed derives one from (seed, stream), e.g. (seed, sample index). */
#ifndef SC_BASE_RANDOM_H
#define SC_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* xoshiro256** (Blackman and Vigna, 2018). */
typedef struct sc_random {
    uint64_t state[4];
} sc_random;

/* Any seed and stream are good; different pairs give unrelated sequences (splitmix64 fills the state). */
void sc_random_seed(sc_random *random, uint64_t seed, uint64_t stream);

/* Mixes two numbers into a new seed, for seeds of seeds: (seed, epoch) -> seed of that epoch. */
uint64_t sc_random_mix(uint64_t a, uint64_t b);

/* 64 random bits (xoshiro256**). */
uint64_t sc_random_next(sc_random *random);

/* In [0, 1), 53 bits. */
double sc_random_uniform(sc_random *random);

/* In [low, high). */
double sc_random_between(sc_random *random, double low, double high);

/* Standard normal (Marsaglia's polar method). */
double sc_random_normal(sc_random *random);

/* In 0 .. bound - 1, unbiased; bound > 0. */
uint64_t sc_random_below(sc_random *random, uint64_t bound);

/* A uniformly random permutation of items[0 .. count - 1] (Fisher and Yates). */
void sc_random_shuffle(sc_random *random, size_t *items, size_t count);

#endif
