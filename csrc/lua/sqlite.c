/* The module `secateur.sqlite`: as much of SQLite as the store of a sweep needs. A module of its own, so that who keeps
 * no store needs no library.
 *
 * Files may come from anybody, so every connection is opened with what SQLite advises for that: no function that a
 * schema names is trusted, triggers and views are off, nothing can be attached or loaded, pages are checked as they are
 * read. A query ends when Ctrl-C was pressed. Failures come back as nil, a message and the name of their kind; what is
 * raised is misuse and, by Lua, the lack of memory, and then no statement is left open. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/file_limit.h"
#include "lua/hook_watch.h"
#include "lua/sqlite_lock.h"

#include <lauxlib.h>
#include <lua.h>
#include <sqlite3.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLASS "secateur.sqlite.Connection"

/* How many steps of SQLite's machine lie between two looks for Ctrl-C: less than a millisecond. */
enum { STEPS_BETWEEN_LOOKS = 1000 };

/* How many such looks a file has until it is trusted: pages that lead to each other can make a schema of a few
 * kilobytes that takes for ever to read, before any check of pages sees it. An honest one takes a few hundred steps. */
enum { LOOKS_UNTIL_TRUSTED = 2000 };

typedef struct connection {
    sqlite3 *db;         /* NULL when closed */
    bool trusted;        /* its schema has been looked at, and takes no more than it may */
    int looks;           /* so many, before it was */
    bool to_one_file;    /* what stands in a write-ahead log goes into the file when the connection closes */
    double patience;     /* for so many seconds a statement waits for others that have the file locked */
    double waited_since; /* when the statement began to wait; 0 where it does not */
    bool interrupted;    /* its wait was ended by Ctrl-C */
    sc_hook_watch watch; /* while a statement runs */
} connection;

/* The kinds of failure, by SQLite's primary result codes; what is not listed is "error". */
static const struct {
    int code;
    const char *name;
} kinds[] = {
    {SQLITE_BUSY, "busy"},
    {SQLITE_LOCKED, "busy"},
    {SQLITE_NOMEM, "memory"},
    {SQLITE_READONLY, "readonly"},
    {SQLITE_IOERR, "io"},
    {SQLITE_CORRUPT, "corrupt"},
    {SQLITE_FULL, "full"},
    {SQLITE_CANTOPEN, "open"},
    {SQLITE_NOTADB, "format"},
    {SQLITE_PERM, "open"},
    {SQLITE_INTERRUPT, "interrupt"},
};

static const char *kind_of(int code) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].code == (code & 0xff))
            return kinds[i].name;
    }
    return "error";
}

/* A failure, copied out of the connection before anything is freed. */
typedef struct failure {
    int code;
    char message[512];
} failure;

/* The connection's last failure, with the system's reason where there is one: `reason`, or what SQLite remembers. db
 * may be NULL: then memory is short. */
static void describe_failure(failure *out, sqlite3 *db, int code, int reason) {
    if (code == SQLITE_IOERR_NOMEM || (code & 0xff) == SQLITE_NOMEM) { /* SQLite's own message may speak of files */
        code = SQLITE_NOMEM;
        db = NULL;
    }
    const char *text = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    int primary = code & 0xff;
    if (db && reason == 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN))
        reason = sqlite3_system_errno(db);
    out->code = code;
    snprintf(out->message, sizeof out->message, reason ? "%s: %s" : "%s", text, reason ? strerror(reason) : "");
}

static int push_failure(lua_State *L, const connection *box, const failure *what) {
    bool too_long = (what->code & 0xff) == SQLITE_INTERRUPT && box->looks > LOOKS_UNTIL_TRUSTED;
    lua_pushnil(L);
    lua_pushstring(L, too_long ? "its schema takes too long to read" : what->message);
    lua_pushstring(L, too_long ? "corrupt" : kind_of(what->code));
    return 3;
}

/* Whether a query is to end: at Ctrl-C, and where a file that nobody has looked at takes too long. */
static int ask_interrupted(void *data) {
    connection *box = data;
    if (!box->trusted && ++box->looks > LOOKS_UNTIL_TRUSTED)
        return 1;
    return sc_hook_watch_fired(&box->watch);
}

/* Another has the file locked: whether to try again, after a pause that grows. */
static int ask_patience(void *data, int tries) {
    connection *box = data;
    double now = sc_clock_seconds();
    if (tries == 0)
        box->waited_since = now;
    if (now - box->waited_since >= box->patience)
        return 0;
    sc_hook_watch_sleep(tries < 10 ? 1 + tries : 20);
    box->interrupted = sc_hook_watch_fired(&box->watch);
    return !box->interrupted;
}

