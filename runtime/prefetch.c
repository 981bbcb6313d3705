#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "array.h"
#include "prefetch.h"

enum { MAX_FIELDS = 8 };

struct Prefetch {
  const Session *session;
  const NetcModule *desc;
  const NetcFn *fn;
  BatchFn batch;
  void *user;
  uint64_t next, end; /* iteration in preparation */
  void **dst;         /* MAX_FIELDS buffers per stream */
  BatchInput *input;  /* all of them */
  int ninput;
  pthread_t thread;
  bool running;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool full, failed, quit; /* full: the buffers hold iteration `next` and are the taker's */
  char err[ERR_MAX];
};

/* Two batches in turn: while the one is worked on, the other is on its way. */
static bool give(const Prefetch *p, uint64_t iteration, char err[ERR_MAX]) {
  return session_give(p->session, p->fn, (int)(iteration & 1), p->input, p->ninput, err);
}

static bool fill(Prefetch *p, uint64_t iteration, char err[ERR_MAX]) {
  for (int i = 0; i < p->desc->nstreams; i++)
    if (!p->batch(p->user, i, iteration, p->dst + i * MAX_FIELDS, err)) return false;
  return !session_ahead(p->session) || give(p, iteration, err);
}

static void *prepare(void *arg) {
  Prefetch *p = arg;
  pthread_mutex_lock(&p->lock);
  while (!p->quit && !p->failed && p->next < p->end) {
    if (p->full) {
      pthread_cond_wait(&p->changed, &p->lock);
      continue;
    }
    uint64_t iteration = p->next;
    pthread_mutex_unlock(&p->lock);
    bool ok = fill(p, iteration, p->err);
    pthread_mutex_lock(&p->lock);
    p->full = ok, p->failed = !ok;
    pthread_cond_broadcast(&p->changed);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

static bool make_buffers(Prefetch *p, char err[ERR_MAX]) {
  p->dst = calloc((size_t)p->desc->nstreams * MAX_FIELDS + 1, sizeof *p->dst);
  p->input = calloc((size_t)p->desc->nstreams * MAX_FIELDS + 1, sizeof *p->input);
  if (!p->dst || !p->input) return err_memory(err, "the batches", 0);
  for (int i = 0; i < p->desc->nstreams; i++) {
    const NetcStream *s = &p->desc->streams[i];
    if (s->nfields > MAX_FIELDS)
      return err_set(err, "stream %s has %d fields; at most %d are possible", s->name, s->nfields,
                     MAX_FIELDS);
    for (int k = 0; k < s->nfields; k++) {
      int64_t bytes = array_count(&p->fn->inputs[s->fields[k].input]) * 4;
      if (!(p->dst[i * MAX_FIELDS + k] = calloc(1, (size_t)bytes)))
        return err_memory(err, "the batches", bytes);
      p->input[p->ninput++] = (BatchInput){s->fields[k].input, p->dst[i * MAX_FIELDS + k]};
    }
  }
  return true;
}

Prefetch *prefetch_new(const Session *s, const NetcFn *fn, BatchFn batch, void *user, uint64_t first,
                       uint64_t end, char err[ERR_MAX]) {
  Prefetch *p = calloc(1, sizeof *p);
  if (!p) {
    err_memory(err, "the batches", (int64_t)sizeof *p);
    return NULL;
  }
  p->session = s, p->desc = s->module->desc, p->fn = fn, p->batch = batch, p->user = user, p->next = first,
  p->end = end;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->changed, NULL);
  bool ok = make_buffers(p, err);
  int code = ok ? pthread_create(&p->thread, NULL, prepare, p) : 0;
  p->running = ok && code == 0;
  if (code != 0) ok = err_set(err, "cannot start the thread that reads images: %s", strerror(code));
  if (ok) return p;
  prefetch_free(p);
  return NULL;
}

void prefetch_free(Prefetch *p) {
  if (!p) return;
  pthread_mutex_lock(&p->lock);
  p->quit = true;
  pthread_cond_broadcast(&p->changed);
  pthread_mutex_unlock(&p->lock);
  if (p->running) pthread_join(p->thread, NULL);
  for (int i = 0; p->dst && i < p->desc->nstreams * MAX_FIELDS; i++) free(p->dst[i]);
  free(p->dst), free(p->input);
  pthread_cond_destroy(&p->changed);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

bool prefetch_take(Prefetch *p, char err[ERR_MAX]) {
  pthread_mutex_lock(&p->lock);
  while (!p->full && !p->failed) pthread_cond_wait(&p->changed, &p->lock);
  bool ok = !p->failed || err_set(err, "%s", p->err);
  if (ok) {
    /* The thread touches no buffer while `full` is set. */
    if (session_ahead(p->session)) session_accept(p->session, p->fn, (int)(p->next & 1));
    else ok = give(p, p->next, err);
    p->full = false, p->next++;
    pthread_cond_broadcast(&p->changed);
  }
  pthread_mutex_unlock(&p->lock);
  return ok;
}
