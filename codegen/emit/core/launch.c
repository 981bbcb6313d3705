/* launch.c - what emitters call to declare buffers, kernels and launches (emit.h). */
#include <stdarg.h>
#include <string.h>
#include "codegen/emit/core/emit.h"

/* Half of a large third-level cache, and more than what others of the machine leave of it: what is written to such a value
 * first is gone when the last of it is. */
enum { STREAM_FROM = 12 << 20 };

Emit *emit_new(Arena *a, const Fn *f, const Emit *share) {
  Emit *e = arena_alloc(a, sizeof *e);
  e->arena = a;
  e->stream_from = share ? share->stream_from : STREAM_FROM;
  e->code = share ? share->code : arena_child(a);
  e->fn = f;
  e->machine = share ? share->machine : &machine_host;
  e->node_buffer = arena_alloc(a, sizeof *e->node_buffer * (size_t)(f->n ? f->n : 1));
  for (int i = 0; i < f->n; i++) e->node_buffer[i] = -1;
  e->mark = arena_alloc(a, (size_t)f->n + 1);
  e->storage = storage_of_values(f);
  if (share) e->kernel = share->kernel, e->nkernel = share->nkernel, e->capkernel = share->capkernel;
  return e;
}

static int push_buffer(Emit *e, int node, int64_t bytes) {
  Buffer *b = ARENA_PUSH(e->arena, e->buffer, e->nbuffer, e->capbuffer);
  b->node = node;
  b->bytes = bytes;
  return e->nbuffer - 1;
}

int emit_buffer(Emit *e, int node) {
  int owner = e->storage[node].owner;
  if (e->node_buffer[owner] < 0)
    e->node_buffer[owner] = push_buffer(e, owner, type_bytes(e->fn->node[owner].type));
  return e->node_buffer[owner];
}

int emit_workspace(Emit *e, int64_t bytes) { return push_buffer(e, -1, bytes); }
int emit_bf16_workspace(Emit *e, int64_t elements) {
  int buf = push_buffer(e, -1, (2 * elements + 3) / 4 * 4);
  e->buffer[buf].bf16 = true;
  return buf;
}

Build build_begin(Emit *e, const GroupInfo *g, const char *op, const char *fmt, ...) {
  Build b = {.e = e, .g = g};
  va_list ap;
  va_start(ap, fmt);
  b.kernel.name = arena_vprintf(e->arena, fmt, ap);
  va_end(ap);
  b.kernel.op = op;
  b.kernel.work = -1;
  b.launch.node = !g ? -1 : g->anchor >= 0 ? g->anchor : g->nout ? g->out[0] : -1;
  for (int i = 0; i < NETC_MAX_ARGS; i++) b.launch.may_alias[i] = -1;
  return b;
}

int build_arg(Build *b, int buf, bool written) {
  Launch *l = &b->launch;
  int known = build_find_arg(b, buf);
  if (known >= 0) {
    if (written) l->writes |= UINT64_C(1) << known;
    return known;
  }
  if (l->nargs == NETC_MAX_ARGS) {
    snprintf(b->e->err, sizeof b->e->err, "kernel %s needs more than %d arguments; split its group",
             b->kernel.name, NETC_MAX_ARGS);
    return NETC_MAX_ARGS - 1;
  }
  l->arg[l->nargs] = buf;
  if (l->node < 0) l->node = b->e->buffer[buf].node;
  if (written) l->writes |= UINT64_C(1) << l->nargs;
  return l->nargs++;
}

void build_nontemporal(Build *b) { b->stream = true; }

int build_find_arg(const Build *b, int buf) {
  for (int i = 0; i < b->launch.nargs; i++)
    if (b->launch.arg[i] == buf) return i;
  return -1;
}

/* What buffer `buf` holds. */
static KBase arg_base(const Emit *e, int buf) {
  int node = e->buffer[buf].node;
  if (node < 0) return e->buffer[buf].bf16 ? K_BF16 : K_F32;
  DType dt = e->fn->node[node].type.dt;
  return dt == I32 ? K_I32 : dt == BF16 ? K_BF16 : K_F32;
}

/* Sets that may have code of their own: that for bf16 has none for what has nothing to do with bf16. */
static int sets_of(const Build *b) {
  if (b->e->machine->simt) return b->e->machine->isas;
  bool bf16 = b->g && b->g->anchor >= 0 && b->e->fn->node[b->g->anchor].at.bf16;
  for (int i = 0; i < b->launch.nargs; i++) bf16 |= arg_base(b->e, b->launch.arg[i]) == K_BF16;
  return bf16 ? NETC_ISA_COUNT : NETC_ISA_AVX512_BF16;
}

int build_set(const Build *b, int from) {
  unsigned kernels = b->e->machine->kernels;
  int sets = sets_of(b);
  if (sets <= NETC_ISA_AVX512_BF16 && kernels >> NETC_ISA_AVX512_BF16 & 1) kernels |= 1u << NETC_ISA_AVX512;
  for (int isa = from; isa < sets; isa++)
    if (kernels >> isa & 1) return isa;
  return NETC_ISA_COUNT;
}

static KFn *with_arguments(const Build *b, int isa) {
  Emit *e = b->e;
  KFn *k = k_new(e->code, b->kernel.name, e->machine->isa[isa].lanes);
  k->nregs = e->machine->isa[isa].nregs;
  for (int i = 0; i < b->launch.nargs; i++) {
    int node = e->buffer[b->launch.arg[i]].node;
    KV arg =
        k_arg(k, arg_base(e, b->launch.arg[i]), node >= 0 ? arena_printf(e->arena, "n%d", node) : "work");
    bool large = node >= 0 && e->buffer[b->launch.arg[i]].bytes >= e->stream_from;
    if (b->stream && large && b->launch.writes >> i & 1) k_nontemporal(k, arg);
  }
  return k;
}

