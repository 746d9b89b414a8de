#include "train/loss.h"

#include "kernel/softmax.h"

#include <inttypes.h>
#include <math.h>

static double weight_of(const sc_real *weights, size_t class) {
    return weights ? (double)weights[class] : 1.0;
}

static sc_status check_options(const sc_loss_options *options, size_t classes, sc_error *error) {
    const sc_real *weights = options->weights;
    for (size_t k = 0; weights && k < classes; k++)
        if (!isfinite(weights[k]) || weights[k] < 0)
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "cross_entropy: weights: expected finite numbers of at least 0, got %g at %zu",
                                (double)weights[k], k + 1);
    if (!(options->smoothing >= 0 && options->smoothing <= 1))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "cross_entropy: smoothing: expected a number in [0, 1], got %g",
                            options->smoothing);
    if (!(options->total >= 0 && isfinite(options->total)))
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "cross_entropy: total: expected a finite number of at least 0, got %g", options->total);
    return SC_OK;
}

/* Judges everything before anything is written; *total gets what divides the sum. */
static sc_status check(double *total, const int64_t *labels, size_t n, size_t classes, const sc_loss_options *options,
                       sc_error *error) {
    SC_TRY(check_options(options, classes, error));
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (labels[i] < 1 || (uint64_t)labels[i] > classes)
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "cross_entropy: labels: expected classes in 1..%zu, got %" PRId64 " at %zu", classes,
                                labels[i], i + 1);
        sum += weight_of(options->weights, (size_t)labels[i] - 1);
    }
    *total = options->total > 0 ? options->total : sum;
    if (!(*total > 0))
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "cross_entropy: weights: expected at least one sample of positive weight");
    return SC_OK;
}

/* A sample's loss and its gradient dz[classes]: each times its weight of every class, and share more of the label's;
 * sum is what these come to. */
static double smooth_row(sc_real *dz, const sc_real *z, const sc_real *weights, double share, double each, double sum,
                         size_t target, size_t classes) {
    sc_softmax64 softmax = sc_softmax64_of(z, classes);
    double loss = 0;
    for (size_t k = 0; k < classes; k++) {
        double part = each * weight_of(weights, k) + (k == target ? share : 0);
        if (part > 0) /* so that 0 times infinity does not count */
            loss += part * sc_softmax64_loss(&softmax, z[k]);
        dz[k] = (sc_real)(sum * sc_softmax64_probability(&softmax, z[k]) - part);
    }
    return loss;
}

static double plain_row(sc_real *dz, const sc_real *z, double share, size_t target, size_t classes) {
    sc_softmax64 softmax = sc_softmax64_of(z, classes);
    for (size_t k = 0; k < classes; k++)
        dz[k] = (sc_real)(share * (sc_softmax64_probability(&softmax, z[k]) - (k == target)));
    return share > 0 ? share * sc_softmax64_loss(&softmax, z[target]) : 0;
}

sc_status sc_loss_cross_entropy(double *loss, sc_real *dlogits, const sc_real *logits, const int64_t *labels, size_t n,
                                size_t classes, const sc_loss_options *options, sc_error *error) {
    double total = 0, sum = 0, all = 0;
    SC_TRY(check(&total, labels, n, classes, options, error));
    for (size_t k = 0; k < classes; k++)
        all += weight_of(options->weights, k);
    for (size_t i = 0; i < n; i++) {
        const sc_real *z = logits + i * classes;
        sc_real *dz = dlogits + i * classes;
        size_t target = (size_t)labels[i] - 1;
        double share = (1 - options->smoothing) * weight_of(options->weights, target) / total;
        double each = options->smoothing / (double)classes / total;
        if (options->smoothing > 0)
            sum += smooth_row(dz, z, options->weights, share, each, share + each * all, target, classes);
        else
            sum += plain_row(dz, z, share, target, classes);
    }
    *loss = sum;
    return SC_OK;
}
