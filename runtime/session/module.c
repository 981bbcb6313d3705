/* module.c - opening a module: is the file whole, is it a module, does it speak our ABI, are its tables
 * sound, which of its instruction sets does this machine run. dlopen itself trusts a file's headers (a
 * truncated one ends in SIGBUS), so the ELF headers are checked against the file's length first. */
#include <dlfcn.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "codegen/isa.h"
#include "runtime/base/array.h"
#include "runtime/base/augment.h"
#include "runtime/session/module.h"
#include "runtime/session/prepare.h"
#include "runtime/session/validation.h"

const char *isa_name(NetcIsa isa) {
  static const char *const name[NETC_ISA_COUNT] = {"avx2", "avx512", "avx512_bf16"};
  return name[isa];
}

static bool read_at(FILE *f, uint64_t offset, void *dst, size_t n) {
  return fseek(f, (long)offset, SEEK_SET) == 0 && fread(dst, 1, n, f) == n;
}

/* Do all segments and the section table lie inside the file? */
static bool check_elf(FILE *f, const char *path, char err[ERR_MAX]) {
  if (fseek(f, 0, SEEK_END) != 0) return err_sys(err, "%s: cannot read", path);
  uint64_t size = (uint64_t)ftell(f);
  Elf64_Ehdr h;
  if (!read_at(f, 0, &h, sizeof h) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
    return err_set(err, "%s is not a module: make one with `netc FILE.net -o OUT.so`", path);
  if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_machine != EM_X86_64 || h.e_type != ET_DYN)
    return err_set(err, "%s is not a shared object for x86-64: make a module with `netc FILE.net -o OUT.so`",
                   path);
  uint64_t end = h.e_shoff + (uint64_t)h.e_shnum * h.e_shentsize;
  bool whole = h.e_phentsize == sizeof(Elf64_Phdr) && end <= size && h.e_shoff <= size;
  for (int i = 0; whole && i < h.e_phnum; i++) {
    Elf64_Phdr p;
    whole = read_at(f, h.e_phoff + (uint64_t)i * sizeof p, &p, sizeof p) && p.p_offset <= size &&
            p.p_filesz <= size - p.p_offset;
  }
  if (!whole)
    return err_set(err, "%s is cut short (%llu bytes): compile it again", path, (unsigned long long)size);
  return true;
}

static bool check_array(const NetcModule *d, const NetcArray *a, const char *what, char err[ERR_MAX]) {
  if (!a->name) return err_set(err, "a nameless %s", what);
  if (a->dtype != NETC_F32 && a->dtype != NETC_I32)
    return err_set(err, "%s %s has an unknown type", what, a->name);
  if (a->rank < 0 || a->rank > NETC_MAX_RANK)
    return err_set(err, "%s %s has %d axes", what, a->name, a->rank);
  unsigned seen = 0;
  int64_t bytes = 4;
  for (int i = 0; i < a->rank; i++) {
    if (a->dim[i] < 1 || a->dim[i] > d->arena_bytes || bytes > d->arena_bytes / a->dim[i])
      return err_set(err, "%s %s does not fit the arena", what, a->name);
    bytes *= a->dim[i];
    if (a->order[i] < a->rank) seen |= 1u << a->order[i];
  }
  if (seen != (1u << a->rank) - 1) return err_set(err, "%s %s has no valid order of axes", what, a->name);
  if (a->offset < 0 || a->offset % 4 || a->bytes < bytes || a->offset > d->arena_bytes - a->bytes)
    return err_set(err, "%s %s lies outside the arena", what, a->name);
  return true;
}

