/* checkpoint.c - variables to and from .safetensors files: every one under its name, in row-major order, with
 * the iterations done, seed, data set and options in the header's metadata. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/array.h"
#include "runtime/session/checkpoint.h"

enum { MOST_META = 24, MAX_DIFFERENCES = 4 };

static bool finite_values(const NetcArray *a, const void *data, char err[ERR_MAX], const char *where) {
  int64_t n = array_count(a);
  for (int64_t i = 0; a->dtype == NETC_F32 && i < n; i++) {
    float v;
    memcpy(&v, (const char *)data + 4 * i, 4); /* data in a file are not aligned */
    if (!isfinite(v))
      return err_set(err, "%s: element %lld of variable %.120s is %s", where, (long long)i, a->name,
                     isnan(v) ? "not a number (NaN)" : "infinite");
  }
  return true;
}

/* ---- saving ---- */

typedef struct {
  const Session *session;
  const char *path;
} Saver;

static bool fill_variable(void *user, int i, void *dst, char err[ERR_MAX]) {
  const Saver *s = user;
  const NetcArray *a = &s->session->module->desc->vars[i].array;
  array_from_memory(a, session_at(s->session, a), dst);
  char where[256];
  snprintf(where, sizeof where, "%.200s is not written", s->path);
  return finite_values(a, dst, err, where);
}

typedef struct {
  StMeta entry[MOST_META];
  char text[MOST_META][32];
  int n;
} Meta;

static void meta_add(Meta *m, const char *key, const char *value) {
  m->entry[m->n++] = (StMeta){(char *)(uintptr_t)key, (char *)(uintptr_t)value};
}

/* What a run may not have is written only where it has. */
static void meta_add_some(Meta *m, const char *key, const char *value) {
  if (*value) meta_add(m, key, value);
}

__attribute__((format(printf, 3, 4))) static void meta_number(Meta *m, const char *key, const char *fmt,
                                                              ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(m->text[m->n], sizeof m->text[m->n], fmt, ap);
  va_end(ap);
  meta_add(m, key, m->text[m->n]);
}

static void progress_meta(Meta *m, const NetcModule *d, const Progress *at) {
  meta_add(m, "format", "netc");
  meta_add(m, "producer", "netrun " NETC_VERSION);
  meta_number(m, "iteration", "%" PRIu64, at->iteration);
  meta_number(m, "seed", "%" PRIu64, at->seed);
  meta_number(m, "epoch", "%.17g", at->epoch);
  meta_number(m, "max_iterations", "%" PRId64, at->max_iterations);
  meta_number(m, "fingerprint", "%016" PRIx64, d->fingerprint);
  meta_add(m, "options", d->options ? d->options : "");
  meta_add(m, "data", at->data);
  meta_add(m, "labeled", at->labeled);
  if (at->split) meta_number(m, "split", "%" PRIu64, at->split);
  meta_add_some(m, "fold", at->fold);
  meta_add_some(m, "val", at->val);
  meta_add_some(m, "case_by", at->case_by);
  meta_add_some(m, "preparation", at->fingerprint);
  meta_add_some(m, "missing", at->missing);
  if (*at->eval_split) meta_number(m, "eval_every", "%" PRId64, at->eval_every);
  meta_add_some(m, "eval_split", at->eval_split);
  meta_add_some(m, "eval_best", at->eval_best);
  meta_add_some(m, "best", at->best);
  meta_add_some(m, "best_split", at->best_split);
  if (*at->best) meta_number(m, "best_value", "%.17g", at->best_value);
}

bool checkpoint_save(const Session *s, const char *path, const Progress *at, char err[ERR_MAX]) {
  const NetcModule *d = s->module->desc;
  if (!vars_download(s, err)) return false;
  StTensor *t = calloc((size_t)d->nvars + 1, sizeof *t);
  if (!t) return err_memory(err, path, d->nvars * (int64_t)sizeof *t);
  for (int i = 0; i < d->nvars; i++) {
    const NetcArray *a = &d->vars[i].array;
    t[i] = (StTensor){
        .name = (char *)(uintptr_t)a->name, .type = a->dtype == NETC_I32 ? ST_I32 : ST_F32, .rank = a->rank};
    memcpy(t[i].dim, a->dim, sizeof a->dim);
  }
  Meta meta = {.n = 0};
  progress_meta(&meta, d, at);
  Saver saver = {s, path};
  bool ok = st_write(path, t, d->nvars, meta.entry, meta.n, fill_variable, &saver, err);
  free(t);
  return ok;
}

/* ---- loading ---- */

static bool same_shape(const NetcArray *a, const StTensor *t) {
  if (a->rank != t->rank || (a->dtype == NETC_I32 ? ST_I32 : ST_F32) != t->type) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != t->dim[i]) return false;
  return true;
}

static void shape_str(const StTensor *t, char buf[128]) {
  static const char *const name[] = {"f32", "f64", "i32", "i64", "u8", "other type"};
  int n = snprintf(buf, 128, "%s[", name[t->type]);
  for (int i = 0; i < t->rank && n < 128; i++)
    n += snprintf(buf + n, (size_t)(128 - n), "%s%lld", i ? "," : "", (long long)t->dim[i]);
  if (n < 127) snprintf(buf + n, (size_t)(128 - n), "]");
}

/* Does a launch of f have an argument inside the variable? */
static bool works_on(const NetcFn *f, const NetcArray *var) {
  for (int i = 0; i < f->nlaunches; i++)
    for (int k = 0; k < f->launches[i].nargs; k++) {
      int64_t at = f->args[f->launches[i].arg + k];
      if (at >= var->offset && at < var->offset + var->bytes) return true;
    }
  return false;
}

