#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/field.h"
#include "runtime/base/array.h"
#include "runtime/train/prefetch.h"

enum { MAX_FIELDS = 8 };

struct Prefetch {
  const Session *session;
  const NetcModule *desc;
  const NetcFn *fn;
  BatchSource source;
  const ImageStore *images; /* NULL: the device keeps none */
  uint64_t next, end;       /* iteration in preparation */
  void **dst;               /* MAX_FIELDS buffers per stream */
  NetcView **view;          /* per stream, NULL: its batch is made here */
  BatchInput *input;        /* all of them */
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
  NetcStep step = {p->source.seed, iteration};
  return batch_upload(p->session, p->fn, (int)(iteration & 1), p->input, p->ninput, step, err);
}

static bool fill(Prefetch *p, uint64_t iteration, char err[ERR_MAX]) {
  const BatchSource *b = &p->source;
  for (int i = 0; i < p->desc->nstreams; i++) {
    void **dst = p->dst + i * MAX_FIELDS;
    bool ok = p->view[i] ? b->views(b->user, i, iteration, dst, p->images, p->view[i], err)
                         : b->batch(b->user, i, iteration, dst, err);
    if (!ok) return false;
  }
  return !batch_async(p->session) || give(p, iteration, err);
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

static bool make_views(Prefetch *p, int stream, char err[ERR_MAX]) {
  const NetcStream *s = &p->desc->streams[stream];
  if (!p->images || !s->nfields || !device_makes_batch(p->session, stream)) return true;
  int64_t n = p->fn->inputs[s->fields[0].input].dim[0];
  p->view[stream] = calloc((size_t)n, sizeof **p->view);
  return p->view[stream] || err_memory(err, "the batches", n * (int64_t)sizeof **p->view);
}

static bool make_buffers(Prefetch *p, char err[ERR_MAX]) {
  p->dst = calloc((size_t)p->desc->nstreams * MAX_FIELDS + 1, sizeof *p->dst);
  p->input = calloc((size_t)p->desc->nstreams * MAX_FIELDS + 1, sizeof *p->input);
  p->view = calloc((size_t)p->desc->nstreams + 1, sizeof *p->view);
  if (!p->dst || !p->input || !p->view) return err_memory(err, "the batches", 0);
  for (int i = 0; i < p->desc->nstreams; i++) {
    const NetcStream *s = &p->desc->streams[i];
    if (s->nfields > MAX_FIELDS)
      return err_set(err, "stream %s has %d fields; at most %d are possible", s->name, s->nfields,
                     MAX_FIELDS);
    if (!make_views(p, i, err)) return false;
    for (int k = 0; k < s->nfields; k++) {
      int64_t bytes = array_count(&p->fn->inputs[s->fields[k].input]) * 4;
      if (!(p->dst[i * MAX_FIELDS + k] = calloc(1, (size_t)bytes)))
        return err_memory(err, "the batches", bytes);
      p->input[p->ninput++] = (BatchInput){s->fields[k].input, p->dst[i * MAX_FIELDS + k],
                                           batch_field[s->fields[k].kind].by_device ? p->view[i] : NULL};
    }
  }
  return true;
}

Prefetch *prefetch_new(const Session *s, const NetcFn *fn, const BatchSource *source, uint64_t first,
                       uint64_t end, char err[ERR_MAX]) {
  Prefetch *p = calloc(1, sizeof *p);
  if (!p) {
    err_memory(err, "the batches", (int64_t)sizeof *p);
    return NULL;
  }
  p->session = s, p->desc = s->module->desc, p->fn = fn, p->source = *source, p->next = first, p->end = end;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->changed, NULL);
  bool ok = !source->views || session_images(s, fn, source->items, source->bytes, &p->images, err);
  ok = ok && make_buffers(p, err);
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
  for (int i = 0; p->view && i < p->desc->nstreams; i++) free(p->view[i]);
  free(p->dst), free(p->input), free(p->view);
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
    if (batch_async(p->session)) batch_commit(p->session, p->fn, (int)(p->next & 1));
    else ok = give(p, p->next, err);
    p->full = false, p->next++;
    pthread_cond_broadcast(&p->changed);
  }
  pthread_mutex_unlock(&p->lock);
  return ok;
}
