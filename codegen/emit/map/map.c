/* map.c - map groups (passes/fuse/fuse.h): elementwise values and reductions over one domain. */
#include <string.h>
#include "codegen/emit/map/map.h"

/* Declares arguments: what the sweep reads, its stores, then results or partial results of its reductions. */
static void declare_arguments(Build *b, Sweep *s) {
  Emit *e = b->e;
  for (int i = 0; i < s->nload; i++) { build_arg(b, emit_buffer(e, s->load[i]), false); }
  for (int i = 0; i < s->nstore; i++) build_arg(b, emit_buffer(e, s->store[i]), true);
  for (int i = 0; i < s->nred; i++) {
    Reduction *r = &s->red[i];
    int64_t bytes = r->parts * type_bytes(e->fn->node[r->node].type);
    r->work = r->parts > 1 ? emit_workspace(e, bytes) : emit_buffer(e, r->node);
    r->arg = build_arg(b, r->work, true);
  }
}

/* Whether both fill memory of their own, and alike. */
static bool same_walk(const Emit *e, int a, int b) {
  Walk x = walk_of(e, a), y = walk_of(e, b);
  bool own = e->storage[a].owner == a && e->storage[b].owner == value_source(e->fn, b);
  return own && shape_eq(e->fn->node[a].type, e->fn->node[b].type) && !memcmp(&x, &y, sizeof x);
}

/* Does the value of `node` need a load of `input`? Then the load comes before the store, whatever is
 * reordered. */
static bool depends(Emit *e, const Sweep *s, int node, int input) {
  uint8_t *mark = e->mark;
  memset(mark, 0, (size_t)e->fn->n);
  mark[input] = 1;
  for (int i = 0; i < s->ncone; i++) { /* ascending, so operands come first */
    const Node *n = &e->fn->node[s->cone[i]];
    for (int j = 0; j < n->nin; j++) mark[s->cone[i]] |= mark[n->in[j]];
  }
  return mark[node];
}

/* Whether store `node` may take over the memory of load number i: the only load of its buffer, read at the same
 * element, and not promised to another store. */
static bool may_replace(const Build *b, const Sweep *s, int node, int i) {
  const Fn *f = b->e->fn;
  int arg = build_find_arg(b, emit_buffer(b->e, s->load[i]));
  if (!same_walk(b->e, node, s->load[i]) || !shape_eq(f->node[node].type, s->domain)) return false;
  for (int j = 0; j < s->nload; j++)
    if (j != i && build_find_arg(b, emit_buffer(b->e, s->load[j])) == arg) return false;
  for (int j = 0; j < b->launch.nargs; j++)
    if (b->launch.may_alias[j] == arg) return false;
  return depends(b->e, s, node, s->load[i]);
}

/* Whether the value of `node` is what the variable that `load` reads becomes. */
static bool is_next_value(const Fn *f, int load, int node) {
  int source = value_source(f, load);
  if (f->node[source].op != OP_var) return false;
  int var = prog_find_var(f->prog, f->node[source].at.sym);
  for (int i = 0; i < f->nstore; i++)
    if (f->store[i].var == var && value_source(f, f->store[i].node) == node) return true;
  return false;
}

/* Two rounds over the stores: first each may take over the variable it is the new value of, which saves a copy; then
 * what is left may take over temporaries. The memory of variables is nobody else's (codegen/module/memory.c). */
static void allow_overlays(Build *b, const Sweep *s) {
  const Fn *f = b->e->fn;
  for (int own = 1; own >= 0; own--)
    for (int i = 0; i < s->nstore; i++) {
      int *place = &b->launch.may_alias[build_find_arg(b, emit_buffer(b->e, s->store[i]))];
      for (int j = 0; j < s->nload && *place < 0; j++) {
        bool var = f->node[value_source(f, s->load[j])].op == OP_var;
        bool wanted = own ? is_next_value(f, s->load[j], s->store[i]) : !var;
        if (wanted && may_replace(b, s, s->store[i], j))
          *place = build_find_arg(b, emit_buffer(b->e, s->load[j]));
      }
    }
}

static void count_work(Build *b, const Sweep *s) {
  Emit *e = b->e;
  for (int i = 0; i < s->ncone; i++) {
    const Node *n = &e->fn->node[s->cone[i]];
    OpClass cls = op_info[n->op].cls;
    if (cls == EW) b->kernel.flops += type_count(n->type);
    if (cls == RED) b->kernel.flops += type_count(e->fn->node[n->in[0]].type);
  }
  for (int i = 0; i < s->nload; i++) b->kernel.bytes += type_bytes(e->fn->node[s->load[i]].type);
  for (int i = 0; i < s->nstore; i++) b->kernel.bytes += type_bytes(e->fn->node[s->store[i]].type);
  for (int i = 0; i < s->nred; i++)
    b->kernel.bytes += s->red[i].parts * type_bytes(e->fn->node[s->red[i].node].type);
}

/* n4_c64_256x256 */
static const char *domain_name(Emit *e, Type t) {
  char text[128] = "scalar";
  int at = 0;
  for (int a = 0; a < t.rank; a++) {
    const char *before = t.rank < 3 ? (a ? "x" : "") : a == 0 ? "n" : a == 1 ? "_c" : a == 2 ? "_" : "x";
    at += snprintf(text + at, sizeof text - (size_t)at, "%s%lld", before, (long long)t.dim[a]);
  }
  return arena_strdup(e->arena, text);
}

static void emit_sweep(Emit *e, const GroupInfo *g, Sweep *s) {
  Build b = build_begin(e, g, "map", "map:%s:in%d_out%d_red%d:", domain_name(e, s->domain), s->nload,
                        s->nstore, s->nred);
  declare_arguments(&b, s);
  allow_overlays(&b, s);
  count_work(&b, s);
  build_nontemporal(&b);
  EACH_ISA (isa, &b)
    if (!e->err[0]) map_nest(e, s, expr_new(e, g, &b, build_kernel(&b, isa)));
  build_end(&b, s->tasks);
  map_join_parts(e, g, s);
}

bool emit_map(Emit *e, const GroupInfo *g) {
  int n = 0;
  Sweep *s = map_sweeps(e, g, &n);
  for (int i = 0; i < n && !e->err[0]; i++) emit_sweep(e, g, &s[i]);
  return !e->err[0];
}
