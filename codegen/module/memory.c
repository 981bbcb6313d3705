/* memory.c - where everything lies. Variables have fixed offsets at the start of the arena, the same for all
 * functions; behind them each function lays out its inputs, results and temporaries anew (passes/memory/plan.h).
 *
 * A function reads variables as they were at its start and stores new values at its end. So that most stores
 * cost nothing, the stored value's buffer is put right onto its variable. That is allowed when nobody reads
 * the old value any more once the new one is being written: every launch that reads the variable comes before
 * the first launch that writes the value, or is that launch and may work in place. All other stores become a
 * copy launch at the end. A value that is itself the old value of a stored variable (a swap, a logged weight)
 * is copied out before the first launch. */
#include <stdlib.h>
#include <string.h>
#include "passes/memory/plan.h"
#include "codegen/module/module.h"
#include "ir/ints.h"

void module_place_vars(Module *m) {
  const Program *p = m->prog;
  m->var_offset = arena_alloc(m->arena, (size_t)(p->nvar ? p->nvar : 1) * sizeof *m->var_offset);
  m->var_bytes = 0;
  for (int i = 0; i < p->nvar; i++) {
    m->var_offset[i] = m->var_bytes;
    m->var_bytes += round_up(type_bytes(p->var[i].type), PLAN_ALIGN);
  }
}

/* Working state for one function. */
typedef struct {
  Module *m;
  FnPlan *p;
  Emit *e;
  int *source; /* per output, then per store: buffer that holds the value when the function is done */
  char *err;
} Layout;

/* Variable whose old value buffer b is, or -1. */
static int var_of(const Emit *e, int b) {
  int node = e->buffer[b].node;
  if (node < 0 || e->fn->node[node].op != OP_var) return -1;
  return prog_find_var(e->fn->prog, e->fn->node[node].at.sym);
}
static bool is_input(const Emit *e, int b) {
  int node = e->buffer[b].node;
  return node >= 0 && e->fn->node[node].op == OP_input;
}
/* The store of f to a variable, or NULL. */
static const Store *store_to(const Fn *f, int var) {
  for (int i = 0; i < f->nstore; i++)
    if (f->store[i].var == var) return &f->store[i];
  return NULL;
}

/* ---- trivial kernels ---- */
static KV as_base(KFn *k, KV v, KBase base) {
  return k->ins[v].type.base == base ? v : k_bitcast(k, base, v);
}

/* Task t copies elements [t*chunk, (t+1)*chunk) of n. Args: 0 from, 1 to. */
static void copy_body(KFn *k, int64_t n, int64_t chunk) {
  KBase to = (KBase)k->ins[1].type.base;
  KV lo = k_mul(k, k_task(k), k_i64(k, chunk));
  KV hi = k_min(k, k_add(k, lo, k_i64(k, chunk)), k_i64(k, n));
  KV i = k_for(k, lo, hi, k->lanes);
  KV mask = k_first_lanes(k, k_sub(k, hi, i));
  k_store_masked(k, 1, i, as_base(k, k_load_masked(k, 0, i, mask), to), mask);
  k_end(k);
}

static void emit_copy(Emit *e, int from, int to) {
  int64_t chunk = 2 * e->machine->task_visits;
  int64_t n = e->buffer[from].bytes / 4;
  Build b = build_begin(e, NULL, "move", "copy:n%lld", (long long)n);
  build_arg(&b, from, false);
  build_arg(&b, to, true);
  EACH_ISA (isa, &b) copy_body(build_kernel(&b, isa), n, chunk);
  b.kernel.bytes = 8 * n;
  build_end(&b, (n + chunk - 1) / chunk);
}

/* A constant that is a result of its own, like a logged number: nobody computes it, so a launch writes it. */
static void emit_constant(Emit *e, int buf) {
  const Node *node = &e->fn->node[e->buffer[buf].node];
  int64_t n = type_count(node->type);
  Build b = build_begin(e, NULL, "map", "const:n%lld:", (long long)n);
  build_arg(&b, buf, true);
  EACH_ISA (isa, &b) {
    KFn *k = build_kernel(&b, isa);
    KV v = node->type.dt == I32 ? k_i32(k, (int32_t)node->at.value) : k_f32(k, node->at.value);
    KV zero = k_i64(k, 0), end = k_i64(k, n);
    KV i = k_for(k, zero, end, 1);
    k_store(k, 0, i, v);
    k_end(k);
  }
  b.kernel.bytes = 4 * n;
  build_end(&b, 1);
}

/* Moves the launches from `begin` on to the front. */
static void rotate_launches(Emit *e, int begin) {
  int late = e->nlaunch - begin;
  if (late == 0 || begin == 0) return;
  Launch *copy = arena_alloc(e->arena, (size_t)late * sizeof *copy);
  memcpy(copy, e->launch + begin, (size_t)late * sizeof *copy);
  memmove(e->launch + late, e->launch, (size_t)begin * sizeof *copy);
  memcpy(e->launch, copy, (size_t)late * sizeof *copy);
}

