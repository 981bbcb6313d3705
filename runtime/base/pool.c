/* pool.c - the pool hands out tasks through one 64-bit word: `state` = launch number << 32 | tasks not yet
 * handed out.
 *
 * A thread that finds tasks left reads the job, then takes some of them by compare-and-swap on `state`. While
 * tasks are left the caller of pool_run waits, so the job cannot change; and if the word did change in
 * between, the exchange fails and nothing was taken. A thread that comes late finds no tasks left and touches
 * nothing, hence nobody has to check in: a launch is over when `done` has reached the number of tasks. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/pool.h"

enum { SPIN_ROUNDS = 2000, STACK_BYTES = 8 << 20, CACHE_LINE = 64 };

struct Pool {
  _Alignas(CACHE_LINE) _Atomic uint64_t state;
  _Alignas(CACHE_LINE) _Atomic int64_t done;
  _Alignas(CACHE_LINE) _Atomic(PoolTask) fn;
  _Atomic(void *) ctx;
  _Atomic int64_t base, ntasks; /* tasks base..base+ntasks-1: at most 2^31 at a time */
  _Atomic int sleepers;
  _Atomic bool quit;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  int threads, started;
  pthread_t thread[POOL_MAX_THREADS];
};

static uint32_t tasks_left(uint64_t state) { return (uint32_t)state; }

static void relax(void) { __builtin_ia32_pause(); }

/* Takes tasks until none are left. */
static void work(Pool *p) {
  uint64_t state = atomic_load(&p->state);
  while (tasks_left(state) > 0) {
    PoolTask fn = atomic_load_explicit(&p->fn, memory_order_relaxed);
    void *ctx = atomic_load_explicit(&p->ctx, memory_order_relaxed);
    int64_t base = atomic_load_explicit(&p->base, memory_order_relaxed);
    int64_t ntasks = atomic_load_explicit(&p->ntasks, memory_order_relaxed);
    int64_t left = tasks_left(state), take = pool_portion(left, p->threads);
    if (!atomic_compare_exchange_weak(&p->state, &state, state - (uint64_t)take)) continue;
    for (int64_t i = 0; i < take; i++) fn(ctx, base + ntasks - left + i);
    atomic_fetch_add_explicit(&p->done, take, memory_order_release);
    state = atomic_load(&p->state);
  }
}

/* Sleeps until there may be work. `sleepers` is raised before the last look at `state`, and pool_run looks at
 * `sleepers` after writing `state`: one of the two sees the other. */
static void wait_for_work(Pool *p) {
  for (int i = 0; i < SPIN_ROUNDS; i++) {
    if (tasks_left(atomic_load_explicit(&p->state, memory_order_relaxed)) > 0) return;
    relax();
  }
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add(&p->sleepers, 1);
  while (tasks_left(atomic_load(&p->state)) == 0 && !atomic_load(&p->quit))
    pthread_cond_wait(&p->wake, &p->lock);
  atomic_fetch_sub(&p->sleepers, 1);
  pthread_mutex_unlock(&p->lock);
}

static void *worker(void *arg) {
  Pool *p = arg;
  while (!atomic_load(&p->quit)) {
    wait_for_work(p);
    work(p);
  }
  return NULL;
}

static int usable_cpus(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  int n = CPU_COUNT(&set);
  return n < 1 ? 1 : n > POOL_MAX_THREADS ? POOL_MAX_THREADS : n;
}

static bool start_workers(Pool *p, char err[ERR_MAX]) {
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK_BYTES);
  int code = 0;
  for (; p->started < p->threads - 1 && code == 0; p->started += code == 0)
    code = pthread_create(&p->thread[p->started], &attr, worker, p);
  pthread_attr_destroy(&attr);
  if (code != 0)
    return err_set(err, "cannot start thread %d of %d: %s; try a smaller --threads", p->started + 2,
                   p->threads, strerror(code));
  return true;
}

Pool *pool_new(int threads, char err[ERR_MAX]) {
  if (threads == 0) threads = usable_cpus();
  if (threads < 1 || threads > POOL_MAX_THREADS) {
    err_set(err, "%d threads asked for; between 1 and %d are possible", threads, POOL_MAX_THREADS);
    return NULL;
  }
  Pool *p = aligned_alloc(CACHE_LINE, (sizeof *p + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
  if (!p) {
    err_memory(err, "the thread pool", (int64_t)sizeof *p);
    return NULL;
  }
  memset(p, 0, sizeof *p);
  p->threads = threads;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->wake, NULL);
  if (!start_workers(p, err)) {
    pool_free(p);
    return NULL;
  }
  return p;
}

void pool_free(Pool *p) {
  if (!p) return;
  pthread_mutex_lock(&p->lock);
  atomic_store(&p->quit, true);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->lock);
  for (int i = 0; i < p->started; i++) pthread_join(p->thread[i], NULL);
  pthread_cond_destroy(&p->wake);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

int pool_threads(const Pool *p) { return p->threads; }

/* At most 2^31 tasks: what fits the lower half of `state`. */
static void run_part(Pool *p, PoolTask fn, void *ctx, int64_t base, int64_t ntasks) {
  uint64_t launch = (atomic_load_explicit(&p->state, memory_order_relaxed) >> 32) + 1;
  atomic_store_explicit(&p->fn, fn, memory_order_relaxed);
  atomic_store_explicit(&p->ctx, ctx, memory_order_relaxed);
  atomic_store_explicit(&p->base, base, memory_order_relaxed);
  atomic_store_explicit(&p->ntasks, ntasks, memory_order_relaxed);
  atomic_store_explicit(&p->done, 0, memory_order_relaxed);
  atomic_store(&p->state, launch << 32 | (uint64_t)ntasks);
  if (atomic_load(&p->sleepers) > 0) {
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
  }
  work(p);
  for (int spins = 0; atomic_load_explicit(&p->done, memory_order_acquire) < ntasks; spins++) {
    if (spins < SPIN_ROUNDS) relax();
    else sched_yield();
  }
}

void pool_run(Pool *p, PoolTask fn, void *ctx, int64_t ntasks) {
  if (p->threads == 1 || ntasks <= 1) {
    for (int64_t i = 0; i < ntasks; i++) fn(ctx, i);
    return;
  }
  const int64_t most = INT64_C(1) << 31;
  for (int64_t base = 0; base < ntasks; base += most)
    run_part(p, fn, ctx, base, ntasks - base < most ? ntasks - base : most);
}