/* What every connection is set to, before the file is looked at. */
static int harden(sqlite3 *db) {
    static const struct {
        int option, value;
    } settings[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},   {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0}, {SQLITE_DBCONFIG_DQS_DDL, 0},        {SQLITE_DBCONFIG_DQS_DML, 0},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        int code = sqlite3_db_config(db, settings[i].option, settings[i].value, (int *)NULL);
        if (code != SQLITE_OK)
            return code;
    }
    static const struct {
        int limit, value;
    } limits[] = {
        {SQLITE_LIMIT_ATTACHED, 0},      {SQLITE_LIMIT_LENGTH, 1 << 28},   {SQLITE_LIMIT_SQL_LENGTH, 1 << 16},
        {SQLITE_LIMIT_COLUMN, 100},      {SQLITE_LIMIT_EXPR_DEPTH, 100},   {SQLITE_LIMIT_VDBE_OP, 1 << 16},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 1}, {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        sqlite3_limit(db, limits[i].limit, limits[i].value);
    sqlite3_extended_result_codes(db, 1);
    return sqlite3_exec(db, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY", NULL, NULL,
                        NULL);
}

static void close_connection(connection *box) {
    if (!box->db)
        return;
    sc_file_limit limit;
    sc_file_limit_begin(&limit);
    if (box->to_one_file) { /* where a reader is in the way it stays as it is, which is as good */
        box->patience = 0;
        sqlite3_progress_handler(box->db, 0, NULL, NULL);
        sqlite3_exec(box->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    }
    sqlite3_close_v2(box->db); /* no statement is ever left open, so that this closes at once */
    sc_file_limit_end(&limit);
    box->db = NULL;
}

/* What stands beside a file, by the names that SQLite gives it. */
static const char *const companions[] = {"-journal", "-wal", "-shm"};

/* What is wrong with a file that SQLite would take for its own, by its directory entry, or NULL. It waits for ever on a
 * pipe, and writes to whatever a link leads to. */
static const char *entry_problem(const struct stat *about) {
    if (S_ISLNK(about->st_mode))
        return "is a link";
    if (!S_ISREG(about->st_mode))
        return "is no file";
    return about->st_nlink > 1 ? "is another file, too" : NULL;
}

/* Whether a journal ends with the name of another file, as those of transactions over several files do. SQLite, which
 * reads a journal that a killed writer may have left as soon as it looks at the file, then removes that file, which may
 * be any. No store has one: nothing is ever attached. */
static bool names_another(const char *journal) {
    static const unsigned char mark[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
    int file = open(journal, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0) /* none; or what SQLite cannot read either */
        return false;
    struct stat about;
    unsigned char end[sizeof mark];
    bool found = fstat(file, &about) == 0 && about.st_size >= (off_t)sizeof end &&
                 pread(file, end, sizeof end, about.st_size - (off_t)sizeof end) == (ssize_t)sizeof end &&
                 memcmp(end, mark, sizeof mark) == 0;
    close(file);
    return found;
}

/* Whether something stands beside a file that SQLite must not touch; then `what` says so. Of the three only the journal
 * is opened: with any descriptor of the shared memory that this process closes, its locks on it would go. */
static bool find_planted(const char *path, failure *what) {
    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++) {
        char *name = sqlite3_mprintf("%s%s", path, companions[i]);
        struct stat about;
        const char *problem = NULL;
        if (!name) {
            describe_failure(what, NULL, SQLITE_NOMEM, 0);
            return true;
        }
        if (lstat(name, &about) == 0)
            problem = entry_problem(&about);
        if (!problem && i == 0 && names_another(name))
            problem = "names another file, which would be removed";
        sqlite3_free(name);
        if (problem) {
            what->code = SQLITE_CORRUPT;
            snprintf(what->message, sizeof what->message, "its %s %s; move the %s away",
                     i == 0 ? "journal" : companions[i], problem, i == 0 ? "journal" : companions[i]);
            return true;
        }
    }
    return false;
}

/* Whether a file has further names (hard links): what SQLite keeps beside it stands under one of them alone. */
static bool has_other_names(const char *path) {
    struct stat about;
    return lstat(path, &about) == 0 && about.st_nlink > 1;
}

/* A path as a URI of a file that nobody changes, so that SQLite looks for no journal and takes no lock; NULL where
 * memory is short. For sqlite3_free. */
static char *immutable_uri(const char *path) {
    static const char digits[] = "0123456789ABCDEF";
    static const char begin[] = "file:", end[] = "?immutable=1";
    size_t length = strlen(path);
    if (length > (SIZE_MAX - sizeof begin - sizeof end) / 3)
        return NULL;
    char *uri = sqlite3_malloc64(3 * length + sizeof begin + sizeof end);
    if (!uri)
        return NULL;
    memcpy(uri, begin, sizeof begin - 1);
    char *out = uri + sizeof begin - 1;
    for (const char *byte = path; *byte; byte++) {
        if (*byte == '%' || *byte == '?' || *byte == '#') {
            *out++ = '%';
            *out++ = digits[(unsigned char)*byte >> 4];
            *out++ = digits[(unsigned char)*byte & 15];
        } else {
            *out++ = *byte;
        }
    }
    memcpy(out, end, sizeof end);
    return uri;
}

/* Opens a file as `how` says: "write" (made where it is missing), "read", or "immutable". */
static int open_file(connection *box, const char *path, const char *how) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE;
    if (strcmp(how, "immutable") != 0)
        return sqlite3_open_v2(path, &box->db, flags | (strcmp(how, "write") == 0 ? SQLITE_OPEN_CREATE : 0), NULL);
    char *uri = immutable_uri(path);
    if (!uri)
        return SQLITE_NOMEM;
    int code = sqlite3_open_v2(uri, &box->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_URI, NULL);
    sqlite3_free(uri);
    return code;
}

