/* replay.c - runs recorded launches (cases.h) on an NVIDIA GPU, each by itself from the values that were
 * recorded, and compares what it stores: which kernels are right, all of them told in one run. A launch that
 * fails takes its process with it; the next process goes on behind it. Each launch runs twice: what differs
 * the second time is a race.
 *
 *   replay [--device N] [--seconds S] [--hang S] [--tolerance T] [--json FILE] CASES ..
 *
 * The family of PTX is NETRUN_CUDA_FAMILY's, or the latest that the device runs. --seconds: no new file is
 * begun after so long. --hang: how long a launch may take. --tolerance: instead of the recorded ones. --json:
 * a line for every launch that went wrong, and for every file. Exit status 1 if any did. */
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/gpu/cases.h"
#include "ir/bf16.h"
#include "runtime/device/gpu.h"

enum { GUARD = 256, LINE = 1024, MOST_RESTARTS = 40, LOAD_SECONDS = 300 };

/* ---- the file ---- */

typedef struct {
  int kind;
  int64_t bytes, count, at; /* at: in the arena */
  const void *want;
  bool clean;   /* the device has `want` */
  bool missing; /* workspace that a launch should have made which was left out */
} CaseBuffer;

typedef struct {
  const char *kernel;
  int code, cancels, nargs, arg[NETC_MAX_ARGS];
  int64_t tasks;
  uint64_t writes, checks, param[NETC_MAX_PARAMS];
} CaseLaunch;

typedef struct {
  const char *name;
  double tolerance;
  NetcStep step;
  int nbuffer, nlaunch;
  CaseBuffer *buffer;
  CaseLaunch *launch;
  int64_t bytes; /* of the arena; a NetcStep lies behind */
} CaseFn;

typedef struct {
  const char *path;
  void *data; /* the file, which all texts and values lie in */
  size_t bytes;
  NetcDevice device;
  NetcDeviceText *text;
  NetcDeviceCode *code;
  bool *spoilt; /* per code: a launch of it failed, the others are left out */
  CaseFn *fn;
  int nfn;
} Cases;

typedef struct {
  const uint8_t *at, *end;
  bool short_;
} Reader;

static void get(Reader *r, void *to, size_t n) {
  if ((size_t)(r->end - r->at) < n) r->short_ = true, r->at = r->end, memset(to, 0, n);
  else memcpy(to, r->at, n), r->at += n;
}
static int32_t get_i32(Reader *r) {
  int32_t v;
  return get(r, &v, sizeof v), v;
}
static int64_t get_i64(Reader *r) {
  int64_t v;
  return get(r, &v, sizeof v), v;
}
static const void *skip(Reader *r, int64_t n) {
  const void *p = r->at;
  if (n < 0 || n > r->end - r->at) return r->short_ = true, r->at = r->end, NULL;
  return r->at += n, p;
}
/* NULL: an empty one. */
static const char *get_text(Reader *r) {
  int32_t n = get_i32(r);
  const char *s = skip(r, n);
  if (s && n && s[n - 1]) r->short_ = true;
  return n ? s : NULL;
}

static void *table(Reader *r, int n, size_t size) {
  if (n < 0 || (int64_t)n > r->end - r->at) return r->short_ = true, calloc(1, size);
  return calloc((size_t)n + 1, size);
}

static void read_codes(Reader *r, Cases *c) {
  int n = get_i32(r);
  c->text = table(r, n, sizeof *c->text), c->code = table(r, n, sizeof *c->code);
  c->spoilt = table(r, n, sizeof *c->spoilt);
  for (int i = 0; !r->short_ && i < n; i++) {
    NetcDeviceCode *d = &c->code[i];
    d->entry = get_text(r), d->text = i;
    d->threads = get_i32(r), d->tasks = get_i32(r), d->shared = get_i32(r), d->nparams = get_i32(r);
    for (int sm = 0; sm < NETC_SM_COUNT; sm++) c->text[i].ptx[sm] = get_text(r);
    if (d->threads < 1 || d->tasks < 1 || d->nparams < 0 || d->nparams > NETC_MAX_PARAMS) r->short_ = true;
  }
  c->device = (NetcDevice){.ncodes = n, .ntexts = n, .texts = c->text, .codes = c->code};
}

