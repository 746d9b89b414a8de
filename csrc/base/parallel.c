/* What GCC calls for the OpenMP pragmas of the core, in place of its library libgomp: that one ends the process where a
 * thread or a few bytes cannot be had. Here a team is as large as the system allows, the calling thread alone if need
 * be, and no region allocates anything once its threads run. As no result depends on how many threads there are, none
 * changes. Only what the core uses is here: parallel regions, loops with static and dynamic schedules, critical
 * sections, barriers; of loops with dynamic schedules one at a time in a region. Another pragma is missing when the
 * module is loaded. Other compilers have other entry points, and link their own library.
 *
 * One team serves the process (of each variant of the core): who asks while it is busy, from another thread or from
 * inside a region, works alone. OMP_NUM_THREADS is read, and GOMP_SPINCOUNT: how often a thread looks for work before
 * it sleeps. */
#if defined __GNUC__ && !defined __clang__ && defined _OPENMP
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MOST_THREADS = 1024, SPINS = 2000 };

typedef void region(void *data);

/* A loop with a dynamic schedule: its next iterations. Loops of one region follow one another with barriers between;
 * `number` says which one this is, and is 0 before the first. */
typedef struct shared_loop {
    pthread_mutex_t lock;
    unsigned number;
    unsigned long long next, end, step, chunk;
    bool downwards;
} shared_loop;

/* Where a thread sleeps until its turn changes. */
typedef struct waiting_place {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_uint turn;
} waiting_place;

typedef struct team {
    region *run;
    void *data;
    int size;
    bool parallel; /* several threads were asked for */
    atomic_int working;
    waiting_place finished; /* its turn changes when the last one has done its part */
    waiting_place barrier;
    atomic_int arrived; /* at the barrier */
    shared_loop loop;
} team;

/* A thread of the pool, with its number. */
typedef struct worker {
    waiting_place called; /* its turn changes when there is work */
    int number;
} worker;

/* What a thread is in a region; no team outside. In the part of thread-local storage that is there from the beginning:
 * any other is allocated on first use, and the process ends where it cannot be. */
typedef struct membership {
    team *in;
    int number;
    int wanted;     /* threads of the regions that it begins; 0: the default */
    unsigned loops; /* with dynamic schedules, begun in this region */
    bool parallel;  /* in a region that asked for several threads, whether it got them or not */
} membership;
static _Thread_local membership self __attribute__((tls_model("initial-exec")));

static worker workers[MOST_THREADS]; /* by number; the caller is 0 and has no entry in use */
static atomic_int running = 1;       /* threads there are, with the caller; changed by who holds `busy` */
static team pool;
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER; /* held for the length of a region */
static pthread_mutex_t critical = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static int default_threads = 1, processors = 1, spin_count = SPINS;

static int number_from(const char *name, long least, long most, int otherwise) {
    const char *text = getenv(name);
    char *end;
    if (!text || !*text)
        return otherwise;
    errno = 0;
    long value = strtol(text, &end, 10);
    bool good = errno == 0 && end != text && (*end == '\0' || *end == ',') && value >= least;
    return !good ? otherwise : value > most ? (int)most : (int)value;
}

static int count_processors(void) {
#ifdef CPU_COUNT
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : (int)count;
}

static void init_place(waiting_place *place) {
    pthread_mutex_init(&place->lock, NULL);
    pthread_cond_init(&place->changed, NULL);
    atomic_init(&place->turn, 0);
}

static void init_pool(void) {
    init_place(&pool.finished);
    init_place(&pool.barrier);
    pthread_mutex_init(&pool.loop.lock, NULL);
}

/* A process that was forked has none of the threads. */
static void forget_threads(void) {
    running = 1;
    pthread_mutex_init(&busy, NULL);
    pthread_mutex_init(&critical, NULL);
    init_pool();
}

static void prepare(void) {
    processors = count_processors();
    default_threads = number_from("OMP_NUM_THREADS", 1, MOST_THREADS, processors);
    spin_count = number_from("GOMP_SPINCOUNT", 0, INT_MAX, SPINS);
    init_pool();
    (void)pthread_atfork(NULL, NULL, forget_threads); /* where it fails, a forked child must not compute */
}

static void pause_briefly(void) {
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ __volatile__("yield");
#endif
}

