#include "kernel/logistic.h"

#include "base/math64.h"

#include <math.h>

/* log(1 + e) for e in [0, 1], to full precision near 0 (Goldberg 1991, theorem 4). */
static double log_of_one_more(double e) {
    double u = 1 + e;
    return u == 1 ? e : sc_log64(u) * (e / (u - 1));
}

sc_logistic64 sc_logistic64_of(double z) {
    double e = sc_exp64(-fabs(z)), large = 1 / (1 + e), small = e / (1 + e);
    double rest = log_of_one_more(e);
    if (z < 0)
        return (sc_logistic64){small, large, rest - z, rest};
    return (sc_logistic64){large, small, rest, rest + z};
}

void sc_logistic64_forward(sc_real *p, const sc_real *z, size_t count) {
    for (size_t i = 0; i < count; i++)
        p[i] = (sc_real)sc_logistic64_of((double)z[i]).yes;
}
