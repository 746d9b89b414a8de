/* Writing under a limit on the size of files (RLIMIT_FSIZE, "ulimit -f"): the system sends SIGXFSZ with the write that
 * would exceed it, which ends a process that does not expect it. Within a scope, the thread gets the error alone
 * (EFBIG), whatever the process does with the signal; its disposition, which is the program's, stays as it is. */
#ifndef SC_BASE_FILE_LIMIT_H
#define SC_BASE_FILE_LIMIT_H

#include <signal.h>
#include <stdbool.h>

/* What a scope has to put back. */
typedef struct sc_file_limit {
    sigset_t mask;
    bool pending; /* a signal was waiting before the scope */
} sc_file_limit;

/* From here to sc_file_limit_end, SIGXFSZ is held back from this thread. Scopes may nest. */
void sc_file_limit_begin(sc_file_limit *scope);

/* Takes the signal of a write within the scope, and puts the mask back. Whether there was one. Keeps errno. */
bool sc_file_limit_end(const sc_file_limit *scope);

#endif
