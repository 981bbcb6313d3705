/* interp.c - the reference interpreter: binds names to data, runs the kernels in order, rounds, commits
 * stores. */
#include "ir/interp/ref.h"
#include "ir/bf16.h"
#include "ir/philox.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const char *name;
  int64_t count;
  double *data;
} Binding;

struct Interp {
  const Fn *f;
  InterpMode mode;
  uint64_t seed, iteration;
  double **value; /* per node; NULL until the first run */
  Binding *bound;
  int nbound;
};

static RefKernel *const kernel_of[OP_COUNT] = {
#define REF_LEAF(name)                            ref_##name
#define REF_EW(name)                              ref_elementwise
#define REF_RED(name)                             ref_##name
#define REF_COMP(name)                            ref_##name
#define REF_CON(name)                             ref_##name
#define REF_MOVE(name)                            ref_##name
#define REF_META(name)                            NULL
#define OP(name, min_in, max_in, attrs, cls, ...) [OP_##name] = REF_##cls(name),
#include "ir/ops.def"
};

/* ---- leaves ---- */

void ref_const(double *out, const Ref *r) {
  for (int64_t i = 0; i < type_count(r->type); i++) out[i] = r->value;
}

void ref_var(double *out, const Ref *r) { memcpy(out, r->bound, (size_t)type_count(r->type) * sizeof *out); }

void ref_input(double *out, const Ref *r) { ref_var(out, r); }

void ref_iota(double *out, const Ref *r) {
  for (int64_t i = 0; i < type_count(r->type); i++) out[i] = (double)i; /* every other extent is 1 */
}

void ref_rand(double *out, const Ref *r) {
  for (int64_t i = 0; i < type_count(r->type); i++) {
    uint32_t x[4];
    philox_at(x, r->seed, r->iteration, (uint64_t)r->at->site, (uint64_t)i);
    double u1 = ((x[0] >> 8) + 1) * 0x1p-24, u2 = (x[1] >> 8) * 0x1p-24;
    out[i] = r->at->mode ? sqrt(-2 * log(u1)) * cos(6.283185307179586 * u2) : (x[0] >> 8) * 0x1p-24;
  }
}

/* ---- binding ---- */

static Binding *find_binding(const Interp *in, const char *name) {
  for (int i = 0; i < in->nbound; i++)
    if (!strcmp(in->bound[i].name, name)) return &in->bound[i];
  return NULL;
}

/* The input or variable of this name that the function reads or stores: its type, and the name as the
 * function holds it; NULL = none. */
static const char *find_name(const Fn *f, const char *name, Type *t) {
  for (int i = 0; i < f->n; i++) {
    const Node *n = &f->node[i];
    if ((n->op == OP_var || n->op == OP_input) && !strcmp(n->at.sym, name)) return *t = n->type, n->at.sym;
  }
  for (int i = 0; i < f->nstore; i++) {
    const Var *v = &f->prog->var[f->store[i].var];
    if (!strcmp(v->name, name)) return *t = v->type, v->name;
  }
  return NULL;
}

bool interp_bind(Interp *in, const char *name, const double *data) {
  Type t;
  name = find_name(in->f, name, &t);
  if (!name) return false;
  Binding *b = find_binding(in, name);
  if (!b) {
    Binding *more = realloc(in->bound, (size_t)(in->nbound + 1) * sizeof *more);
    double *copy = malloc((size_t)type_count(t) * sizeof *copy);
    if (more) in->bound = more;
    if (!more || !copy) return free(copy), false;
    b = &in->bound[in->nbound++];
    *b = (Binding){name, type_count(t), copy};
  }
  memmove(b->data, data, (size_t)b->count * sizeof *data);
  return true;
}

const double *interp_bound(const Interp *in, const char *name) {
  const Binding *b = find_binding(in, name);
  return b ? b->data : NULL;
}

/* ---- life ---- */

Interp *interp_new(const Fn *f, InterpMode mode) {
  Interp *in = calloc(1, sizeof *in);
  if (!in) return NULL;
  in->f = f;
  in->mode = mode;
  in->value = calloc((size_t)f->n + 1, sizeof *in->value);
  if (in->value) return in;
  free(in);
  return NULL;
}