static bool check_fn(const NetcModule *d, const NetcFn *f, char err[ERR_MAX]) {
  if (f->working < 0 || f->working > d->arena_bytes - d->variable_bytes || f->scratch < 0)
    return err_set(err, "a function that works outside the arena");
  if (!f->name || f->ninputs < 0 || f->noutputs < 0 || f->nlaunches < 0 || (f->ninputs && !f->inputs) ||
      (f->noutputs && !f->outputs) || (f->nlaunches && !f->launches))
    return err_set(err, "a function without name or tables");
  for (int i = 0; i < f->ninputs; i++)
    if (!check_array(d, &f->inputs[i], "input", err)) return false;
  for (int i = 0; i < f->noutputs; i++)
    if (!check_array(d, &f->outputs[i], "output", err)) return false;
  for (int i = 0; i < f->nlaunches; i++) {
    const NetcLaunch *l = &f->launches[i];
    if (l->kernel < 0 || l->kernel >= d->nkernels || l->nargs < 0 || l->nargs > NETC_MAX_ARGS || l->arg < 0 ||
        l->tasks < 0 || l->place < -1 || l->place >= d->nplaces || (l->nargs && !f->args))
      return err_set(err, "launch %d of %s is broken", i, f->name);
    for (int k = 0; k < l->nargs; k++)
      if (f->args[l->arg + k] < 0 || f->args[l->arg + k] >= d->arena_bytes)
        return err_set(err, "launch %d of %s works outside the arena", i, f->name);
  }
  return true;
}

static bool check_stream(const NetcModule *d, const NetcStream *s, char err[ERR_MAX]) {
  if (!s->name || s->nfields < 0 || (s->nfields && !s->fields))
    return err_set(err, "a stream without name or fields");
  if (!augments_valid(s->augments, s->naugments) || !augments_valid(s->strong, s->nstrong) ||
      !(s->foreground >= 0 && s->foreground <= 1))
    return err_set(err, "stream %s has augmentations that cannot be", s->name);
  for (int i = 0; i < s->nfields; i++) {
    bool found = false;
    for (int k = 0; k < d->nfns && !found; k++)
      found = d->fns[k].kind == NETC_FN_TRAIN && s->fields[i].input >= 0 &&
              s->fields[i].input < d->fns[k].ninputs;
    if (!found || !s->fields[i].name) return err_set(err, "stream %s has a field without an input", s->name);
  }
  return true;
}

/* What the host hands over and gets back are the same arrays on a GPU, at other offsets. */
static bool same_arrays(const NetcArray *a, const NetcArray *b, int n) {
  for (int i = 0; i < n; i++)
    if (strcmp(a[i].name, b[i].name) != 0 || a[i].dtype != b[i].dtype || a[i].rank != b[i].rank ||
        a[i].bytes != b[i].bytes || memcmp(a[i].dim, b[i].dim, sizeof *a->dim * (size_t)a[i].rank) != 0 ||
        memcmp(a[i].order, b[i].order, (size_t)a[i].rank) != 0)
      return false;
  return true;
}

/* The functions again, in the device's arena and of its kernels. */
static bool check_device(const NetcModule *d, char err[ERR_MAX]) {
  const NetcDevice *g = d->device;
  if (!g) return true;
  if (g->ncodes < 0 || g->nkernels < 0 || g->ntexts < 0 || g->nfills < 0 || (g->nfills && !g->fills) ||
      (g->ntexts && !g->texts) || (g->ncodes && !g->codes) || (g->nkernels && !g->kernels) ||
      (d->nfns && !g->fns) || g->arena_bytes < d->variable_bytes)
    return err_set(err, "a table for GPUs is missing");
  for (int i = 0; i < g->ncodes; i++) {
    const NetcDeviceCode *c = &g->codes[i];
    if (!c->entry || c->threads < 1 || c->threads > 1024 || c->tasks < 1 || c->shared < 0 ||
        c->static_shared < 0 || c->text < 0 || c->text >= g->ntexts || c->nparams < 0 ||
        c->nparams > NETC_MAX_PARAMS)
      return err_set(err, "code %d for GPUs is broken", i);
  }
  for (int i = 0; i < g->nkernels; i++)
    if (!g->kernels[i].name || !g->kernels[i].op || g->kernels[i].code < 0 ||
        g->kernels[i].code >= g->ncodes || (g->codes[g->kernels[i].code].nparams && !g->kernels[i].params))
      return err_set(err, "kernel %d for GPUs is broken", i);
  for (int i = 0; i < g->nfills; i++) {
    const NetcDeviceFill *x = &g->fills[i];
    if (x->stream < 0 || x->stream >= d->nstreams || x->field < 0 ||
        x->field >= d->streams[x->stream].nfields || x->kernel < 0 || x->kernel >= g->nkernels ||
        x->tasks < 0 || x->tasks > INT32_MAX)
      return err_set(err, "fill %d for GPUs is broken", i);
  }
  NetcModule there = *d;
  there.arena_bytes = g->arena_bytes, there.nkernels = g->nkernels;
  for (int i = 0; i < d->nfns; i++) {
    const NetcFn *f = &g->fns[i], *h = &d->fns[i];
    if (!check_fn(&there, f, err)) return false;
    if (f->ninputs != h->ninputs || f->noutputs != h->noutputs ||
        !same_arrays(f->inputs, h->inputs, h->ninputs) || !same_arrays(f->outputs, h->outputs, h->noutputs))
      return err_set(err, "%s is another function on GPUs", h->name);
  }
  return true;
}

