/* netc.c - netc.h: what libnetc.so exports, over sessions and predictors. */
#include "runtime/device/open.h"
#include "runtime/embed/netc.h"
#include <stdlib.h>
#include <string.h>
#include "runtime/base/array.h"
#include "runtime/session/checkpoint.h"
#include "runtime/predict/predictor.h"
#include "runtime/eval/regions.h"

_Static_assert((int)NETC_ERROR_MAX == (int)ERR_MAX && (int)NETC_RANK_MAX == (int)NETC_MAX_RANK &&
                   (int)NETC_CPU == (int)ON_HOST,
               "netc.h stands by itself, with numbers of its own");

struct NetcModel {
  Module *module;
  Session *session;
  bool predicts;       /* has a `predict` that */
  Predictor predictor; /* this one can use */
};

/* `predict` and `forward` functions: training ones are netrun's. */
static bool is_offered(const NetcFn *f) { return f->kind == NETC_FN_PREDICT || f->kind == NETC_FN_FORWARD; }

static const NetcFn *offered(const NetcModel *m, const char *function) {
  const NetcFn *f = module_fn(m->module, function);
  return f && is_offered(f) ? f : NULL;
}

/* Every variable that one of the offered functions reads must be there. */
static bool load_weights(const NetcModel *m, const char *weights, char error[NETC_ERROR_MAX]) {
  const NetcModule *d = m->module->desc;
  session_init(m->session, 0);
  if (!weights) return true;
  const NetcFn **fn = malloc(((size_t)d->nfns + 1) * sizeof *fn);
  if (!fn) return err_memory(error, "a list of functions", d->nfns);
  int n = 0;
  for (int i = 0; i < d->nfns; i++)
    if (is_offered(&d->fns[i])) fn[n++] = &d->fns[i];
  bool ok = n == 0 || checkpoint_load_for(m->session, weights, fn, n, NULL, error);
  free(fn);
  return ok;
}

NetcModel *netc_open(const char *module, const char *weights, int threads, int device,
                     char error[NETC_ERROR_MAX]) {
  NetcModel *m = calloc(1, sizeof *m);
  char none[ERR_MAX];
  if (!m) {
    err_memory(error, "a model", (int64_t)sizeof *m);
    return NULL;
  }
  bool ok = (m->module = module_open(module, error)) != NULL &&
            (m->session = session_on(m->module, threads, device, error)) != NULL &&
            load_weights(m, weights, error);
  DataShape shape;
  m->predicts = ok && predictor_shape(m->module, &shape, none);
  if (ok && (!m->predicts || predictor_new(&m->predictor, m->session, error))) return m;
  netc_close(m);
  return NULL;
}

void netc_close(NetcModel *m) {
  if (!m) return;
  predictor_free(&m->predictor);
  session_free(m->session);
  module_close(m->module);
  free(m);
}

/* iteration, epoch and max_iterations are the host's to write, and 0 here. */
static int list_values(const NetcArray *array, int n, NetcValue *list, int most) {
  int count = 0;
  for (int i = 0; i < n; i++) {
    const NetcArray *a = &array[i];
    if (is_host_scalar(a)) continue;
    if (count < most) {
      list[count] = (NetcValue){
          .name = a->name, .integer = a->dtype == NETC_I32, .rank = a->rank, .count = array_count(a)};
      memcpy(list[count].dim, a->dim, sizeof *a->dim * (size_t)a->rank);
    }
    count++;
  }
  return count;
}

int netc_inputs(const NetcModel *m, const char *function, NetcValue *list, int most) {
  const NetcFn *f = offered(m, function);
  return f ? list_values(f->inputs, f->ninputs, list, most) : -1;
}

int netc_outputs(const NetcModel *m, const char *function, NetcValue *list, int most) {
  const NetcFn *f = offered(m, function);
  return f ? list_values(f->outputs, f->noutputs, list, most) : -1;
}

bool netc_run(NetcModel *m, const char *function, const void *const *in, void *const *out,
              char error[NETC_ERROR_MAX]) {
  const Session *s = m->session;
  const NetcFn *f = offered(m, function);
  if (!f)
    return err_set(error, "%s has no predict or forward function `%s` (netrun info lists them)",
                   m->module->path, function);
  session_scalars(s, f, 0, 0, 0);
  for (int i = 0; i < f->ninputs; i++)
    if (!is_host_scalar(&f->inputs[i])) array_to_memory(&f->inputs[i], *in++, session_at(s, &f->inputs[i]));
  if (!fn_run(s, f, (NetcStep){0, 0}, error)) return false;
  for (int i = 0; i < f->noutputs; i++)
    if (out[i]) array_from_memory(&f->outputs[i], session_at(s, &f->outputs[i]), out[i]);
  return true;
}

int netc_shape(const NetcModel *m, int *classes, int *channels, int64_t size[3]) {
  if (!m->predicts) return -1;
  const DataShape *shape = &m->predictor.shape;
  *classes = (int)shape->classes, *channels = shape->channels;
  memcpy(size, shape->size, sizeof *size * (size_t)shape->spatial);
  return shape->spatial;
}

bool netc_segment(NetcModel *m, const float *image, const int64_t *dim, uint8_t *mask,
                  char error[NETC_ERROR_MAX]) {
  DataShape shape;
  if (!m->predicts) return predictor_shape(m->module, &shape, error);
  for (int a = 0; a < m->predictor.shape.spatial; a++)
    if (dim[a] < 1) return err_set(error, "extent %d of the image is %lld", a, (long long)dim[a]);
  if (!predictor_volume(&m->predictor, image, dim, mask, error)) return false;
  int64_t n = 1;
  for (int a = 0; a < m->predictor.shape.spatial; a++) n *= dim[a];
  answer_classes(mask, m->predictor.regions, n);
  return true;
}
