#include "train/loss.h"

#include "base/math64.h"
#include "kernel/logistic.h"
#include "kernel/softmax.h"

#include <inttypes.h>
#include <math.h>

static double weight_of(const sc_real *weights, size_t class) {
    return weights ? (double)weights[class] : 1.0;
}

static sc_status check_options(const char *function, const char *weights_name, const sc_loss_options *options,
                               size_t classes, sc_error *error) {
    const sc_real *weights = options->weights;
    for (size_t k = 0; weights && k < classes; k++)
        if (!isfinite(weights[k]) || weights[k] < 0)
            return sc_error_set(error, SC_ERROR_ARGUMENT,
                                "%s: %s: expected finite numbers of at least 0, got %g at %zu", function, weights_name,
                                (double)weights[k], k + 1);
    if (!(options->smoothing >= 0 && options->smoothing <= 1))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "%s: smoothing: expected a number in [0, 1], got %g", function,
                            options->smoothing);
    if (!(options->total >= 0 && isfinite(options->total)))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "%s: total: expected a finite number of at least 0, got %g",
                            function, options->total);
    if (!(options->gamma >= 0 && isfinite(options->gamma)))
        return sc_error_set(error, SC_ERROR_ARGUMENT, "%s: gamma: expected a finite number of at least 0, got %g",
                            function, options->gamma);
    return SC_OK;
}

