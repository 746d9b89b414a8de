/* Loaded before the sanitizers by .ci/sanitize. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Lua unloads modules when it closes; leaks are looked for after that, and their stacks would have no names. */
int dlclose(void *handle);
int dlclose(void *handle) {
    return handle == 0;
}

/* The specs also start programs of others, whose leaks are not ours. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
    return strncmp(program_invocation_short_name, "lua", 3) != 0;
}

#ifdef SC_INTERPRETER_ALONE
/* Shells crash under ThreadSanitizer: what the specs start is without, and .ci/interpreter.c brings it back. */
__attribute__((constructor)) static void forget_preload(void) {
    unsetenv("LD_PRELOAD");
}
#endif
