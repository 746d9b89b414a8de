/* A disk that several machines share, for spec/results/store_processes_spec.lua: loaded before the interpreter
 * (LD_PRELOAD), every path is on a file system whose number NETWORK_DISK has. With NETWORK_LOCKS=no it has no locks. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

VISIBLE int statfs(const char *path, struct statfs *about) {
    int result = (int)syscall(SYS_statfs, path, about);
    const char *number = getenv("NETWORK_DISK");
    if (result == 0 && number)
        about->f_type = (__typeof__(about->f_type))strtoul(number, NULL, 0);
    return result;
}

VISIBLE int flock(int descriptor, int operation) {
    const char *locks = getenv("NETWORK_LOCKS");
    if (locks && strcmp(locks, "no") == 0) {
        errno = ENOLCK;
        return -1;
    }
    return (int)syscall(SYS_flock, descriptor, operation);
}
