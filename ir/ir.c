/* ir.c - the op table as data, types, programs and functions. */
#include "ir/ir.h"
#include <stdarg.h>
#include <string.h>

const OpInfo op_info[OP_COUNT] = {
#define OP(name, min_in, max_in, attrs, cls, cost, shape, grad, form, meaning)                               \
  [OP_##name] = {#name, min_in, max_in, attrs, cls, cost, form, meaning},
#include "ir/ops.def"
};

int op_by_name(const char *name) {
  for (int op = 0; op < OP_COUNT; op++)
    if (!strcmp(op_info[op].name, name)) return op;
  return -1;
}

/* ---- types ---- */

static const int64_t MAX_COUNT = (int64_t)1 << 40; /* elements of one tensor */

static Type type_va(DType dt, int rank, va_list ap) {
  Type t = {.dt = dt, .rank = rank};
  for (int i = 0; i < rank && i < MAX_RANK; i++) t.dim[i] = va_arg(ap, int);
  return t;
}

Type type_f32(int rank, ...) {
  va_list ap;
  va_start(ap, rank);
  Type t = type_va(F32, rank, ap);
  va_end(ap);
  return t;
}

Type type_i32(int rank, ...) {
  va_list ap;
  va_start(ap, rank);
  Type t = type_va(I32, rank, ap);
  va_end(ap);
  return t;
}

Type type_scalar(void) { return (Type){.dt = F32}; }

int64_t type_count(Type t) {
  int64_t n = 1;
  for (int i = 0; i < t.rank; i++) n *= t.dim[i];
  return n;
}

int64_t type_bytes(Type t) { return (t.dt == BF16 ? 2 : 4) * type_count(t); }

Type type_widened(Type t) {
  if (t.dt == BF16) t.dt = F32;
  return t;
}

bool type_valid(Type t) {
  if (t.rank < 0 || t.rank > MAX_RANK || (t.dt != F32 && t.dt != I32 && t.dt != BF16)) return false;
  int64_t n = 1;
  for (int i = 0; i < t.rank; i++) {
    if (t.dim[i] < 1 || t.dim[i] > INT32_MAX || n > MAX_COUNT / t.dim[i]) return false;
    n *= t.dim[i];
  }
  return true;
}

bool shape_eq(Type a, Type b) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; i++)
    if (a.dim[i] != b.dim[i]) return false;
  return true;
}

bool type_eq(Type a, Type b) { return a.dt == b.dt && shape_eq(a, b); }

const char *type_str(Type t, char buf[96]) {
  static const char *const name[] = {[F32] = "f32", [I32] = "i32", [BF16] = "bf16"};
  int at = snprintf(buf, 96, "%s[", name[t.dt]);
  for (int i = 0; i < t.rank && i < MAX_RANK && at < 96; i++)
    at += snprintf(buf + at, (size_t)(96 - at), "%s%lld", i ? "," : "", (long long)t.dim[i]);
  if (at < 95) strcpy(buf + at, "]");
  return buf;
}

unsigned all_axes(Type t) { return (1u << t.rank) - 1; }

unsigned spatial_axes(Type t) { return all_axes(t) & ~3u; }

/* ---- programs ---- */

Program *prog_new(Arena *a) {
  Program *p = arena_alloc(a, sizeof *p);
  p->arena = a;
  p->source = "";
  p->winograd = p->tf32 = true;
  return p;
}

/* Nodes mostly name a variable by the very string it has, so that is looked for first. */
/* The slot of the variable of that name, or the free one where it would be. FNV-1a; the number of slots is a
 * power of 2. */
static size_t var_slot(const Program *p, const char *name) {
  uint32_t h = 2166136261u;
  for (const char *c = name; *c; c++) h = (h ^ (uint8_t)*c) * 16777619u;
  size_t at = h & (p->var_slots - 1);
  while (p->var_slot[at] && strcmp(p->var[p->var_slot[at] - 1].name, name))
    at = (at + 1) & (p->var_slots - 1);
  return at;
}

static void index_vars(Program *p, size_t slots) {
  p->var_slots = slots;
  p->var_slot = arena_alloc(p->arena, slots * sizeof *p->var_slot);
  for (int i = 0; i < p->nvar; i++) p->var_slot[var_slot(p, p->var[i].name)] = i + 1;
}

int prog_find_var(const Program *p, const char *name) {
  return p->var_slots ? p->var_slot[var_slot(p, name)] - 1 : -1;
}

int prog_var(Program *p, Var v) {
  if (prog_find_var(p, v.name) >= 0) return -1;
  bool unordered = true;
  for (int i = 0; i < MAX_RANK; i++) unordered &= v.order[i] == 0;
  for (int i = 0; unordered && i < MAX_RANK; i++) v.order[i] = (uint8_t)i;
  if ((size_t)(p->nvar + 1) * 2 > p->var_slots) index_vars(p, p->var_slots ? 2 * p->var_slots : 64);
  p->var_slot[var_slot(p, v.name)] = p->nvar + 1;
  *ARENA_PUSH(p->arena, p->var, p->nvar, p->capvar) = v;
  return p->nvar - 1;
}