/* open(path, how) -> Connection, or nil, message, kind. `how`: "write" makes the file where it is missing, and refuses
 * one that can only be read; "read" changes nothing but what a killed writer left half done; "immutable" is for a file
 * that nobody writes to, in a folder that cannot be written. */
static int sqlite_open(lua_State *L) {
    static const char *const ways[] = {"read", "write", "immutable", NULL};
    size_t length;
    const char *path = luaL_checklstring(L, 1, &length);
    const char *how = ways[luaL_checkoption(L, 2, "read", ways)];
    luaL_argcheck(L, strlen(path) == length && length > 0, 1, "expected a path");
    bool writes = strcmp(how, "write") == 0;
    connection *box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = (connection){.db = NULL};
    luaL_setmetatable(L, CLASS);
    failure what;
    int code = open_file(box, path, how);
    if (code == SQLITE_OK && find_planted(sqlite3_db_filename(box->db, "main"), &what)) {
        close_connection(box);
        return push_failure(L, box, &what);
    }
    if (code == SQLITE_OK && writes && has_other_names(sqlite3_db_filename(box->db, "main"))) {
        what = (failure){.code = SQLITE_READONLY};
        snprintf(what.message, sizeof what.message,
                 "the file has another name, too, by which others would not see what "
                 "is written; name a copy of it");
        close_connection(box);
        return push_failure(L, box, &what);
    }
    if (code == SQLITE_OK)
        code = harden(box->db);
    bool unwritable = code == SQLITE_OK && writes && sqlite3_db_readonly(box->db, "main") == 1;
    if (code != SQLITE_OK || unwritable) {
        describe_failure(&what, unwritable ? NULL : box->db, unwritable ? SQLITE_READONLY : code, 0);
        close_connection(box);
        return push_failure(L, box, &what);
    }
    sqlite3_progress_handler(box->db, STEPS_BETWEEN_LOOKS, ask_interrupted, box);
    sqlite3_busy_handler(box->db, ask_patience, box);
    return 1;
}

static int bind_value(lua_State *L, sqlite3_stmt *statement, int index, int place) {
    if (lua_isinteger(L, index))
        return sqlite3_bind_int64(statement, place, lua_tointeger(L, index));
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    return sqlite3_bind_text64(statement, place, text, length, SQLITE_STATIC, SQLITE_UTF8);
}

/* Pushes a column: whole numbers, numbers and text as Lua's; false for bytes, which no store holds; nil for NULL. */
static void push_column(lua_State *L, sqlite3_stmt *statement, int column, bool *short_of_memory) {
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        lua_pushinteger(L, sqlite3_column_int64(statement, column));
        break;
    case SQLITE_FLOAT:
        lua_pushnumber(L, sqlite3_column_double(statement, column));
        break;
    case SQLITE_TEXT: {
        const unsigned char *text = sqlite3_column_text(statement, column);
        if (!text) { /* another encoding, and no memory to convert it */
            *short_of_memory = true;
            lua_pushnil(L);
            break;
        }
        lua_pushlstring(L, (const char *)text, (size_t)sqlite3_column_bytes(statement, column));
        break;
    }
    case SQLITE_BLOB:
        lua_pushboolean(L, 0);
        break;
    default:
        lua_pushnil(L);
    }
}

/* A statement that is being run, on its way through a protected call. */
typedef struct running {
    sqlite3_stmt *statement;
    int code;
} running;