/* Of the code for the first set that there is code for. */
static uint64_t first_hash(const Kernel *kernel) {
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++)
    if (kernel->hash[isa]) return kernel->hash[isa];
  return 0;
}

KFn *build_kernel(Build *b, int isa) {
  Emit *e = b->e;
  bool first = true;
  for (int i = 0; i < e->machine->isas; i++) first = first && !b->kernel.k[i];
  if (first) b->before = arena_mark(e->code), b->kernels = e->nkernel, e->building++;
  return b->kernel.k[isa] = with_arguments(b, isa);
}

KFn *build_sm90(Build *b) { return b->kernel.k[0]->sm90 = with_arguments(b, 0); }

/* The kernel of the list with the same code for every instruction set, or -1. */
static int find_kernel(const Emit *e, const Kernel *kernel, const uint64_t *hash) {
  for (int i = 0; i < e->nkernel; i++) {
    const Kernel *o = &e->kernel[i];
    bool same = !strcmp(o->op, kernel->op);
    for (int isa = 0; same && isa < e->machine->isas; isa++) same = o->hash[isa] == hash[isa];
    if (same) return i;
  }
  return -1;
}

static bool name_taken(const Emit *e, const char *name) {
  for (int i = 0; i < e->nkernel; i++)
    if (!strcmp(e->kernel[i].name, name)) return true;
  return false;
}

/* An element written over one of another size would lie over its neighbours, which others still read. */
static void keep_same_size(Build *b) {
  Launch *l = &b->launch;
  for (int i = 0; i < l->nargs; i++) {
    int from = l->may_alias[i];
    if (from < 0) continue;
    bool bf16 = arg_base(b->e, l->arg[i]) == K_BF16, was_bf16 = arg_base(b->e, l->arg[from]) == K_BF16;
    if (bf16 != was_bf16) l->may_alias[i] = -1;
  }
}

/* Kernels that read or write bf16 say so in their names, before the hash. */
static const char *name_storage(const Build *b) {
  const char *name = b->kernel.name;
  bool bf16 = false;
  for (int i = 0; i < b->launch.nargs; i++) bf16 |= arg_base(b->e, b->launch.arg[i]) == K_BF16;
  if (!bf16) return name;
  size_t n = strlen(name);
  return arena_printf(b->e->arena, n && name[n - 1] == ':' ? "%sbf16:" : "%s:bf16", name);
}

/* Code that is the same for AVX-512 and does not depend on instructions for bf16 is not compiled again. */
static void drop_bf16_set(Kernel *kernel) {
  enum { SET = NETC_ISA_AVX512_BF16 };
  const KFn *k = kernel->k[SET];
  if (!k || kernel->hash[SET] != kernel->hash[NETC_ISA_AVX512] || kir_uses_bf16(k)) return;
  kernel->k[SET] = NULL;
  kernel->hash[SET] = 0;
}

void build_end(Build *b, int64_t tasks) {
  Emit *e = b->e;
  Kernel *kernel = &b->kernel;
  keep_same_size(b);
  for (int isa = 0; isa < e->machine->isas; isa++) {
    KFn *k = kernel->k[isa];
    if (k && e->machine->simt) {
      int *may_alias = arena_alloc(e->arena, sizeof b->launch.may_alias);
      memcpy(may_alias, b->launch.may_alias, sizeof b->launch.may_alias);
      k->may_alias = may_alias;
      if (k->sm90) k->sm90->may_alias = may_alias;
      if (k->sm90 && k->sm90->err[0] && !k->err[0]) memcpy(k->err, k->sm90->err, sizeof k->err);
    }
    if (k && k->err[0] && !e->err[0]) snprintf(e->err, sizeof e->err, "kernel %s: %s", kernel->name, k->err);
    kernel->hash[isa] = k && !k->err[0] ? kir_hash(k) : 0;
  }
  e->building--;
  if (e->err[0]) return;
  drop_bf16_set(kernel);
  if (kernel->work < 0) kernel->work = kernel->flops;
  b->launch.kernel = find_kernel(e, kernel, kernel->hash);
  if (b->launch.kernel >= 0) {
    if (e->building == 0 && e->nkernel == b->kernels) arena_release(e->code, b->before);
  } else {
    kernel->name = name_storage(b);
    /* A name that ends in ':' asks for the hash of the code; so does one that other code has already. */
    size_t n = strlen(kernel->name);
    bool open = n && kernel->name[n - 1] == ':';
    if (open || name_taken(e, kernel->name))
      kernel->name =
          arena_printf(e->arena, "%s%s%08x", kernel->name, open ? "" : ":", (unsigned)first_hash(kernel));
    for (int isa = 0; isa < e->machine->isas; isa++)
      if (kernel->k[isa]) {
        kernel->k[isa]->name = kernel->name;
        if (kernel->k[isa]->sm90) kernel->k[isa]->sm90->name = kernel->name;
      }
    *ARENA_PUSH(e->arena, e->kernel, e->nkernel, e->capkernel) = *kernel;
    b->launch.kernel = e->nkernel - 1;
  }
  b->launch.tasks = tasks;
  *ARENA_PUSH(e->arena, e->launch, e->nlaunch, e->caplaunch) = b->launch;
}