/* Judges everything before anything is written; *total gets what divides the sum. */
static sc_status check_labels(double *total, const int64_t *labels, size_t n, size_t classes,
                              const sc_loss_options *options, sc_error *error) {
    SC_TRY(check_options("cross_entropy", "weights", options, classes, error));
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

/* Of an element of a row: its probability, the probability of all others, and minus the logarithm of the first. */
typedef struct focal_part {
    double p, rest, loss;
} focal_part;

/* The rest of a probability near 1 is added up: 1 - p would have few digits left. */
static focal_part focal_part_of(const sc_softmax64 *softmax, const sc_real *z, size_t k, size_t classes) {
    focal_part part = {.p = sc_softmax64_probability(softmax, z[k]), .loss = sc_softmax64_loss(softmax, z[k])};
    part.rest = 1 - part.p;
    if (part.p > 0.5) {
        part.rest = 0;
        for (size_t j = 0; j < classes; j++)
            if (j != k)
                part.rest += sc_softmax64_probability(softmax, z[j]);
    }
    return part;
}

/* With f = rest^gamma loss, df/dz_j = (p_j - [j = k]) slope, slope = rest^gamma + gamma p rest^(gamma - 1) loss; this
 * is weight times the slope, and adds weight times f to *loss. */
static double focal_slope(double *loss, double weight, double gamma, const sc_softmax64 *softmax, const sc_real *z,
                          size_t k, size_t classes) {
    if (!(weight > 0)) /* so that 0 times infinity does not count */
        return 0;
    focal_part part = focal_part_of(softmax, z, k, classes);
    double power = sc_pow64(part.rest, gamma);
    *loss += weight * power * part.loss;
    return part.rest == 0 ? 0 : weight * power * (1 + gamma * part.p * part.loss / part.rest);
}

/* A sample's focal loss and its gradient; the weights of the classes' parts are those of smooth_row. */
static double focal_row(sc_real *dz, const sc_real *z, const sc_loss_options *options, double share, double each,
                        size_t target, size_t classes) {
    sc_softmax64 softmax = sc_softmax64_of(z, classes);
    double loss = 0, again = 0, slopes = 0;
    for (size_t k = 0; k < classes; k++) {
        double weight = each * weight_of(options->weights, k) + (k == target ? share : 0);
        slopes += focal_slope(&loss, weight, options->gamma, &softmax, z, k, classes);
    }
    for (size_t k = 0; k < classes; k++) {
        double weight = each * weight_of(options->weights, k) + (k == target ? share : 0);
        double slope = focal_slope(&again, weight, options->gamma, &softmax, z, k, classes);
        dz[k] = (sc_real)(slopes * sc_softmax64_probability(&softmax, z[k]) - slope);
    }
    return loss;
}

sc_status sc_loss_cross_entropy(double *loss, sc_real *dlogits, const sc_real *logits, const int64_t *labels, size_t n,
                                size_t classes, const sc_loss_options *options, sc_error *error) {
    double total = 0, sum = 0, all = 0;
    SC_TRY(check_labels(&total, labels, n, classes, options, error));
    for (size_t k = 0; k < classes; k++)
        all += weight_of(options->weights, k);
    for (size_t i = 0; i < n; i++) {
        const sc_real *z = logits + i * classes;
        sc_real *dz = dlogits + i * classes;
        size_t target = (size_t)labels[i] - 1;
        double share = (1 - options->smoothing) * weight_of(options->weights, target) / total;
        double each = options->smoothing / (double)classes / total;
        if (options->gamma > 0)
            sum += focal_row(dz, z, options, share, each, target, classes);
        else if (options->smoothing > 0)
            sum += smooth_row(dz, z, options->weights, share, each, share + each * all, target, classes);
        else
            sum += plain_row(dz, z, share, target, classes);
    }
    *loss = sum;
    return SC_OK;
}

static sc_status check_targets(double *total, const sc_real *targets, size_t n, size_t classes,
                               const sc_loss_options *options, sc_error *error) {
    SC_TRY(check_options("binary_cross_entropy", "pos_weight", options, classes, error));
    double known = 0;
    for (size_t i = 0; i < n * classes; i++) {
        double target = (double)targets[i];
        if (!(target >= 0 && target <= 1) && target != -1)
            return sc_error_set(
                error, SC_ERROR_ARGUMENT,
                "binary_cross_entropy: targets: expected numbers in [0, 1], or -1 for unknown, got %g at "
                "(%zu, %zu)",
                target, i / classes + 1, i % classes + 1);
        known += target >= 0;
    }
    *total = options->total > 0 ? options->total : known;
    if (!(*total > 0))
        return sc_error_set(error, SC_ERROR_ARGUMENT,
                            "binary_cross_entropy: targets: expected at least one that is known");
    return SC_OK;
}

/* Adds part times the loss of an outcome of probability p, and its gradient by the logit that speaks for it. */
static void add_outcome(double *loss, double *slope, double part, double p, double rest, double outcome_loss,
                        double gamma) {
    if (!(part > 0)) /* so that 0 times infinity does not count */
        return;
    double power = gamma > 0 ? sc_pow64(rest, gamma) : 1;
    *loss += part * power * outcome_loss;
    *slope -= part * power * (rest + (gamma > 0 ? gamma * p * outcome_loss : 0));
}

sc_status sc_loss_binary_cross_entropy(double *loss, sc_real *dlogits, const sc_real *logits, const sc_real *targets,
                                       size_t n, size_t classes, const sc_loss_options *options, sc_error *error) {
    double total = 0, sum = 0;
    SC_TRY(check_targets(&total, targets, n, classes, options, error));
    for (size_t i = 0; i < n * classes; i++) {
        double target = (double)targets[i], for_yes = 0, for_no = 0;
        dlogits[i] = 0;
        if (target < 0)
            continue;
        sc_logistic64 of = sc_logistic64_of((double)logits[i]);
        target = (1 - options->smoothing) * target + options->smoothing / 2;
        add_outcome(&sum, &for_yes, target * weight_of(options->weights, i % classes) / total, of.yes, of.no,
                    of.loss_yes, options->gamma);
        add_outcome(&sum, &for_no, (1 - target) / total, of.no, of.yes, of.loss_no, options->gamma);
        dlogits[i] = (sc_real)(for_yes - for_no);
    }
    *loss = sum;
    return SC_OK;
}
