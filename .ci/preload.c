/* Loaded before the sanitizers by .ci/sanitize. */
#define _GNU_SOURCE
#include <errno.h>
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