int prog_net(Program *p, const char *name) {
  for (int i = 0; i < p->nnet; i++)
    if (!strcmp(p->net[i].name, name)) return i;
  *ARENA_PUSH(p->arena, p->net, p->nnet, p->capnet) = (NetInfo){.name = arena_strdup(p->arena, name)};
  return p->nnet - 1;
}

static Fn *fn_make(Program *p, const char *name, FnKind kind) {
  Fn *f = arena_alloc(p->arena, sizeof *f);
  f->name = name;
  f->kind = kind;
  f->prog = p;
  return f;
}

Fn *fn_new(Program *p, const char *name, FnKind kind) {
  Fn *f = fn_make(p, arena_strdup(p->arena, name), kind);
  *ARENA_PUSH(p->arena, p->fn, p->nfn, p->capfn) = f;
  return f;
}

Fn *fn_like(const Fn *f) { return fn_make(f->prog, f->name, f->kind); }

Fn *prog_find_fn(const Program *p, const char *name) {
  for (int i = 0; i < p->nfn; i++)
    if (!strcmp(p->fn[i]->name, name)) return p->fn[i];
  return NULL;
}

void fn_store(Fn *f, int var, int node) {
  *ARENA_PUSH(f->prog->arena, f->store, f->nstore, f->capstore) = (Store){var, node};
}

void fn_output(Fn *f, const char *name, int node) {
  *ARENA_PUSH(f->prog->arena, f->out, f->nout, f->capout) =
      (Output){arena_strdup(f->prog->arena, name), node};
}

/* Elements of the kernel window: the product of the extents from axis 2 on. */
static int64_t window(Type t) {
  int64_t k = 1;
  for (int i = 2; i < t.rank; i++) k *= t.dim[i];
  return k;
}

int64_t node_macs(const Fn *f, const Node *n) {
  if (op_info[n->op].cls != CON) return 0;
  Type a = f->node[n->in[0]].type, b = f->node[n->in[1]].type, out = n->type;
  switch (n->op) {
  case OP_conv: return type_count(out) * b.dim[1] * window(b);
  case OP_conv_dx: return type_count(a) * b.dim[1] * window(b);
  case OP_conv_dw: return type_count(b) * out.dim[1] * window(out);
  case OP_dwconv: return type_count(out) * window(b);
  case OP_dwconv_dx: return type_count(a) * window(b);
  case OP_dwconv_dw: return type_count(b) * window(out);
  case OP_matmul: return type_count(a) * (type_count(b) / b.dim[0]);
  case OP_inner: return type_count(a) * b.dim[0];
  default: return 0;
  }
}

const ConvGeom geom_unit = {.stride = {1, 1, 1}};

bool geom_is_pointwise(const ConvGeom *g, const int64_t *k, int n) {
  for (int i = 0; i < n; i++)
    if (k[i] != 1 || g->stride[i] != geom_unit.stride[i] || g->pad[i] != geom_unit.pad[i]) return false;
  return true;
}

bool node_is_pointwise(const Fn *f, const Node *n) {
  bool dw = n->op == OP_conv_dw || n->op == OP_dwconv_dw;
  const Type *w = dw ? &n->type : &f->node[n->in[1]].type;
  return geom_is_pointwise(&n->at.geom, w->dim + 2, w->rank - 2);
}

/* Pairs of a pixel of y and a tap that meet a pixel of x, on one axis. */
static int64_t meetings(int64_t x, int64_t y, int64_t taps, const ConvGeom *g, int axis) {
  int64_t n = 0, stride = g->stride[axis], pad = g->pad[axis];
  for (int64_t t = 0; t < taps; t++)
    for (int64_t i = 0; i < y; i++) n += i * stride + t >= pad && i * stride + t < pad + x;
  return n;
}

int64_t node_macs_inside(const Fn *f, const Node *n) {
  int64_t macs = node_macs(f, n);
  if (!macs || n->op == OP_matmul || n->op == OP_inner) return macs;
  Type a = f->node[n->in[0]].type, b = f->node[n->in[1]].type, x = a, y = n->type, w = b;
  if (n->op == OP_conv_dx || n->op == OP_dwconv_dx) x = n->type, y = a;
  if (n->op == OP_conv_dw || n->op == OP_dwconv_dw) y = b, w = n->type;
  for (int i = 2; i < y.rank; i++)
    macs = macs / (y.dim[i] * w.dim[i]) * meetings(x.dim[i], y.dim[i], w.dim[i], &n->at.geom, i - 2);
  return macs;
}