static void read_buffers(Reader *r, CaseFn *f) {
  f->nbuffer = get_i32(r);
  f->buffer = table(r, f->nbuffer, sizeof *f->buffer);
  for (int i = 0; !r->short_ && i < f->nbuffer; i++) {
    CaseBuffer *b = &f->buffer[i];
    b->kind = get_i32(r), b->bytes = get_i64(r), b->count = get_i64(r);
    if (b->kind != CASE_WORKSPACE) b->want = skip(r, b->count * (b->kind == CASE_BF16 ? 2 : 4));
    b->at = f->bytes;
    f->bytes += (b->bytes + 255) / 256 * 256 + GUARD;
  }
}

static void read_launch(Reader *r, const Cases *c, const CaseFn *f, CaseLaunch *l) {
  l->kernel = get_text(r), l->code = get_i32(r), l->cancels = get_i32(r), l->tasks = get_i64(r);
  l->writes = (uint64_t)get_i64(r), l->checks = (uint64_t)get_i64(r), l->nargs = get_i32(r);
  if (l->code < 0 || l->code >= c->device.ncodes || l->nargs < 0 || l->nargs > NETC_MAX_ARGS) {
    r->short_ = true;
    return;
  }
  for (int i = 0; i < l->nargs; i++) {
    l->arg[i] = get_i32(r);
    if (l->arg[i] < 0 || l->arg[i] >= f->nbuffer) r->short_ = true;
  }
  get(r, l->param, (size_t)c->code[l->code].nparams * sizeof *l->param);
}

static void cases_free(Cases *c) {
  for (int i = 0; i < c->nfn; i++) free(c->fn[i].buffer), free(c->fn[i].launch);
  free(c->fn), free(c->text), free(c->code), free(c->spoilt);
  if (c->data) munmap(c->data, c->bytes);
}

static bool read_cases(Cases *c, const char *path, char err[ERR_MAX]) {
  struct stat st;
  int fd = open(path, O_RDONLY);
  *c = (Cases){.path = path};
  if (fd < 0 || fstat(fd, &st)) return err_sys(err, "%s", path);
  const uint8_t *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (data == MAP_FAILED) return err_sys(err, "%s", path);
  c->data = (void *)(uintptr_t)data, c->bytes = (size_t)st.st_size;
  Reader r = {data, data + st.st_size, false};
  const char *magic = skip(&r, sizeof CASES_MAGIC - 1);
  if (!magic || memcmp(magic, CASES_MAGIC, sizeof CASES_MAGIC - 1))
    return err_set(err, "%s has no recorded launches", path);
  read_codes(&r, c);
  c->nfn = r.short_ ? 0 : get_i32(&r);
  c->fn = table(&r, c->nfn, sizeof *c->fn);
  if (r.short_) c->nfn = 0; /* the table has not as many */
  for (CaseFn *f = c->fn; !r.short_ && f < c->fn + c->nfn; f++) {
    f->name = get_text(&r);
    get(&r, &f->tolerance, sizeof f->tolerance);
    get(&r, &f->step.seed, sizeof f->step.seed), get(&r, &f->step.iteration, sizeof f->step.iteration);
    read_buffers(&r, f);
    f->nlaunch = get_i32(&r);
    f->launch = table(&r, f->nlaunch, sizeof *f->launch);
    for (int i = 0; !r.short_ && i < f->nlaunch; i++) read_launch(&r, c, f, &f->launch[i]);
  }
  return !r.short_ || err_set(err, "%s ends too early, or is damaged", path);
}

/* ---- a launch, in the process that runs them ---- */

