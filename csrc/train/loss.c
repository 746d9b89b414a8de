#include "train/loss.h"

#include <inttypes.h>
#include <math.h>

static double row_max(const sc_real *z, size_t classes) {
    double top = (double)z[0];
    for (size_t k = 1; k < classes; k++)
        if ((double)z[k] > top || isnan(z[k]))
            top = (double)z[k];
    return top;
}

static double row_sum(const sc_real *z, size_t classes, double top) {
    double sum = 0;
    for (size_t k = 0; k < classes; k++)
        sum += exp((double)z[k] - top);
    return sum;
}

static double weight_of(const sc_real *weights, int64_t label) {
    return weights ? (double)weights[label - 1] : 1.0;
}

/* Judges everything before anything is written; *total gets the sum of the samples' weights. */
static sc_status check(double *total, const int64_t *labels, const sc_real *weights, size_t n, size_t classes,
                       sc_error *error) {
    for (size_t k = 0; weights && k < classes; k++)
        if (!isfinite(weights[k]) || weights[k] < 0)
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "cross_entropy: weights: expected finite numbers of at least 0, got %g at %zu",
                                (double)weights[k], k + 1);
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        if (labels[i] < 1 || (uint64_t)labels[i] > classes)
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "cross_entropy: labels: expected classes in 1..%zu, got %" PRId64 " at %zu", classes,
                                labels[i], i + 1);
        *total += weight_of(weights, labels[i]);
    }
    if (!(*total > 0))
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "cross_entropy: weights: expected at least one sample of positive weight");
    return SC_OK;
}

sc_status sc_loss_cross_entropy(double *loss, sc_real *dlogits, const sc_real *logits, const int64_t *labels,
                                const sc_real *weights, size_t n, size_t classes, sc_error *error) {
    double total = 0, sum = 0;
    SC_TRY(check(&total, labels, weights, n, classes, error));
    for (size_t i = 0; i < n; i++) {
        const sc_real *z = logits + i * classes;
        sc_real *dz = dlogits + i * classes;
        size_t target = (size_t)labels[i] - 1;
        double share = weight_of(weights, labels[i]) / total, top = row_max(z, classes);
        double mass = row_sum(z, classes, top);
        if (share > 0) /* so that 0 times infinity does not count */
            sum += share * (log(mass) + (top - (double)z[target]));
        for (size_t k = 0; k < classes; k++)
            dz[k] = (sc_real)(share * (exp((double)z[k] - top) / mass - (k == target)));
    }
    *loss = sum;
    return SC_OK;
}

void sc_loss_softmax(sc_real *p, const sc_real *logits, size_t n, size_t classes) {
    for (size_t i = 0; i < n; i++) {
        const sc_real *z = logits + i * classes;
        double top = row_max(z, classes), mass = row_sum(z, classes, top);
        for (size_t k = 0; k < classes; k++)
            p[i * classes + k] = (sc_real)(exp((double)z[k] - top) / mass);
    }
}