/* (running, values...) -> list of rows; may raise for lack of memory. */
static int collect_rows(lua_State *L) {
    running *job = lua_touserdata(L, 1);
    int values = lua_gettop(L) - 1;
    for (int i = 1; i <= values && job->code == SQLITE_OK; i++)
        job->code = bind_value(L, job->statement, i + 1, i);
    lua_newtable(L);
    if (job->code != SQLITE_OK)
        return 1;
    bool short_of_memory = false;
    int columns = sqlite3_column_count(job->statement);
    for (lua_Integer row = 1; (job->code = sqlite3_step(job->statement)) == SQLITE_ROW; row++) {
        lua_createtable(L, columns, 0);
        for (int i = 0; i < columns; i++) {
            push_column(L, job->statement, i, &short_of_memory);
            lua_rawseti(L, -2, i + 1);
        }
        lua_rawseti(L, -2, row);
        if (short_of_memory) {
            job->code = SQLITE_NOMEM;
            return 1;
        }
    }
    return 1;
}

static connection *check_connection(lua_State *L) {
    return luaL_checkudata(L, 1, CLASS);
}

/* connection:run(sql, ...) -> list of rows, each a list of columns; or nil, message, kind. One statement; the values,
 * strings and whole numbers, stand for its question marks. */
static int connection_run(lua_State *L) {
    connection *box = check_connection(L);
    size_t length;
    const char *sql = luaL_checklstring(L, 2, &length);
    int values = lua_gettop(L) - 2;
    for (int i = 3; i <= values + 2; i++)
        luaL_argcheck(L, lua_type(L, i) == LUA_TSTRING || lua_isinteger(L, i), i, "expected text or a whole number");
    luaL_argcheck(L, length < INT32_MAX, 2, "too long");
    luaL_argcheck(L, box->db, 1, "the connection is closed");
    luaL_checkstack(L, values + 2, "too many values");
    lua_pushcfunction(L, collect_rows);
    running job = {.statement = NULL, .code = SQLITE_OK};
    lua_pushlightuserdata(L, &job);
    for (int i = 3; i <= values + 2; i++)
        lua_pushvalue(L, i);
    sc_hook_watch_begin(&box->watch, L);
    box->interrupted = false;
    sc_file_limit limit;
    sc_file_limit_begin(&limit);
    int raised = LUA_OK;
    job.code = sqlite3_prepare_v2(box->db, sql, (int)length, &job.statement, NULL);
    if (job.code == SQLITE_OK)
        raised = lua_pcall(L, values + 1, 1, 0);
    sqlite3_finalize(job.statement); /* the connection still knows the failure */
    bool too_large = sc_file_limit_end(&limit);
    failure what;
    if (box->interrupted && (job.code & 0xff) == SQLITE_BUSY)
        job.code = SQLITE_INTERRUPT;
    if (job.code != SQLITE_OK && job.code != SQLITE_DONE)
        describe_failure(&what, box->db, job.code, too_large ? EFBIG : 0);
    if (raised != LUA_OK)
        return lua_error(L);
    return job.code == SQLITE_OK || job.code == SQLITE_DONE ? 1 : push_failure(L, box, &what);
}

/* connection:trust(): from now on statements may take as long as they do. */
static int connection_trust(lua_State *L) {
    check_connection(L)->trusted = true;
    return 0;
}

/* connection:patience(seconds): for so long (0) a statement waits for others that have the file locked. */
static int connection_patience(lua_State *L) {
    connection *box = check_connection(L);
    box->patience = luaL_checknumber(L, 2);
    return 0;
}

/* connection:path() -> the file's whole path, links followed */
static int connection_path(lua_State *L) {
    connection *box = check_connection(L);
    luaL_argcheck(L, box->db, 1, "the connection is closed");
    lua_pushstring(L, sqlite3_db_filename(box->db, "main"));
    return 1;
}

/* connection:to_one_file(): when it closes, what stands in a write-ahead log goes into the file, if nobody reads it. */
static int connection_to_one_file(lua_State *L) {
    check_connection(L)->to_one_file = true;
    return 0;
}

/* connection:close(): may be called again. */
static int connection_close(lua_State *L) {
    close_connection(check_connection(L));
    return 0;
}

__attribute__((visibility("default"))) int luaopen_secateur_sqlite(lua_State *L);

/* A table: open (see above), and what csrc/lua/sqlite_lock.c adds. */
int luaopen_secateur_sqlite(lua_State *L) {
    static const luaL_Reg methods[] = {{"run", connection_run},
                                       {"trust", connection_trust},
                                       {"patience", connection_patience},
                                       {"path", connection_path},
                                       {"to_one_file", connection_to_one_file},
                                       {"close", connection_close},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"open", sqlite_open}, {NULL, NULL}};
    luaL_checkversion(L);
    luaL_newmetatable(L, CLASS);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, connection_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, connection_close);
    lua_setfield(L, -2, "__close");
    luaL_newlib(L, functions);
    sc_sqlite_lock_register(L);
    return 1;
}