typedef struct {
  Gpu gpu;
  GpuCode code;
  CUstream stream;
  const Cases *c;
  double tolerance; /* < 0: the recorded ones */
  CaseFn *f;
  CUdeviceptr arena;
  int out; /* to the process that waits */
} Player;

__attribute__((format(printf, 2, 3))) static void tell(const Player *p, const char *fmt, ...) {
  char line[LINE];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(line, sizeof line - 1, fmt, ap);
  va_end(ap);
  n = n < LINE - 1 ? n : LINE - 2;
  for (char *s = line; s < line + n; s++)
    if (*s == '\n' || *s == '"' || *s == '\\') *s = ' ';
  line[n++] = '\n';
  if (write(p->out, line, (size_t)n) != n) _exit(1);
}

static bool wait_for(const Player *p, char err[ERR_MAX]) {
  return GPU(&p->gpu, err, cuStreamSynchronize, p->stream);
}

static bool send(const Player *p, int64_t at, const void *from, int64_t n, char err[ERR_MAX]) {
  return n < 1 ||
         (GPU(&p->gpu, err, cuMemcpyHtoDAsync, p->arena + (uint64_t)at, from, (size_t)n, p->stream) &&
          wait_for(p, err));
}

static bool fetch(const Player *p, const CaseBuffer *b, void *to, char err[ERR_MAX]) {
  return GPU(&p->gpu, err, cuMemcpyDtoHAsync, to, p->arena + (uint64_t)b->at,
             (size_t)((b->bytes + 255) / 256 * 256 + GUARD), p->stream) &&
         wait_for(p, err);
}

static bool set_reads(const Player *p, const CaseLaunch *l, char err[ERR_MAX]) {
  for (int i = 0; i < l->nargs; i++) {
    CaseBuffer *b = &p->f->buffer[l->arg[i]];
    if (l->writes >> i & 1) b->clean = false;
    else if (b->kind != CASE_WORKSPACE && !b->clean) {
      if (!send(p, b->at, b->want, b->count * (b->kind == CASE_BF16 ? 2 : 4), err)) return false;
      b->clean = true;
    }
  }
  return true;
}

static bool launch(const Player *p, const CaseLaunch *l, char err[ERR_MAX]) {
  const NetcDeviceCode *d = &p->c->code[l->code];
  uint64_t value[NETC_MAX_ARGS + 2 + NETC_MAX_PARAMS];
  void *arg[NETC_MAX_ARGS + 2 + NETC_MAX_PARAMS];
  int n = 0;
  for (; n < l->nargs; n++) value[n] = p->arena + (uint64_t)p->f->buffer[l->arg[n]].at;
  value[n++] = p->arena + (uint64_t)p->f->bytes;
  value[n++] = (uint64_t)l->tasks;
  for (int i = 0; i < d->nparams; i++) value[n++] = l->param[i];
  for (int i = 0; i < n; i++) arg[i] = &value[i];
  unsigned blocks = (unsigned)((l->tasks + d->tasks - 1) / d->tasks);
  return GPU(&p->gpu, err, cuLaunchKernel, p->code.entry[l->code], blocks, 1, 1, (unsigned)d->threads, 1, 1,
             gpu_shared(&p->gpu, &p->c->device, d), p->stream, arg, NULL) &&
         wait_for(p, err);
}

static double element(int kind, const void *p, int64_t i) {
  float v;
  if (kind == CASE_BF16) return (double)bf16_float(((const uint16_t *)p)[i]);
  if (kind == CASE_I32) return (double)((const int32_t *)p)[i];
  memcpy(&v, (const uint8_t *)p + 4 * i, sizeof v);
  return (double)v;
}

/* The elements that are further from what was recorded than they may be; the worst of all, and what is
 * written past the end. */
