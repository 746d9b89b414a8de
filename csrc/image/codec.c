#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "image/codec.h"

#include "base/memory.h"
#include "base/size.h"
#include "image/fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

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
    {SC_IMAGE_DICOM, "DCMTK", "libdcmtk-dev and g++", "DICOM", "", NULL},
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

/* The dynamic linker only has words for why it could not load: those of the system where descriptors ran out, its own
 * where memory did. Neither is a reason to pass a format's files over. */
static sc_status loading_status(const char *reason) {
    static const int numbers[] = {EMFILE, ENFILE, EIO};
    static const char *const short_of_memory[] = {"failed to map segment", "cannot map ",   "cannot allocate ",
                                                  "cannot create ",        "out of memory", "Cannot allocate memory"};
    char text[128];
    for (size_t i = 0; reason && i < sizeof numbers / sizeof numbers[0]; i++)
        if (strerror_r(numbers[i], text, sizeof text) == 0 && strstr(reason, text))
            return SC_ERROR_IO;
    for (size_t i = 0; reason && i < sizeof short_of_memory / sizeof short_of_memory[0]; i++)
        if (strstr(reason, short_of_memory[i]))
            return SC_ERROR_MEMORY;
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
        reason = reason ? reason : "no reason given";
        if (status == SC_ERROR_FORMAT)
            sc_error_set(error, status, "%s: its module cannot be loaded (%s); install %s and run make again", name,
                         reason, module->package);
        else
            sc_error_set(error, status, "%s: the system does not load its module now (%s)%s", name, reason,
                         status == SC_ERROR_MEMORY ? ": not enough memory" : "");
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

/* Whether the system would give what a library may need beside the samples: room for its tables, for the packed bytes
 * twice, and for four channels of four bytes. Nothing is touched, so that asking costs two system calls. */
static bool is_available(size_t length, size_t pixels) {
    size_t bytes, packed;
    if (!sc_size_multiply(&bytes, pixels, 16) || !sc_size_multiply(&packed, pixels > 0 ? length : 0, 2) ||
        !sc_size_add(&bytes, bytes, packed) || !sc_size_add(&bytes, bytes, (size_t)4 << 20))
        return false;
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return false;
    munmap(room, bytes);
    return true;
}

/* A failed allocation leaves ENOMEM in errno, which nothing that succeeds takes away; it is all that libtiff, DCMTK and
 * OpenJPEG have in common to tell it from damaged data by. */
sc_status sc_codec_begin(sc_codec_input *out, const sc_image_bytes *bytes, size_t pixels, sc_error *error) {
    size_t length = bytes->data ? bytes->length : (size_t)bytes->file->size;
    if (!is_available(length, pixels))
        return sc_error_set(error, SC_ERROR_MEMORY, "not enough memory to read it");
    errno = 0;
    *out = (sc_codec_input){.bytes = bytes,
                            .length = length,
                            .read = sc_image_bytes_read,
                            .alloc = sc_memory_alloc,
                            .release = sc_memory_free,
                            .check_interrupt = sc_image_check_interrupt};
    return SC_OK;
}

sc_status sc_codec_end(sc_status status, sc_image_format format, sc_error *error) {
    if (status == SC_ERROR_FORMAT && errno == ENOMEM)
        return sc_error_set(error, SC_ERROR_MEMORY, "out of memory while reading a %s file",
                            sc_image_format_name(format));
    if (status == SC_ERROR_FORMAT && sc_image_check_interrupt(NULL) != SC_OK)
        return sc_error_set(error, SC_ERROR_INTERRUPTED, "interrupted");
    return status;
}
