/* box.c - loop nests over boxes, strided access, and the small things every emitter asks of a node. */
#include <stdarg.h>
#include <string.h>
#include "codegen/emit/core/box.h"
#include "ir/ints.h"

int visit_lane_axis(const Box *b) {
  int a = b->rank - 1;
  while (a > 0 && b->extent[a] == 1) a--;
  return a < 0 ? 0 : a;
}

/* How a box is cut: the lane axis into `ni` chunks of `ci`, the one before it into `nm` chunks of `cm`; a
 * unit is one such piece at one place of the axes outside; a task does `per` units. */
typedef struct {
  int inner, mid; /* axes; mid = -1: there is none */
  int64_t ci, ni, cm, nm, units, per;
} Cut;

static Cut cut_box(const Box *b) {
  Cut c = {.inner = visit_lane_axis(b), .mid = -1, .cm = 1, .nm = 1};
  for (int a = c.inner - 1; a >= 0 && c.mid < 0; a--)
    if (b->extent[a] > 1) c.mid = a;
  int64_t inner = b->rank ? b->extent[c.inner] : 1;
  c.ci = inner < b->chunk ? inner : b->chunk;
  c.ni = ceil_div(inner, c.ci);
  if (c.mid >= 0) {
    c.cm = b->chunk / c.ci < b->extent[c.mid] ? b->chunk / c.ci : b->extent[c.mid];
    c.nm = ceil_div(b->extent[c.mid], c.cm);
  }
  c.units = c.ni * c.nm;
  for (int a = 0; a < c.mid; a++) c.units *= b->extent[a];
  c.per = b->chunk / (c.ci * c.cm);
  return c;
}

int64_t visit_tasks(const Box *b) {
  Cut c = cut_box(b);
  return ceil_div(c.units, c.per);
}

/* One row along the lane axis, from lo to hi of n; chunks start at multiples of the lanes, so only the last
 * has a tail. */
static void visit_row(KFn *k, Spot *s, int axis, KV lo, KV hi, int64_t n, VisitBody *body, void *ctx) {
  int64_t step = s->vec ? k->lanes : 1, full = n / step * step;
  s->mask = K_NONE;
  if (full > 0) {
    s->at[axis] = k_for(k, lo, k_min(k, hi, k_i64(k, full)), step);
    body(ctx, k, s);
    k_end(k);
  }
  if (full == n) return;
  k_if(k, k_eq(k, hi, k_i64(k, n)));
  s->at[axis] = k_i64(k, full);
  s->mask = k_first_lanes(k, k_i64(k, n - full));
  body(ctx, k, s);
  k_end(k);
}

void visit(KFn *k, const Box *b, KV task, bool vec, VisitBody *body, void *ctx) {
  Cut c = cut_box(b);
  Spot s = {.vec = vec, .mask = K_NONE};
  for (int a = 0; a < b->rank; a++) s.at[a] = k_i64(k, 0);
  KV first = k_mul(k, task, k_i64(k, c.per));
  KV unit = k_for(k, first, k_min(k, k_add(k, first, k_i64(k, c.per)), k_i64(k, c.units)), 1);
  KV rest = unit;
  KV lo = k_mul(k, k_rem(k, rest, k_i64(k, c.ni)), k_i64(k, c.ci));
  rest = k_div(k, rest, k_i64(k, c.ni));
  int64_t n = b->rank ? b->extent[c.inner] : 1;
  KV hi = k_min(k, k_add(k, lo, k_i64(k, c.ci)), k_i64(k, n));
  if (c.mid >= 0) {
    KV m = k_mul(k, k_rem(k, rest, k_i64(k, c.nm)), k_i64(k, c.cm));
    rest = k_div(k, rest, k_i64(k, c.nm));
    for (int a = c.mid - 1; a >= 0; a--) {
      if (b->extent[a] == 1) continue;
      s.at[a] = k_rem(k, rest, k_i64(k, b->extent[a]));
      rest = k_div(k, rest, k_i64(k, b->extent[a]));
    }
    s.at[c.mid] = k_for(k, m, k_min(k, k_add(k, m, k_i64(k, c.cm)), k_i64(k, b->extent[c.mid])), 1);
    visit_row(k, &s, c.inner, lo, hi, n, body, ctx);
    k_end(k);
  } else visit_row(k, &s, c.inner, lo, hi, n, body, ctx);
  k_end(k);
}

static KV lane_offsets(KFn *k, KV off, int64_t stride) {
  return k_add(k, k_splat(k, k_cast(k, K_I32, off)),
               k_mul(k, k_iota(k), k_splat(k, k_i32(k, (int32_t)stride))));
}