void interp_free(Interp *in) {
  if (!in) return;
  for (int i = 0; i < in->f->n; i++) free(in->value[i]);
  for (int i = 0; i < in->nbound; i++) free(in->bound[i].data);
  free(in->value);
  free(in->bound);
  free(in);
}

void interp_step(Interp *in, uint64_t seed, uint64_t iteration) {
  in->seed = seed;
  in->iteration = iteration;
}

/* ---- running ---- */

static void round_result(double *out, Type t, InterpMode mode) {
  int64_t n = type_count(t);
  if (t.dt == I32)
    for (int64_t i = 0; i < n; i++)
      out[i] = isfinite(out[i]) ? (int32_t)(uint32_t)(int64_t)fmod(out[i], 0x1p32) : 0;
  else if (mode == INTERP_F32)
    for (int64_t i = 0; i < n; i++) out[i] = t.dt == BF16 ? bf16_round((float)out[i]) : (float)out[i];
}

/* The operands of a contraction with bf16=1, rounded: copies, to be freed. false: no memory. */
static bool round_operands(Ref *r, double *copy[MAX_IN]) {
  for (int i = 0; i < r->nin; i++) {
    int64_t n = type_count(r->in_type[i]);
    if (!(copy[i] = malloc((size_t)n * sizeof *copy[i]))) return false;
    for (int64_t k = 0; k < n; k++) copy[i][k] = bf16_round((float)r->in[i][k]);
    r->in[i] = copy[i];
  }
  return true;
}

static bool run_node(Interp *in, int id, char *err) {
  const Fn *f = in->f;
  const Node *n = &f->node[id];
  size_t size = (size_t)type_count(n->type) * sizeof **in->value;
  Ref r = {.op = n->op, .at = &n->at, .nin = n->nin, .type = n->type, .mode = in->mode};
  r.value = in->mode == INTERP_F32 ? (float)n->at.value : n->at.value;
  r.seed = in->seed, r.iteration = in->iteration;
  for (int i = 0; i < n->nin; i++) {
    r.in[i] = in->value[n->in[i]];
    r.in_type[i] = f->node[n->in[i]].type;
  }
  if (n->op == OP_var || n->op == OP_input) {
    const Binding *b = find_binding(in, n->at.sym);
    if (!b) return ir_error(err, "%s \"%.150s\" has no data; bind it first", op_info[n->op].name, n->at.sym);
    r.bound = b->data;
  }
  if (!kernel_of[n->op])
    return ir_error(err, "%%%d: %s cannot be run; a pass must rewrite it first", id, op_info[n->op].name);
  if (!in->value[id]) in->value[id] = malloc(size);
  if (!in->value[id]) return ir_error(err, "%%%d: no memory for %zu bytes", id, size);
  memset(in->value[id], 0, size);
  double *copy[MAX_IN] = {0};
  bool good = !(n->at.bf16 && in->mode == INTERP_F32) || round_operands(&r, copy);
  if (good) kernel_of[n->op](in->value[id], &r);
  else ir_error(err, "%%%d: no memory for its operands", id);
  for (int i = 0; i < n->nin; i++) free(copy[i]);
  round_result(in->value[id], n->type, in->mode);
  return good;
}

bool interp_run(Interp *in, char err[IR_ERR]) {
  for (int i = 0; i < in->f->n; i++)
    if (!run_node(in, i, err)) return false;
  return true;
}

const double *interp_value(const Interp *in, int node) { return in->value[node]; }

bool interp_commit(Interp *in, char err[IR_ERR]) {
  if (!interp_run(in, err)) return false;
  for (int i = 0; i < in->f->nstore; i++) {
    Store s = in->f->store[i];
    const char *name = in->f->prog->var[s.var].name;
    if (!interp_bind(in, name, in->value[s.node])) return ir_error(err, "no memory for \"%.150s\"", name);
  }
  return true;
}