static bool compare(const Player *p, const CaseLaunch *l, int arg, const uint8_t *got, double *worst) {
  const CaseBuffer *b = &p->f->buffer[l->arg[arg]];
  double tolerance = p->tolerance < 0 ? p->f->tolerance : p->tolerance, most = 0, scale = 0;
  int64_t bad = 0, where = 0;
  static const uint32_t guard = CASE_NAN;
  for (int64_t j = (b->bytes + 255) / 256 * 256; j < (b->bytes + 255) / 256 * 256 + GUARD; j++)
    if (got[j] != ((const uint8_t *)&guard)[j % 4])
      return tell(p, "bad argument %d is written past its end", arg), false;
  if (!(l->checks >> arg & 1)) return true;
  if (b->kind == CASE_BF16) tolerance += 0x1p-7;
  for (int64_t i = 0; i < b->count; i++) scale = fmax(scale, fabs(element(b->kind, b->want, i)));
  if (scale > 1 || l->cancels) scale = 1;
  for (int64_t i = 0; i < b->count; i++) {
    double g = element(b->kind, got, i), w = element(b->kind, b->want, i);
    double off = g == w || (isnan(g) && isnan(w)) ? 0 : fabs(g - w) / (scale + fabs(w));
    bad += !(off <= tolerance);
    if (!(off <= most)) most = isnan(off) ? INFINITY : off, where = i;
  }
  if (most > *worst) *worst = most;
  if (!bad) return true;
  tell(p, "bad argument %d: %lld of %lld elements, the worst is element %lld: %.9g, expected %.9g", arg,
       (long long)bad, (long long)b->count, (long long)where, element(b->kind, got, where),
       element(b->kind, b->want, where));
  return false;
}

static bool reads_what_it_writes(const CaseLaunch *l) {
  for (int i = 0; i < l->nargs; i++)
    for (int j = 0; j < l->nargs; j++)
      if (l->writes >> i & 1 && !(l->writes >> j & 1) && l->arg[i] == l->arg[j]) return true;
  return false;
}

/* false: no further calls are of use. */
static bool play(const Player *p, const CaseLaunch *l, char err[ERR_MAX]) {
  uint8_t *got[NETC_MAX_ARGS] = {0}, *again = NULL;
  bool good = true, same = true, ok = set_reads(p, l, err) && launch(p, l, err);
  double worst = 0;
  for (int i = 0; ok && i < l->nargs; i++) {
    const CaseBuffer *b = &p->f->buffer[l->arg[i]];
    if (!(l->writes >> i & 1)) continue;
    got[i] = malloc((size_t)b->bytes + 512 + GUARD);
    ok = fetch(p, b, got[i], err);
    good = ok && compare(p, l, i, got[i], &worst) && good;
  }
  if (ok && !reads_what_it_writes(l)) ok = launch(p, l, err);
  for (int i = 0; ok && i < l->nargs; i++) {
    if (!got[i] || reads_what_it_writes(l)) continue;
    const CaseBuffer *b = &p->f->buffer[l->arg[i]];
    again = malloc((size_t)b->bytes + 512 + GUARD);
    ok = fetch(p, b, again, err);
    if (ok && same && memcmp(got[i], again, (size_t)b->bytes)) {
      same = false;
      tell(p, "bad argument %d has other bits when the launch runs again: a race", i);
    }
    free(again);
  }
  for (int i = 0; i < l->nargs; i++) free(got[i]);
  if (ok) tell(p, "done %.3g", good && same ? worst : -1.0);
  return ok;
}

/* ---- the process that runs them ---- */

static bool start_fn(Player *p, CaseFn *f, char err[ERR_MAX]) {
  p->f = f;
  uint32_t *nan = malloc((size_t)f->bytes + 64);
  for (int64_t i = 0; i < f->bytes / 4; i++) nan[i] = CASE_NAN;
  memcpy((uint8_t *)nan + f->bytes, &f->step, sizeof f->step);
  gpu_free(&p->gpu, &p->arena);
  bool ok = gpu_alloc(&p->gpu, f->bytes + 64, f->name, &p->arena, err) &&
            send(p, 0, nan, f->bytes + (int64_t)sizeof f->step, err);
  for (int i = 0; i < f->nbuffer; i++) f->buffer[i].clean = f->buffer[i].missing = false;
  free(nan);
  return ok;
}

