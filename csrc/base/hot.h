/* SC_HOT marks a loop that is worth compiling once per vector width; the loader picks the widest that the processor
 * has, so that a binary built on one machine runs on another. */
#ifndef SC_BASE_HOT_H
#define SC_BASE_HOT_H

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && !defined(SC_SANITIZE)
#define SC_HOT __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SC_HOT
#endif

#endif