bool module_check(const NetcModule *d, char err[ERR_MAX]) {
  if (d->nvars < 0 || d->nnets < 0 || d->nkernels < 0 || d->nfns < 0 || d->nstreams < 0 ||
      (d->nvars && !d->vars) || (d->nnets && !d->nets) || (d->nkernels && !d->kernels) ||
      (d->nfns && !d->fns) || (d->nstreams && !d->streams) || d->nplaces < 0 || (d->nplaces && !d->places))
    return err_set(err, "a table is missing");
  if (d->arena_bytes < 0 || d->variable_bytes < 0 || d->variable_bytes > d->arena_bytes)
    return err_set(err, "the arena's size makes no sense");
  for (int i = 0; i < d->nvars; i++) {
    if (!check_array(d, &d->vars[i].array, "variable", err)) return false;
  }
  for (int i = 0; i < d->nvars; i++) {
    if (d->vars[i].init == NETC_INIT_COPY && (!d->vars[i].init_from || !var_origin(d, &d->vars[i])))
      return err_set(err, "variable %s copies nothing", d->vars[i].array.name);
  }
  for (int i = 0; i < d->nnets; i++)
    if (!d->nets[i].name) return err_set(err, "a nameless network");
  for (int i = 0; i < d->nkernels; i++)
    if (!d->kernels[i].name || !d->kernels[i].op) return err_set(err, "a nameless kernel");
  for (int64_t i = 0; i < d->nplaces; i++)
    if (!d->places[i].file || d->places[i].caller < -1 || d->places[i].caller >= i)
      return err_set(err, "a place without file, or called from below");
  for (int i = 0; i < d->nfns; i++)
    if (!check_fn(d, &d->fns[i], err)) return false;
  for (int i = 0; i < d->nstreams; i++)
    if (!check_stream(d, &d->streams[i], err)) return false;
  return prepare_check(d, err) && validation_check(d, err) && check_device(d, err);
}

static bool module_has(const NetcModule *d, NetcIsa isa) {
  for (int i = 0; i < d->nkernels; i++)
    if (!d->kernels[i].code[isa]) return false;
  return true;
}

static bool choose_isa(Module *m, char err[ERR_MAX]) {
  const char *want = getenv("NETRUN_ISA");
  int named = NETC_ISA_COUNT;
  while (want && *want && --named >= 0)
    if (strcmp(want, isa_name((NetcIsa)named)) == 0) break;
  if (named < 0) return err_set(err, "NETRUN_ISA is `%s`; it can be avx2, avx512 or avx512_bf16", want);
  for (int isa = NETC_ISA_COUNT - 1; isa >= 0; isa--) {
    if (named < NETC_ISA_COUNT && named != isa) continue;
    if (!netc_machine_runs(isa) || !module_has(m->desc, isa)) continue;
    m->isa = isa;
    return true;
  }
  if (!netc_machine_runs(NETC_ISA_AVX2))
    return err_set(err, "%s needs a CPU with AVX2 and FMA (x86-64-v3), which this one lacks", m->path);
  if (want && *want)
    return err_set(err, "NETRUN_ISA=%s, but %s", want,
                   netc_machine_runs((NetcIsa)named) ? "the module has no code for it"
                                                     : "this CPU does not run it");
  return err_set(err, "%s has no code for this CPU: compile it again with --target host", m->path);
}