/* Returns when the turn is no longer `seen`: looks for a while, then sleeps. */
static void wait_for_turn(waiting_place *place, unsigned seen) {
    int spins = running > processors && spin_count > 100 ? 100 : spin_count;
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(&place->turn, memory_order_acquire) != seen)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&place->lock);
    while (atomic_load_explicit(&place->turn, memory_order_acquire) == seen)
        pthread_cond_wait(&place->changed, &place->lock);
    pthread_mutex_unlock(&place->lock);
}

static void change_turn(waiting_place *place) {
    pthread_mutex_lock(&place->lock);
    atomic_fetch_add_explicit(&place->turn, 1, memory_order_release);
    pthread_cond_broadcast(&place->changed);
    pthread_mutex_unlock(&place->lock);
}

static void take_part(team *in, int number) {
    membership before = self;
    self =
        (membership){.in = in, .number = number, .wanted = before.wanted, .parallel = before.parallel || in->parallel};
    in->run(in->data);
    self = before;
}

static void *work(void *argument) {
    worker *me = argument;
    for (unsigned seen = 0;; seen++) {
        wait_for_turn(&me->called, seen);
        take_part(&pool, me->number);
        if (atomic_fetch_sub_explicit(&pool.working, 1, memory_order_acq_rel) == 1)
            change_turn(&pool.finished);
    }
    return NULL;
}