/* All codes at once, or, where one is refused, each by itself. */
static void load(Player *p, char err[ERR_MAX]) {
  const NetcDevice *d = &p->c->device;
  bool *wanted = malloc((size_t)d->ncodes + 1);
  Pool *pool = pool_new(0, err);
  bool *used = calloc((size_t)d->ncodes + 1, sizeof *used);
  for (const CaseFn *f = p->c->fn; f < p->c->fn + p->c->nfn; f++)
    for (int l = 0; l < f->nlaunch; l++) used[f->launch[l].code] = !p->c->spoilt[f->launch[l].code];
  memcpy(wanted, used, (size_t)d->ncodes);
  if (pool && !gpu_load(&p->gpu, pool, wanted, &p->code, p->c->path, err))
    for (int i = 0; i < d->ncodes; i++) {
      memset(wanted, 0, (size_t)d->ncodes);
      wanted[i] = used[i];
      if (wanted[i] && !p->code.entry[i] && !gpu_load(&p->gpu, pool, wanted, &p->code, p->c->path, err))
        tell(p, "refused %d %s", i, err);
    }
  pool_free(pool);
  free(wanted), free(used);
}

/* Is the launch left out: its code, or what it reads, is not to be had? */
static bool left_out(const Player *p, const CaseLaunch *l) {
  bool out = !l->tasks || p->c->spoilt[l->code] || !p->code.entry[l->code];
  for (int i = 0; i < l->nargs; i++) out |= !(l->writes >> i & 1) && p->f->buffer[l->arg[i]].missing;
  for (int i = 0; i < l->nargs; i++)
    if (l->writes >> i & 1)
      p->f->buffer[l->arg[i]].missing = out && p->f->buffer[l->arg[i]].kind == CASE_WORKSPACE;
  return out;
}

/* What launches before number `first` left in workspace. */
static bool make_workspace(const Player *p, int first, char err[ERR_MAX]) {
  for (const CaseLaunch *l = p->f->launch; l < p->f->launch + first; l++) {
    bool some = false;
    for (int i = 0; i < l->nargs; i++)
      some |= l->writes >> i & 1 && p->f->buffer[l->arg[i]].kind == CASE_WORKSPACE;
    if (left_out(p, l) || !some) continue;
    if (!set_reads(p, l, err) || !launch(p, l, err)) return false;
  }
  return true;
}

static int run_player(Player *p, int device, int fn, int first, char err[ERR_MAX]) {
  if (!gpu_open(&p->gpu, device, err)) return tell(p, "stop %s", err), 1;
  tell(p, "device %s", p->gpu.name);
  if (!gpu_code_new(&p->code, &p->c->device, err) ||
      !GPU(&p->gpu, err, cuStreamCreate, &p->stream, CU_NON_BLOCKING))
    return tell(p, "stop %s", err), 1;
  load(p, err);
  tell(p, "loaded %s", "all");
  for (; fn < p->c->nfn; fn++, first = 0) {
    if (!start_fn(p, &p->c->fn[fn], err)) return tell(p, "stop %s", err), 1;
    if (!make_workspace(p, first, err)) return tell(p, "stop %s", err), 1;
    for (int l = first; l < p->f->nlaunch; l++) {
      const CaseLaunch *x = &p->f->launch[l];
      if (left_out(p, x)) continue;
      int sm = gpu_family(&p->gpu, &p->c->text[x->code]);
      tell(p, "start %d %d %s", fn, l, gpu_family_name((NetcSm)sm));
      if (!play(p, x, err)) return tell(p, "fault %s", err), 1;
    }
  }
  tell(p, "end %s", "");
  return 0;
}

/* ---- the process that waits for it ---- */