/* ---- which launches touch a buffer ---- */
static bool launch_uses(const Launch *l, int buf, bool write_only) {
  for (int i = 0; i < l->nargs; i++)
    if (l->arg[i] == buf && (!write_only || l->writes >> i & 1)) return true;
  return false;
}
static bool ever_written(const Emit *e, int buf) {
  for (int i = 0; i < e->nlaunch; i++)
    if (launch_uses(&e->launch[i], buf, true)) return true;
  return false;
}

static int first_use(const Emit *e, int buf) {
  for (int i = 0; i < e->nlaunch; i++)
    if (launch_uses(&e->launch[i], buf, false)) return i;
  return e->nlaunch;
}

/* Results: the buffer of every output and stored value; those that are old values of stored variables are
 * first copied to a buffer of their own. */
static bool collect_results(Layout *x) {
  Emit *e = x->e;
  const Fn *f = e->fn;
  int emitted = e->nlaunch, n = f->nout + f->nstore;
  x->source = arena_alloc(e->arena, (size_t)(n ? n : 1) * sizeof *x->source);
  for (int i = 0; i < n; i++) {
    const Store *s = i < f->nout ? NULL : &f->store[i - f->nout];
    int b = emit_buffer(e, s ? s->node : f->out[i].node);
    int var = var_of(e, b);
    if (s && e->buffer[b].bytes != type_bytes(f->prog->var[s->var].type))
      return snprintf(x->err, 512, "function %s: variable %s and the value stored to it differ in size",
                      f->name, f->prog->var[s->var].name),
             false;
    const Store *over = var >= 0 ? store_to(f, var) : NULL;
    if (over && over->node >= 0 && var_of(e, emit_buffer(e, over->node)) != var && !(s && s->var == var)) {
      int own = emit_workspace(e, e->buffer[b].bytes);
      emit_copy(e, b, own);
      b = own;
    } else if (var < 0 && !is_input(e, b) && e->buffer[b].node >= 0 && !ever_written(e, b)) {
      const Node *node = &f->node[e->buffer[b].node];
      if (node->op != OP_const)
        return snprintf(x->err, 512, "function %s: no kernel computes node %d", f->name, e->buffer[b].node),
               false;
      emit_constant(e, b);
    }
    x->source[i] = b;
  }
  rotate_launches(e, emitted);
  return true;
}

static bool has_input(const FnPlan *p, const char *name) {
  for (int i = 0; i < p->ninput; i++)
    if (!strcmp(p->input[i].name, name)) return true;
  return false;
}

static void collect_inputs(Layout *x) {
  Emit *e = x->e;
  FnPlan *p = x->p;
  const Program *prog = e->fn->prog;
  for (int i = 0; i < e->fn->n; i++) {
    const Node *n = &e->fn->node[i];
    if (n->op != OP_input) continue;
    *ARENA_PUSH(e->arena, p->input, p->ninput, p->capinput) =
        (Input){n->at.sym, n->type, n->order, emit_buffer(e, i)};
  }
  for (int s = 0; s < prog->nstream && e->fn->kind == FN_TRAIN; s++)
    for (int i = 0; i < prog->stream[s].nfield; i++) {
      const Field *f = &prog->stream[s].field[i];
      const char *name = arena_printf(e->arena, "%s.%s", prog->stream[s].name, f->name);
      if (has_input(p, name)) continue;
      uint8_t *order = arena_alloc(e->arena, MAX_RANK);
      order_channels_last(order, f->type.rank);
      *ARENA_PUSH(e->arena, p->input, p->ninput, p->capinput) =
          (Input){name, f->type, order, emit_workspace(e, type_bytes(f->type))};
    }
}

/* ---- stores ---- */
/* May the value in buffer b be computed right where variable `var` lies? */
static bool fits_in_place(const Layout *x, int b, int var) {
  const Emit *e = x->e;
  int write = first_use(e, b);
  for (int l = write; l < e->nlaunch; l++) {
    const Launch *launch = &e->launch[l];
    for (int i = 0; i < launch->nargs; i++) {
      if (launch->arg[i] == b || var_of(e, launch->arg[i]) != var) continue;
      /* argument i reads the old value */
      bool taken_over = false;
      for (int o = 0; l == write && o < launch->nargs; o++)
        taken_over |= launch->arg[o] == b && launch->inplace[o] == i;
      if (!taken_over) return false;
    }
  }
  return true;
}

static void place_stores(Layout *x, int nbuffer) {
  Emit *e = x->e;
  const Fn *f = e->fn;
  bool *in_place = arena_alloc(e->arena, (size_t)nbuffer + 1);
  int *copy = arena_alloc(e->arena, ((size_t)f->nstore + 1) * sizeof *copy), ncopy = 0;
  for (int i = 0; i < f->nstore; i++) {
    int var = f->store[i].var, b = x->source[f->nout + i];
    if (var_of(e, b) == var) continue; /* keeps its value */
    if (var_of(e, b) < 0 && !is_input(e, b) && !in_place[b] && fits_in_place(x, b, var)) {
      in_place[b] = x->p->fixed[b] = true;
      x->p->offset[b] = x->m->var_offset[var];
    } else {
      copy[ncopy++] = i;
    }
  }
  for (int c = 0; c < ncopy;
       c++) { /* the variable as a written buffer: one more, laid onto it by place_vars */
    const Store *s = &f->store[copy[c]];
    emit_copy(e, x->source[f->nout + copy[c]], emit_workspace(e, type_bytes(f->prog->var[s->var].type)));
    x->p->fixed[e->nbuffer - 1] = true;
    x->p->offset[e->nbuffer - 1] = x->m->var_offset[s->var];
  }
}

