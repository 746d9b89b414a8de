/* Inlining that is not left to the compiler. */
#ifndef SC_BASE_INLINE_H
#define SC_BASE_INLINE_H

/* For what loops call: they become vector arithmetic, and keep sums in registers, only where all of it is inlined. */
#define SC_INLINE static inline __attribute__((always_inline))

#endif