typedef struct {
  int device, hang;
  double tolerance;
  FILE *json;
  const char *name; /* of the file */
  Cases *c;
  int fn, launch; /* that was begun last */
  char family[16], line[LINE], gpu[128];
  int launches, bad, faults, refused, per_family[NETC_SM_COUNT];
  double worst;
  bool running, told; /* a launch; something bad of it */
  int said;           /* lines about this file */
} Waiter;

enum { MOST_SAID = 40 };

static void report(Waiter *w, const char *what, const char *text) {
  const CaseFn *f = &w->c->fn[w->fn];
  const CaseLaunch *l = &f->launch[w->launch];
  if (w->said++ < MOST_SAID)
    printf("  %s %s, launch %d of %s, %s: %s\n", what, l->kernel, w->launch, f->name, w->family, text);
  if (!w->json) return;
  fprintf(w->json,
          "{\"file\": \"%s\", \"what\": \"%s\", \"function\": \"%s\", \"launch\": %d, \"kernel\": \"%s\", "
          "\"family\": \"%s\", \"text\": \"%s\"}\n",
          w->name, what, f->name, w->launch, l->kernel, w->family, text);
}

static void count_family(Waiter *w) {
  for (int sm = 0; sm < NETC_SM_COUNT; sm++)
    if (!strcmp(w->family, gpu_family_name((NetcSm)sm))) w->per_family[sm]++;
}

/* true: the other process has ended as it should. */
static bool take_line(Waiter *w, char *line) {
  double worst;
  int code;
  if (sscanf(line, "start %d %d %15s", &w->fn, &w->launch, w->family) == 3) {
    w->running = true, w->told = false, w->launches++;
    count_family(w);
  } else if (sscanf(line, "done %lf", &worst) == 1) {
    w->running = false;
    w->bad += worst < 0;
    if (worst > w->worst) w->worst = worst;
  } else if (!strncmp(line, "bad ", 4)) report(w, "WRONG", line + 4);
  else if (sscanf(line, "refused %d", &code) == 1) {
    w->refused++;
    w->c->spoilt[code] = true;
    printf("  REFUSED %s\n", line + 8);
    if (w->json)
      fprintf(w->json, "{\"file\": \"%s\", \"what\": \"REFUSED\", \"text\": \"%s\"}\n", w->name, line + 8);
  } else if (!strncmp(line, "device ", 7)) snprintf(w->gpu, sizeof w->gpu, "%s", line + 7);
  else if (!strncmp(line, "fault ", 6)) snprintf(w->line, sizeof w->line, "%s", line + 6);
  else if (!strncmp(line, "stop ", 5)) snprintf(w->line, sizeof w->line, "%s", line + 5);
  return !strncmp(line, "end", 3);
}

/* Reads lines until the other process ends, or is silent for too long. */
static bool listen_to(Waiter *w, int in, pid_t child) {
  char text[2 * LINE];
  size_t n = 0;
  bool ended = false;
  struct pollfd fd = {.fd = in, .events = POLLIN};
  for (;;) {
    int some = poll(&fd, 1, 1000 * (w->running ? w->hang : LOAD_SECONDS));
    if (some == 0) {
      snprintf(w->line, sizeof w->line, "no end after %d s", w->running ? w->hang : LOAD_SECONDS);
      kill(child, SIGKILL);
    }
    ssize_t got = read(in, text + n, sizeof text - 1 - n);
    if (got <= 0) return ended;
    n += (size_t)got;
    for (char *end; (end = memchr(text, '\n', n)); n -= (size_t)(end + 1 - text), memmove(text, end + 1, n)) {
      *end = 0;
      ended |= take_line(w, text);
    }
  }
}

/* Launches from (fn, first) on, in a process of their own. true: there is nothing more to do. */
static bool run_some(Waiter *w, int fn, int first) {
  int end[2], status;
  char err[ERR_MAX] = "";
  if (pipe(end)) return perror("pipe"), true;
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    close(end[0]);
    Player p = {.c = w->c, .tolerance = w->tolerance, .out = end[1]};
    _exit(run_player(&p, w->device, fn, first, err));
  }
  close(end[1]);
  w->running = false, w->line[0] = 0;
  bool ended = child < 0 || listen_to(w, end[0], child);
  close(end[0]);
  if (child > 0) waitpid(child, &status, 0);
  return ended;
}