KV load_lanes(KFn *k, KV buf, KV off, int64_t stride, bool vec, KV mask) {
  if (!vec) return k_load(k, buf, off, false);
  if (stride == 0) return k_splat(k, k_load(k, buf, off, false));
  if (stride == 1) return mask == K_NONE ? k_load(k, buf, off, true) : k_load_masked(k, buf, off, mask);
  KV at = lane_offsets(k, off, stride);
  return mask == K_NONE ? k_gather(k, buf, at) : k_gather_masked(k, buf, at, mask);
}

void store_lanes(KFn *k, KV buf, KV off, int64_t stride, KV v, bool vec, KV mask) {
  if (!vec) k_store(k, buf, off, v);
  else if (stride == 1 && mask == K_NONE) k_store(k, buf, off, v);
  else if (stride == 1) k_store_masked(k, buf, off, v, mask);
  else if (mask == K_NONE) k_scatter(k, buf, lane_offsets(k, off, stride), v);
  else k_scatter_masked(k, buf, lane_offsets(k, off, stride), v, mask);
}

void node_strides(const Node *n, int64_t stride[MAX_RANK]) {
  for (int a = 0; a < n->type.rank; a++) stride[a] = order_stride(n->type, n->order, a);
}

int64_t value_strides(const Emit *e, int node, int64_t stride[MAX_RANK]) {
  memcpy(stride, e->storage[node].stride, sizeof e->storage[node].stride);
  return e->storage[node].offset;
}

Box node_box(const Emit *e, const Node *n) {
  Box b = {.rank = n->type.rank, .chunk = e->machine->task_visits};
  for (int i = 0; i < b.rank; i++) b.extent[i] = n->type.dim[n->order[i]];
  return b;
}

void node_coords(const Node *n, const Spot *s, KV coord[MAX_RANK]) {
  for (int i = 0; i < n->type.rank; i++) coord[n->order[i]] = s->at[i];
}

KV offset_of(KFn *k, int rank, const KV *coord, const int64_t *stride) {
  KV off = k_i64(k, 0);
  for (int a = 0; a < rank; a++) off = k_add(k, off, k_mul(k, coord[a], k_i64(k, stride[a])));
  return off;
}

bool channels_inner(const Node *n) {
  return n->type.rank >= 2 && n->type.dim[1] > 1 && order_stride(n->type, n->order, 1) == 1;
}

void args_of_group(Build *b) {
  for (int i = 0; i < b->g->nin; i++) build_arg(b, emit_buffer(b->e, b->g->in[i]), false);
  for (int i = 0; i < b->g->nout; i++) build_arg(b, emit_buffer(b->e, b->g->out[i]), true);
}

int arg_of(const Build *b, int node) { return build_find_arg(b, emit_buffer(b->e, node)); }

int64_t value_bytes(const Emit *e, int node) { return type_bytes(e->fn->node[node].type); }

int64_t group_bytes(const Emit *e, const GroupInfo *g) {
  int64_t bytes = 0;
  for (int i = 0; i < g->nin; i++) bytes += value_bytes(e, g->in[i]);
  for (int i = 0; i < g->nout; i++) bytes += value_bytes(e, g->out[i]);
  return bytes;
}

KBase base_of(Type t) { return t.dt == I32 ? K_I32 : K_F32; }

/* Append to text[96], never past its end. */
static int __attribute__((format(printf, 3, 4))) put(char *text, int at, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(text + at, (size_t)(96 - at), fmt, ap);
  va_end(ap);
  return at + n < 95 ? at + n : 95;
}

const char *dims_text(Type t, char buf[96]) {
  static const char *const name[4][3] = {{""}, {"w"}, {"h", "w"}, {"d", "h", "w"}};
  int at = put(buf, 0, "%s", t.rank ? "" : "1");
  for (int a = 0; a < t.rank; a++) {
    bool image = t.rank >= 3 && t.rank <= 5;
    const char *axis = !image ? "" : a == 0 ? "n" : a == 1 ? "c" : name[t.rank - 2][a - 2];
    at = put(buf, at, "%s%s%lld", a == 0 ? "" : image ? "_" : "x", axis, (long long)t.dim[a]);
  }
  return buf;
}

static int list_text(char *buf, int at, const char *name, int n, const int64_t *v) {
  bool same = true;
  for (int i = 1; i < n; i++) same = same && v[i] == v[0];
  at = put(buf, at, "%s%s", at ? "_" : "", name);
  for (int i = 0; i < (same ? 1 : n); i++) at = put(buf, at, "%s%lld", i ? "x" : "", (long long)v[i]);
  return at;
}

const char *window_text(int ns, const int64_t *size, const ConvGeom *geom, char buf[96]) {
  int at = list_text(buf, 0, "k", ns, size);
  if (!geom) return buf;
  at = list_text(buf, at, "s", ns, geom->stride);
  list_text(buf, at, "p", ns, geom->pad);
  return buf;
}
