#define _POSIX_C_SOURCE 200809L
#include "image/codec.h"

#include "base/interrupt.h"
#include "base/memory.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

/* One row per format that has a module. What is found stays loaded as long as the process runs: this is a cache of the
 * dynamic linker's, and holds nothing that a result depends on. */
typedef struct codec_module {
    sc_image_format format;
    const char *library, *package, *variable; /* what it is made with; its package in Debian; the Makefile's switch */
    char path[4096];                          /* empty: this build has none */
    const void *table;
} codec_module;

static codec_module modules[] = {
    {SC_IMAGE_TIFF, "libtiff", "libtiff-dev", "TIFF", "", NULL},
    {SC_IMAGE_WEBP, "libwebp", "libwebp-dev", "WEBP", "", NULL},
    {SC_IMAGE_DICOM, "DCMTK", "libdcmtk-dev", "DICOM", "", NULL},
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static codec_module *module_of(sc_image_format format) {
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
        if (modules[i].format == format)
            return &modules[i];
    return NULL;
}

sc_status sc_codec_set_path(sc_image_format format, const char *path, sc_error *error) {
    codec_module *module = module_of(format);
    if (!module || strlen(path) >= sizeof module->path)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "codec: expected a format and a path, got %s and '%s'",
                            sc_image_format_name(format), path);
    pthread_mutex_lock(&lock);
    strcpy(module->path, path);
    pthread_mutex_unlock(&lock);
    return SC_OK;
}

/* The dynamic linker only has words for why it could not load: those of the system where descriptors or memory ran
 * out, which are no reason to pass a format's files over. */
static sc_status loading_status(const char *reason) {
    static const struct {
        int number;
        sc_status status;
    } faults[] = {{EMFILE, SC_ERROR_IO}, {ENFILE, SC_ERROR_IO}, {EIO, SC_ERROR_IO}, {ENOMEM, SC_ERROR_MEMORY}};
    char text[128];
    for (size_t i = 0; reason && i < sizeof faults / sizeof faults[0]; i++)
        if (strerror_r(faults[i].number, text, sizeof text) == 0 && strstr(reason, text))
            return faults[i].status;
    return SC_ERROR_FORMAT;
}

/* With the lock held. */
static sc_status load(codec_module *module, sc_error *error) {
    const char *name = sc_image_format_name(module->format);
    if (!module->path[0])
        return sc_error_set(error, SC_ERROR_FORMAT, "%s: this build has no %s; install %s and run make again", name,
                            module->library, module->package);
    void *handle = dlopen(module->path, RTLD_NOW | RTLD_LOCAL);
    const void *table = handle ? dlsym(handle, "sc_codec_table") : NULL;
    if (!table) {
        const char *reason = dlerror();
        sc_status status = loading_status(reason);
        sc_error_set(error, status, "%s: its module cannot be loaded (%s)%s%s%s", name,
                     reason ? reason : "no reason given", status == SC_ERROR_FORMAT ? "; install " : "",
                     status == SC_ERROR_FORMAT ? module->package : "",
                     status == SC_ERROR_FORMAT ? " and run make again" : "");
        if (handle)
            dlclose(handle);
        return status;
    }
    if (*(const size_t *)table != SC_CODEC_VERSION) {
        dlclose(handle);
        return sc_error_set(error, SC_ERROR_FORMAT, "%s: '%s' is of another build; run make again", name, module->path);
    }
    module->table = table;
    return SC_OK;
}

sc_status sc_codec_find(const void **out, sc_image_format format, sc_error *error) {
    codec_module *module = module_of(format);
    *out = NULL;
    if (!module)
        return sc_error_set(error, SC_ERROR_ARGUMENT, "codec: %s has no module", sc_image_format_name(format));
    pthread_mutex_lock(&lock);
    sc_status status = module->table ? SC_OK : load(module, error);
    *out = module->table;
    pthread_mutex_unlock(&lock);
    return status;
}

/* A failed allocation leaves ENOMEM in errno, which nothing that succeeds takes away; it is all that libtiff, DCMTK and
 * OpenJPEG have in common to tell it from damaged data by. */
sc_codec_input sc_codec_input_begin(const sc_image_bytes *bytes) {
    errno = 0;
    return (sc_codec_input){.bytes = bytes,
                            .length = bytes->data ? bytes->length : (size_t)bytes->file->size,
                            .read = sc_image_bytes_read,
                            .alloc = sc_memory_alloc,
                            .release = sc_memory_free,
                            .check_interrupt = sc_interrupt_check};
}

sc_status sc_codec_end(sc_status status, sc_image_format format, sc_error *error) {
    if (status == SC_ERROR_FORMAT && errno == ENOMEM)
        return sc_error_set(error, SC_ERROR_MEMORY, "out of memory while reading a %s file",
                            sc_image_format_name(format));
    if (status == SC_ERROR_FORMAT && sc_interrupt_check(NULL) != SC_OK)
        return sc_error_set(error, SC_ERROR_INTERRUPTED, "interrupted");
    return status;
}
