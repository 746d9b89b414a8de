#define _DEFAULT_SOURCE /* flock; includes POSIX.1-2008 */
#include "base/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What the file of a lock begins with. */
static const char MARK[] = "secateur lock ";

enum { TEXT_BYTES = 384, HOST_BYTES = sizeof(((sc_file_holder *)NULL)->host) };

/* The lock's own file, or nothing yet: no other name leads to it, and nothing else is in it. */
static bool is_own(int descriptor, const struct stat *about, char text[TEXT_BYTES]) {
    if (!S_ISREG(about->st_mode) || about->st_nlink > 1)
        return false;
    ssize_t length = pread(descriptor, text, TEXT_BYTES - 1, 0);
    if (length < 0)
        return false;
    text[length] = '\0';
    return length == 0 || strncmp(text, MARK, sizeof MARK - 1) == 0;
}

static void read_holder(const char *text, sc_file_holder *holder) {
    *holder = (sc_file_holder){0};
    if (text[0] == '\0' ||
        sscanf(text + sizeof MARK - 1, "%ld %23s %255s", &holder->process, holder->since, holder->host) != 3 ||
        holder->process <= 0)
        *holder = (sc_file_holder){0};
}

/* This machine's name, as one word. */
static void read_host(char host[HOST_BYTES]) {
    memset(host, 0, HOST_BYTES);
    if (gethostname(host, HOST_BYTES - 1) != 0 || host[0] == '\0')
        memcpy(host, "unknown", sizeof "unknown");
    for (char *byte = host; *byte; byte++) {
        if ((unsigned char)*byte <= ' ')
            *byte = '-';
    }
}

/* Who holds it is for messages alone: where there is no room for it, the lock is held all the same. */
static void write_holder(int descriptor) {
    char text[TEXT_BYTES], host[HOST_BYTES], since[24] = "";
    time_t now = time(NULL);
    struct tm parts;
    read_host(host);
    if (!gmtime_r(&now, &parts) || strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        memcpy(since, "unknown", sizeof "unknown");
    int length = snprintf(text, sizeof text, "%s%ld %s %s\n", MARK, (long)getpid(), since, host);
    if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, text, (size_t)length, 0) != length)
        return;
}

/* The file that was opened is the one that the name stands for: who held the lock may have removed it meanwhile. */
static bool is_at(const struct stat *opened, const char *path) {
    struct stat named;
    return lstat(path, &named) == 0 && opened->st_dev == named.st_dev && opened->st_ino == named.st_ino;
}

/* One try. `gone` where the file was removed while it was looked at. */
static sc_file_lock_result try_lock(int descriptor, const char *path, sc_file_holder *holder, bool *gone) {
    char text[TEXT_BYTES];
    struct stat about;
    if (fstat(descriptor, &about) != 0)
        return SC_FILE_LOCK_FAILED;
    if (!is_own(descriptor, &about, text))
        return SC_FILE_LOCK_FOREIGN;
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        read_holder(text, holder);
        if (errno == EWOULDBLOCK || errno == EACCES)
            return SC_FILE_LOCK_HELD;
        int reason = errno;
        if (text[0] == '\0') /* as it was made a moment ago */
            unlink(path);
        errno = reason;
        return SC_FILE_LOCK_FAILED;
    }
    *gone = !is_at(&about, path);
    if (!*gone)
        write_holder(descriptor);
    return SC_FILE_LOCK_TAKEN;
}

sc_file_lock_result sc_file_lock_take(sc_file_lock *lock, const char *path, sc_file_holder *holder) {
    enum { FLAGS = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };
    lock->descriptor = -1;
    *holder = (sc_file_holder){0};
    for (;;) {
        int descriptor = open(path, FLAGS, 0666);
        if (descriptor < 0)
            return errno == ELOOP || errno == EISDIR || errno == ENXIO ? SC_FILE_LOCK_FOREIGN : SC_FILE_LOCK_FAILED;
        bool gone = false;
        sc_file_lock_result result = try_lock(descriptor, path, holder, &gone);
        if (result == SC_FILE_LOCK_TAKEN && !gone) {
            lock->descriptor = descriptor;
            return result;
        }
        int reason = errno;
        close(descriptor);
        errno = reason;
        if (result != SC_FILE_LOCK_TAKEN)
            return result;
    }
}

void sc_file_lock_release(sc_file_lock *lock, const char *path) {
    if (lock->descriptor < 0)
        return;
    struct stat about;
    if (fstat(lock->descriptor, &about) == 0 && is_at(&about, path))
        unlink(path); /* while it is held, so that it is nobody else's */
    close(lock->descriptor);
    lock->descriptor = -1;
}

bool sc_file_holder_is_here(const sc_file_holder *holder) {
    char host[sizeof holder->host];
    read_host(host);
    return holder->process > 0 && strcmp(host, holder->host) == 0;
}