/* A module's query answers to its own version alone. 0: to none that there may be. */
static uint32_t version_of(NetcQueryFn fn) {
  enum { MOST_VERSIONS = 1000 };
  for (uint32_t v = 1; v <= MOST_VERSIONS; v++)
    if (fn(v)) return v;
  return 0;
}

static bool query(Module *m, char err[ERR_MAX]) {
  m->handle = dlopen(m->path, RTLD_NOW | RTLD_LOCAL);
  if (!m->handle) return err_set(err, "%s cannot be loaded: %s", m->path, dlerror());
  NetcQueryFn fn;
  void *symbol = dlsym(m->handle, NETC_QUERY_SYMBOL);
  if (!symbol)
    return err_set(err, "%s is a shared object but not a module of netc (it has no %s)", m->path,
                   NETC_QUERY_SYMBOL);
  memcpy(&fn, &symbol, sizeof fn); /* ISO C has no cast from object to function pointer */
  m->desc = fn(NETC_ABI_VERSION);
  if (!m->desc || m->desc->abi_version != NETC_ABI_VERSION || m->desc->struct_bytes != sizeof(NetcModule))
    return err_set(err,
                   "%s comes from another version of netc (it is of module version %u, netrun " NETC_VERSION
                   " reads version %u): compile it again with the netc that belongs to this netrun",
                   m->path, version_of(fn), NETC_ABI_VERSION);
  char why[ERR_MAX];
  if (!module_check(m->desc, why))
    return err_set(err, "%s is damaged (%.300s): compile it again", m->path, why);
  return choose_isa(m, err);
}

Module *module_open(const char *path, char err[ERR_MAX]) {
  FILE *f = fopen(path, "rb");
  if (!f) {
    err_sys(err, "cannot open module %s", path);
    return NULL;
  }
  bool ok = check_elf(f, path, err);
  fclose(f);
  Module *m = ok ? calloc(1, sizeof *m) : NULL;
  if (!m) return NULL;
  m->path = realpath(path, NULL); /* dlopen searches for names without a slash */
  ok = m->path ? query(m, err) : err_sys(err, "cannot open module %s", path);
  if (ok) return m;
  module_close(m);
  return NULL;
}

void module_close(Module *m) {
  if (!m) return;
  if (m->handle) dlclose(m->handle);
  free(m->path);
  free(m);
}

const NetcFn *module_fn(const Module *m, const char *name) {
  for (int i = 0; i < m->desc->nfns; i++)
    if (strcmp(m->desc->fns[i].name, name) == 0) return &m->desc->fns[i];
  return NULL;
}

const NetcFn *module_fn_of_kind(const Module *m, NetcFnKind kind) {
  for (int i = 0; i < m->desc->nfns; i++) {
    const char *name = m->desc->fns[i].name;
    size_t n = strlen(name);
    bool grads = n > 6 && strcmp(name + n - 6, ".grads") == 0;
    if (m->desc->fns[i].kind == (int32_t)kind && !grads) return &m->desc->fns[i];
  }
  return NULL;
}

const NetcFn *module_fn_named(const Module *m, const char *name, char err[ERR_MAX]) {
  const NetcFn *f = module_fn(m, name);
  if (f) return f;
  int n = snprintf(err, ERR_MAX, "%s has no function `%s`; it has", m->path, name);
  for (int i = 0; i < m->desc->nfns && n < ERR_MAX; i++)
    n += snprintf(err + n, (size_t)(ERR_MAX - n), "%s %s", i ? "," : "", m->desc->fns[i].name);
  return NULL;
}

const NetcVar *var_origin(const NetcModule *d, const NetcVar *v) {
  for (int hops = 0; v && v->init == NETC_INIT_COPY && hops <= d->nvars; hops++) {
    const NetcVar *from = NULL;
    for (int i = 0; i < d->nvars; i++)
      if (strcmp(d->vars[i].array.name, v->init_from) == 0) from = &d->vars[i];
    v = from;
  }
  return v && v->init != NETC_INIT_COPY ? v : NULL;
}
