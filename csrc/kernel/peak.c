#include "kernel/peak.h"

#include "kernel/simd.h"

#include <omp.h>

enum { CHAINS = 12, STEPS = 1 << 15 }; /* independent sums, more than the pipelines of any processor take */

/* The sum is returned, or the compiler would leave all of it out. */
static sc_real multiply_and_add(sc_real start) {
    sc_vector sum[CHAINS];
    const sc_vector factor = sc_vector_all((sc_real)0.999), term = sc_vector_all((sc_real)0.001);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = sc_vector_all(start + (sc_real)i);
    for (long step = 0; step < STEPS; step++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            sum[i] = sc_vector_fma(sum[i], factor, term);
    sc_real total = 0;
    for (int i = 0; i < CHAINS; i++)
        total += sum[i][0];
    return total;
}

double sc_peak_gflops(int threads, double seconds) {
    const double flops = 2.0 * SC_VECTOR * CHAINS * STEPS * threads;
    double best = 0, begin = omp_get_wtime();
    volatile sc_real kept = 0;
    do {
        double start = omp_get_wtime();
#pragma omp parallel num_threads(threads)
        {
            sc_real mine = multiply_and_add((sc_real)omp_get_thread_num());
#pragma omp critical
            kept += mine;
        }
        double rate = flops / (omp_get_wtime() - start) * 1e-9;
        best = rate > best ? rate : best;
    } while (omp_get_wtime() - begin < seconds);
    return best;
}