static bool required(const NetcVar *v, const NetcFn *fn) {
  return !fn || (v->role != NETC_ROLE_OPTIM && works_on(fn, &v->array));
}

/* All required variables are in the file, and those that are have the right shape; else the first few that do
 * not. */
static bool check_names(const Session *s, const StFile *f, const char *path, const NetcFn *fn,
                        char err[ERR_MAX]) {
  const NetcModule *d = s->module->desc;
  int bad = 0, n = 0;
  char list[ERR_MAX / 2] = "";
  for (int i = 0; i < d->nvars; i++) {
    const NetcArray *a = &d->vars[i].array;
    const StTensor *t = st_find(f, a->name);
    if (t ? same_shape(a, t) : !required(&d->vars[i], fn)) continue;
    char want[128], have[128] = "missing";
    array_str(a, want);
    if (t) shape_str(t, have);
    if (bad++ >= MAX_DIFFERENCES) continue;
    int more = snprintf(list + n, sizeof list - (size_t)n, "%s%s: %s in the module, %s in the file",
                        n ? "; " : "", a->name, want, have);
    if (n + more < (int)sizeof list) n += more;
    else list[n] = 0; /* whole entries only */
  }
  if (bad == 0) return true;
  return err_set(err, "%s holds weights of another network (%d of %d variables differ: %s%s)", path, bad,
                 d->nvars, list, bad > MAX_DIFFERENCES ? "; ..." : "");
}

static bool meta_u64(const StFile *f, const char *key, uint64_t *out) {
  const char *v = st_meta(f, key);
  char *end;
  if (!v || *v < '0' || *v > '9') return false;
  *out = strtoull(v, &end, 10);
  return *end == '\0';
}

static void meta_text(const StFile *f, const char *key, char *out, size_t size) {
  const char *v = st_meta(f, key);
  snprintf(out, size, "%s", v ? v : "");
}

static double meta_double(const StFile *f, const char *key) {
  const char *v = st_meta(f, key);
  return v ? atof(v) : 0;
}

static bool read_progress(const StFile *f, const char *path, Progress *at, char err[ERR_MAX]) {
  uint64_t max = 0, every = 0;
  memset(at, 0, sizeof *at);
  if (!meta_u64(f, "iteration", &at->iteration) || !meta_u64(f, "seed", &at->seed) ||
      !meta_u64(f, "max_iterations", &max))
    return err_set(err, "%s does not say at which iteration it was written: it is no checkpoint of netrun",
                   path);
  at->max_iterations = (int64_t)max;
  at->epoch = meta_double(f, "epoch");
  meta_u64(f, "split", &at->split);
  if (meta_u64(f, "eval_every", &every) && every <= INT64_MAX) at->eval_every = (int64_t)every;
  at->best_value = meta_double(f, "best_value");
  meta_text(f, "data", at->data, sizeof at->data);
  meta_text(f, "labeled", at->labeled, sizeof at->labeled);
  meta_text(f, "fold", at->fold, sizeof at->fold);
  meta_text(f, "val", at->val, sizeof at->val);
  meta_text(f, "case_by", at->case_by, sizeof at->case_by);
  meta_text(f, "preparation", at->fingerprint, sizeof at->fingerprint);
  meta_text(f, "missing", at->missing, sizeof at->missing);
  meta_text(f, "eval_split", at->eval_split, sizeof at->eval_split);
  meta_text(f, "eval_best", at->eval_best, sizeof at->eval_best);
  meta_text(f, "best", at->best, sizeof at->best);
  meta_text(f, "best_split", at->best_split, sizeof at->best_split);
  return true;
}

static bool load_variables(const Session *s, const StFile *f, const char *path, const NetcFn *const *fn,
                           int nfn, char err[ERR_MAX]) {
  const NetcModule *d = s->module->desc;
  for (int i = 0; i < nfn; i++)
    if (!check_names(s, f, path, fn[i], err)) return false;
  for (int i = 0; i < d->nvars; i++) {
    const StTensor *t = st_find(f, d->vars[i].array.name);
    if (t && !finite_values(&d->vars[i].array, t->data, err, path)) return false;
  }
  for (int i = 0; i < d->nvars; i++) {
    const NetcArray *a = &d->vars[i].array;
    const StTensor *t = st_find(f, a->name);
    if (!t) continue;
    /* Data in a file lie at any address; copy once so that elements are aligned. */
    size_t bytes = (size_t)array_count(a) * 4;
    void *aligned = malloc(bytes);
    if (!aligned) return err_memory(err, path, (int64_t)bytes);
    memcpy(aligned, t->data, bytes);
    array_to_memory(a, aligned, session_at(s, a));
    free(aligned);
  }
  vars_dirty(s);
  return true;
}

bool checkpoint_load_for(const Session *s, const char *path, const NetcFn *const *fn, int nfn, Progress *at,
                         char err[ERR_MAX]) {
  StFile *f = st_open(path, err);
  if (!f) return false;
  bool ok = (!at || read_progress(f, path, at, err)) && load_variables(s, f, path, fn, nfn, err);
  st_close(f);
  return ok;
}

bool checkpoint_load(const Session *s, const char *path, const NetcFn *fn, Progress *at, char err[ERR_MAX]) {
  return checkpoint_load_for(s, path, &fn, 1, at, err);
}

bool checkpoint_progress(const char *path, Progress *at, char err[ERR_MAX]) {
  StFile *f = st_open(path, err);
  bool ok = f && read_progress(f, path, at, err);
  st_close(f);
  return ok;
}