/* Starts threads until there are so many, or the system refuses. They take no signals: these are for threads of Lua. */
static void start_threads(int wanted) {
    sigset_t all, before;
    pthread_attr_t attributes;
    if (running >= wanted || pthread_attr_init(&attributes))
        return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (running < wanted) {
        pthread_t thread;
        worker *next = &workers[running];
        next->number = running;
        init_place(&next->called);
        if (pthread_create(&thread, &attributes, work, next))
            break;
        running++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

static void run_alone(region *run, void *data, bool parallel) {
    team alone = {.run = run, .data = data, .size = 1, .parallel = parallel, .loop.lock = PTHREAD_MUTEX_INITIALIZER};
    take_part(&alone, 0);
}

static void run_together(region *run, void *data, int size) {
    pool.run = run, pool.data = data, pool.size = size, pool.parallel = true;
    pool.loop.number = 0;
    atomic_store_explicit(&pool.working, size - 1, memory_order_relaxed);
    unsigned seen = atomic_load_explicit(&pool.finished.turn, memory_order_relaxed);
    for (int i = 1; i < size; i++)
        change_turn(&workers[i].called);
    take_part(&pool, 0);
    wait_for_turn(&pool.finished, seen);
}

/* ---- what GCC calls: names and arguments are its own ---- */

void GOMP_parallel(region *run, void *data, unsigned threads, unsigned flags);
void GOMP_barrier(void);
void GOMP_critical_start(void);
void GOMP_critical_end(void);
void GOMP_critical_name_start(void **name);
void GOMP_critical_name_end(void **name);
void GOMP_loop_end(void);
void GOMP_loop_end_nowait(void);

void GOMP_parallel(region *run, void *data, unsigned threads, unsigned flags) {
    (void)flags; /* where threads are to be bound */
    int wanted = omp_get_max_threads(), size = 1;
    if (threads)
        wanted = threads < MOST_THREADS ? (int)threads : MOST_THREADS;
    if (wanted > 1 && !self.parallel && pthread_mutex_trylock(&busy) == 0) {
        start_threads(wanted);
        size = wanted < running ? wanted : running;
        if (size > 1)
            run_together(run, data, size);
        pthread_mutex_unlock(&busy);
    }
    if (size == 1)
        run_alone(run, data, wanted > 1);
}

void GOMP_barrier(void) {
    team *in = self.in;
    if (!in || in->size == 1)
        return;
    unsigned seen = atomic_load_explicit(&in->barrier.turn, memory_order_acquire);
    if (atomic_fetch_add_explicit(&in->arrived, 1, memory_order_acq_rel) + 1 < in->size) {
        wait_for_turn(&in->barrier, seen);
    } else {
        atomic_store_explicit(&in->arrived, 0, memory_order_relaxed);
        change_turn(&in->barrier);
    }
}

void GOMP_critical_start(void) {
    pthread_mutex_lock(&critical);
}

void GOMP_critical_end(void) {
    pthread_mutex_unlock(&critical);
}

/* Sections of different names may wait for one another, which is allowed as none stands inside another. */
void GOMP_critical_name_start(void **name) {
    (void)name;
    GOMP_critical_start();
}

void GOMP_critical_name_end(void **name) {
    (void)name;
    GOMP_critical_end();
}

void GOMP_loop_end(void) {
    GOMP_barrier();
}

void GOMP_loop_end_nowait(void) {}

/* The next piece of the loop, from its own start where this thread is the first to come to it. */
static bool next_piece(const shared_loop *start, unsigned long long *first, unsigned long long *last) {
    shared_loop *loop = &self.in->loop;
    pthread_mutex_lock(&loop->lock);
    if (start && loop->number != self.loops) {
        loop->number = self.loops;
        loop->next = start->next, loop->end = start->end, loop->step = start->step, loop->chunk = start->chunk;
        loop->downwards = start->downwards;
    }
    /* upwards or downwards, the distance is what is left; a chunk is cut to it before anything can overflow */
    unsigned long long left = loop->downwards ? loop->next - loop->end : loop->end - loop->next;
    unsigned long long step = loop->downwards ? 0 - loop->step : loop->step;
    bool any = loop->downwards ? loop->next > loop->end : loop->next < loop->end;
    if (any) {
        unsigned long long rest = (left - 1) / step + 1, count = loop->chunk < rest ? loop->chunk : rest;
        *first = loop->next;
        *last = count == rest ? loop->end : loop->next + count * loop->step;
        loop->next = *last;
    }
    pthread_mutex_unlock(&loop->lock);
    return any;
}

#define UNSIGNED_START(name)                                                                                           \
    bool name(bool up, unsigned long long start, unsigned long long end, unsigned long long step,                      \
              unsigned long long chunk, unsigned long long *first, unsigned long long *last);                          \
    bool name(bool up, unsigned long long start, unsigned long long end, unsigned long long step,                      \
              unsigned long long chunk, unsigned long long *first, unsigned long long *last) {                         \
        self.loops++;                                                                                                  \
        return next_piece(&(shared_loop){.next = start, .end = end, .step = step, .chunk = chunk, .downwards = !up},   \
                          first, last);                                                                                \
    }
#define UNSIGNED_NEXT(name)                                                                                            \
    bool name(unsigned long long *first, unsigned long long *last);                                                    \
    bool name(unsigned long long *first, unsigned long long *last) {                                                   \
        return next_piece(NULL, first, last);                                                                          \
    }

UNSIGNED_START(GOMP_loop_ull_dynamic_start)
UNSIGNED_START(GOMP_loop_ull_nonmonotonic_dynamic_start)
UNSIGNED_NEXT(GOMP_loop_ull_dynamic_next)
UNSIGNED_NEXT(GOMP_loop_ull_nonmonotonic_dynamic_next)

/* Signed counters are moved to where unsigned ones have the same order. */
static const unsigned long long shift = 1ull << 63;

#define SIGNED_START(name)                                                                                             \
    bool name(long start, long end, long step, long chunk, long *first, long *last);                                   \
    bool name(long start, long end, long step, long chunk, long *first, long *last) {                                  \
        self.loops++;                                                                                                  \
        return next_signed(&(shared_loop){.next = (unsigned long long)start + shift,                                   \
                                          .end = (unsigned long long)end + shift,                                      \
                                          .step = (unsigned long long)step,                                            \
                                          .chunk = (unsigned long long)chunk,                                          \
                                          .downwards = step < 0},                                                      \
                           first, last);                                                                               \
    }
#define SIGNED_NEXT(name)                                                                                              \
    bool name(long *first, long *last);                                                                                \
    bool name(long *first, long *last) {                                                                               \
        return next_signed(NULL, first, last);                                                                         \
    }

static bool next_signed(const shared_loop *start, long *first, long *last) {
    unsigned long long from, to;
    if (!next_piece(start, &from, &to))
        return false;
    *first = (long)(from - shift), *last = (long)(to - shift);
    return true;
}

SIGNED_START(GOMP_loop_dynamic_start)
SIGNED_START(GOMP_loop_nonmonotonic_dynamic_start)
SIGNED_NEXT(GOMP_loop_dynamic_next)
SIGNED_NEXT(GOMP_loop_nonmonotonic_dynamic_next)

int omp_get_max_threads(void) {
    pthread_once(&prepared, prepare);
    return self.wanted ? self.wanted : default_threads;
}

void omp_set_num_threads(int count) {
    self.wanted = count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : count;
}

int omp_get_num_threads(void) {
    return self.in ? self.in->size : 1;
}

int omp_get_thread_num(void) {
    return self.number;
}

int omp_in_parallel(void) {
    return self.parallel;
}

double omp_get_wtime(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
#else
typedef int sc_parallel_is_of_the_compiler; /* C has no empty source */
#endif
