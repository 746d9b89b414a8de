/* One holder at a time, among processes and machines that share a disk: a lock on a small file, which says who holds
 * it. The system drops the lock of a process that ends, however it ends, so that a file that was left behind holds
 * nothing. */
#ifndef SC_BASE_FILE_LOCK_H
#define SC_BASE_FILE_LOCK_H

#include <stdbool.h>

/* Who holds a lock, as the file says. */
typedef struct sc_file_holder {
    long process;   /* 0 where the file does not say */
    char since[24]; /* when it was taken, UTC, "2026-01-31T12:00:00Z" */
    char host[256];
} sc_file_holder;

/* A lock that is held, or, with a descriptor of -1, none. */
typedef struct sc_file_lock {
    int descriptor;
} sc_file_lock;

typedef enum sc_file_lock_result {
    SC_FILE_LOCK_TAKEN,
    SC_FILE_LOCK_HELD,    /* by another */
    SC_FILE_LOCK_FOREIGN, /* at the path is something that is no lock's: a link, a pipe, a file with another content */
    SC_FILE_LOCK_FAILED,  /* errno says why; ENOLCK, ENOSYS and EOPNOTSUPP: the file system has no locks */
} sc_file_lock_result;

/* Takes the lock whose file is `path`, if nobody holds it; never waits. Where somebody does, `holder` says who. The
 * file is made where it is missing. */
sc_file_lock_result sc_file_lock_take(sc_file_lock *lock, const char *path, sc_file_holder *holder);

/* Removes the file, whose path is the one that it was taken with, and lets go of the lock; may be called again. */
void sc_file_lock_release(sc_file_lock *lock, const char *path);

/* Whether the holder is a process of this machine. */
bool sc_file_holder_is_here(const sc_file_holder *holder);

#endif
