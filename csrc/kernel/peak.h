/* What the processor can do at best: the yardstick of benchmarks. */
#ifndef SC_KERNEL_PEAK_H
#define SC_KERNEL_PEAK_H

/* Multiplies and adds in registers alone, on `threads` threads for about `seconds`, and gives GFLOP/s at the level that
 * is compiled; the best of several measurements. */
double sc_peak_gflops(int threads, double seconds);

#endif