static void place_vars(Layout *x) {
  for (int b = 0; b < x->e->nbuffer; b++) {
    int var = var_of(x->e, b);
    if (var < 0) continue;
    x->p->fixed[b] = true;
    x->p->offset[b] = x->m->var_offset[var];
  }
}

/* ---- lifetimes and offsets ---- */
static void lifetimes(Layout *x) {
  const Emit *e = x->e;
  FnPlan *p = x->p;
  for (int b = 0; b < e->nbuffer; b++) p->first[b] = e->nlaunch, p->last[b] = -1;
  for (int l = 0; l < e->nlaunch; l++)
    for (int i = 0; i < e->launch[l].nargs; i++) {
      int b = e->launch[l].arg[i];
      if (l < p->first[b]) p->first[b] = l;
      p->last[b] = l;
    }
  for (int i = 0; i < p->ninput; i++) { /* there before the first launch */
    int b = p->input[i].buffer;
    p->first[b] = 0;
    if (p->last[b] < 0) p->last[b] = 0;
  }
  for (int i = 0; i < e->fn->nout; i++) {
    int b = x->source[i];
    p->last[b] = e->nlaunch;
    if (p->first[b] == e->nlaunch) p->first[b] = 0;
  }
}

/* Buffer that b, written first by launch l, may overlay: the argument the launch lets it take over, when no
 * other argument of the launch is that buffer. */
static int overlay(const FnPlan *p, int b) {
  const Emit *e = p->e;
  const Launch *l = &e->launch[p->first[b]];
  for (int o = 0; o < l->nargs; o++) {
    if (l->arg[o] != b || l->inplace[o] < 0) continue;
    int from = l->arg[l->inplace[o]], uses = 0;
    for (int i = 0; i < l->nargs; i++) uses += l->arg[i] == from;
    if (uses == 1 && !p->fixed[from]) return from;
  }
  return -1;
}

static bool place_temporaries(Layout *x) {
  const Emit *e = x->e;
  FnPlan *p = x->p;
  bool *host = arena_alloc(e->arena, (size_t)e->nbuffer + 1); /* written before the first launch */
  for (int i = 0; i < p->ninput; i++) host[p->input[i].buffer] = true;
  PlanBuf *plan = arena_alloc(e->arena, ((size_t)e->nbuffer + 1) * sizeof *plan);
  int *index = arena_alloc(e->arena, ((size_t)e->nbuffer + 1) * sizeof *index), n = 0;
  for (int b = 0; b < e->nbuffer; b++) index[b] = !p->fixed[b] && p->first[b] <= p->last[b] ? n++ : -1;
  for (int b = 0; b < e->nbuffer; b++) {
    if (index[b] < 0) continue;
    int from = host[b] || p->first[b] >= e->nlaunch ? -1 : overlay(p, b);
    plan[index[b]] = (PlanBuf){e->buffer[b].bytes, p->first[b], p->last[b], from < 0 ? -1 : index[from], 0};
  }
  p->temporaries = plan_arena(plan, n);
  p->lower_bound = plan_lower_bound(plan, n);
  int i, j;
  if (!plan_check(plan, n, &i, &j))
    return snprintf(x->err, 512, "function %s: the memory plan lays two live buffers over each other",
                    e->fn->name),
           false;
  for (int b = 0; b < e->nbuffer; b++)
    if (index[b] >= 0) p->offset[b] = x->m->var_bytes + plan[index[b]].offset;
  return true;
}

bool plan_fn(Module *m, FnPlan *p, char err[512]) {
  Emit *e = p->e;
  Layout x = {.m = m, .p = p, .e = e, .err = err};
  collect_inputs(&x);
  if (!collect_results(&x)) return false;
  int nbuffer = e->nbuffer, room = nbuffer + e->fn->nstore + 1; /* copies of stores add a buffer each */
  p->offset = arena_alloc(e->arena, (size_t)room * sizeof *p->offset);
  p->fixed = arena_alloc(e->arena, (size_t)room * sizeof *p->fixed);
  p->first = arena_alloc(e->arena, (size_t)room * sizeof *p->first);
  p->last = arena_alloc(e->arena, (size_t)room * sizeof *p->last);
  place_stores(&x, nbuffer);
  place_vars(&x);
  p->output = x.source;
  if (e->err[0]) return snprintf(err, 512, "function %s: %s", e->fn->name, e->err), false;
  lifetimes(&x);
  return place_temporaries(&x);
}
