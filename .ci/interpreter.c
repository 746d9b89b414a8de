/* Runs SC_LUA with SC_PRELOAD loaded before it. The interpreter takes the name of this program for its own, so that what
 * the specs start under it is run in the same way. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **arguments) {
    (void)count;
    if (setenv("LD_PRELOAD", SC_PRELOAD, 1) == 0)
        execvp(SC_LUA, arguments);
    perror(SC_LUA);
    return 127;
}
