#define _POSIX_C_SOURCE 200809L
#include "base/file_limit.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

static void only_limit(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGXFSZ);
}

static bool is_pending(void) {
    sigset_t waiting;
    return sigpending(&waiting) == 0 && sigismember(&waiting, SIGXFSZ) == 1;
}

void sc_file_limit_begin(sc_file_limit *scope) {
    sigset_t limit;
    only_limit(&limit);
    scope->pending = is_pending();
    pthread_sigmask(SIG_BLOCK, &limit, &scope->mask);
}

bool sc_file_limit_end(const sc_file_limit *scope) {
    sigset_t limit;
    int number = errno;
    bool exceeded = false;
    only_limit(&limit);
    /* the signal goes to the thread that writes, so that it is this one that finds it waiting */
    if (!scope->pending && is_pending())
        exceeded = sigtimedwait(&limit, NULL, &(struct timespec){.tv_sec = 0}) == SIGXFSZ;
    pthread_sigmask(SIG_SETMASK, &scope->mask, NULL);
    errno = number;
    return exceeded;
}