static bool run_file(Waiter *w) {
  int fn = 0, first = 0, restarts = 0;
  while (!run_some(w, fn, first)) {
    if (!w->running || ++restarts > MOST_RESTARTS) {
      printf("  STOPPED %s\n", w->line[0] ? w->line : "the process ended without a word");
      if (w->json)
        fprintf(w->json, "{\"file\": \"%s\", \"what\": \"STOPPED\", \"text\": \"%s\"}\n", w->name, w->line);
      w->faults++;
      break;
    }
    w->faults++;
    report(w, "FAULT", w->line[0] ? w->line : "the process ended without a word");
    w->c->spoilt[w->c->fn[w->fn].launch[w->launch].code] = true;
    fn = w->fn, first = w->launch + 1;
  }
  if (w->said > MOST_SAID) printf("  and %d lines more\n", w->said - MOST_SAID);
  return !w->bad && !w->faults && !w->refused;
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool replay(const Waiter *options, const char *path) {
  char err[ERR_MAX] = "";
  Cases c;
  Waiter w = *options;
  const char *slash = strrchr(path, '/');
  double start = seconds();
  w.name = slash ? slash + 1 : path, w.c = &c;
  if (!read_cases(&c, path, err)) return printf("%s\n", err), cases_free(&c), false;
  bool good = run_file(&w);
  printf("%s %s on %s: %d launches (%d sm_75, %d sm_80, %d sm_90a), %d wrong, %d faults, %d codes refused; "
         "largest "
         "difference of the others %.2g; %.1f s\n",
         good ? "ok  " : "FAIL", w.name, w.gpu, w.launches, w.per_family[0], w.per_family[1], w.per_family[2],
         w.bad, w.faults, w.refused, w.worst, seconds() - start);
  if (w.json)
    fprintf(w.json,
            "{\"file\": \"%s\", \"what\": \"%s\", \"launches\": %d, \"sm_75\": %d, \"sm_80\": %d, "
            "\"sm_90a\": %d, "
            "\"wrong\": %d, \"faults\": %d, \"refused\": %d, \"largest\": %.3g, \"seconds\": %.1f}\n",
            w.name, good ? "ok" : "FAIL", w.launches, w.per_family[0], w.per_family[1], w.per_family[2],
            w.bad, w.faults, w.refused, w.worst, seconds() - start);
  fflush(NULL);
  cases_free(&c);
  return good;
}

int main(int argc, char **argv) {
  Waiter w = {.hang = 20, .tolerance = -1};
  double most = 1e9, start = seconds();
  int i = 1;
  bool good = true;
  for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
    const char *v = argv[i + 1];
    if (!strcmp(argv[i], "--device")) w.device = atoi(v);
    else if (!strcmp(argv[i], "--seconds")) most = atof(v);
    else if (!strcmp(argv[i], "--hang")) w.hang = atoi(v);
    else if (!strcmp(argv[i], "--tolerance")) w.tolerance = atof(v);
    else if (!strcmp(argv[i], "--json")) w.json = fopen(v, "a");
    else break;
  }
  if (i >= argc || !strncmp(argv[i], "--", 2)) {
    fprintf(stderr,
            "usage: replay [--device N] [--seconds S] [--hang S] [--tolerance T] [--json FILE] CASES ..\n");
    return 2;
  }
  for (; i < argc; i++) {
    if (seconds() - start > most) {
      printf("LATE %s and what follows it: %.0f s are over\n", argv[i], most);
      good = false;
      break;
    }
    good = replay(&w, argv[i]) && good;
  }
  if (w.json) fclose(w.json);
  return good ? 0 : 1;
}
