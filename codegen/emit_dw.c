/* emit_dw.c - depthwise convolutions with a kernel per sample and channel: G_DW (forward, adjoint in x) and
 * G_DW_DW (adjoint in the kernels). All are bound by memory: each reads its operands once from memory, rows
 * again from cache. */
#include "dw_row.h"

/* ---- forward and adjoint in x ---- */

typedef struct {
  const GroupInfo *g;
  const Node *anchor;
  const DwRow *row;
  Expr *x;
} Epilogue;

static void epilogue(void *ctx, KFn *k, const DwAt *at, KV v) {
  (void)k;
  const Epilogue *ep = ctx;
  const DwShape *d = ep->row->shape;
  Place p = {.vec = at->vec,
             .vec_axis = 1,
             .mask = at->mask,
             .domain = ep->anchor->type,
             .order = ep->anchor->order};
  p.coord[0] = ep->row->n;
  p.coord[1] = at->channel;
  for (int i = 0; i < d->ns - 1; i++) p.coord[2 + i] = ep->row->outer[i];
  p.coord[1 + d->ns] = at->pixel;
  expr_place(ep->x, &p);
  expr_epilogue(ep->x, ep->g, v);
}

/* A task is a few neighbouring rows, so that what they share of the source stays in cache. */

bool emit_dw(Emit *e, const GroupInfo *g) {
  const Node *anchor = &e->fn->node[g->anchor];
  DwShape d = dw_shape(e, g, g->anchor);
  if (!dw_supported(e, &d)) return false;
  char dims[96], win[96];
  Build b = build_begin(e, g, "dw", "dwconv:%s_%s:f32:%s%s", dims_text(e->fn->node[d.x].type, dims),
                        window_text(d.ns, d.size, d.stride, d.pad, win), d.dx ? "bwd_x" : "fwd",
                        d.s >= 0 ? ":gate" : "");
  args_of_group(&b);
  build_stream(&b);
  int64_t rows = anchor->type.dim[0] * rows_of(&d);
  int64_t per = rows / e->machine->tasks > 0 ? rows / e->machine->tasks : 1;
  for (int isa = build_set(&b, 0); isa < NETC_ISA_COUNT; isa = build_set(&b, isa + 1)) {
    KFn *k = build_kernel(&b, isa);
    k_opaque_counters(k);
    DwRow r = {.shape = &d,
               .x = arg_of(&b, d.x),
               .w = arg_of(&b, d.w),
               .s = d.s >= 0 ? arg_of(&b, d.s) : K_NONE,
               .ahead = true};
    Epilogue ep = {g, anchor, &r, expr_new(e, g, &b, k)};
    r.channels = dw_slice(&d);
    dw_slices(k, &d, &r.channel0);
    KV first = k_mul(k, k_task(k), k_i64(k, per));
    KV row = k_for(k, first, k_min(k, k_add(k, first, k_i64(k, per)), k_i64(k, rows)), 1);
    row_place(k, &d, row, &r);
    dw_row(k, &r, 0, d.out[d.ns - 1], epilogue, &ep);
    k_end(k);
    dw_slices_end(k, &d);
  }
  b.kernel.flops = 2 * node_macs_inside(e->fn, anchor);
  b.kernel.work = 2 * node_macs(e->fn, anchor);
  b.kernel.bytes = group_bytes(e, g);
  build_end(&b, (rows + per - 1) / per);
  return true;
}

/* ---- adjoint in the kernels ----
 *
 * dw[n,c,i] = sum over o of dy[n,c,o] x[n,c,stride*o+i-pad]. A task takes a chunk of rows of one sample and
 * keeps its sums in its own partial result, from where a few kernel taps at a time are held in registers for
 * one row. Partial results are added in order by a second launch: the tree depends on the shape only. */

typedef struct {
  const DwShape *d;
  int64_t ys[MAX_RANK], os[MAX_RANK]; /* strides of dy and of the result */
  int64_t total, rows, chunk, chunks; /* elements of the result, rows of a sample, rows of a chunk, chunks */
  KV x, s, y, out;
  KV n, outer[MAX_SPATIAL], outoff;
  KV tap;                    /* tap along the first of three axes */
  int64_t lo, hi;            /* taps along the axis before the last that are summed together */
  KV xoff, soff, yoff, woff; /* offsets of the row: of source pixel 0 at tap lo, of dy, of the result */
  KV channel0, mask;         /* first channel of the slice */
  KV base;                   /* the block: its first pixel, */
  int64_t at;                /* the same at compile time or -1, */
  int count;                 /* and its pixels; 0: the whole row */
  KV acc[DW_MAX_SIZE * 2];
} Dw;

/* dy of DW_TILE pixels is in registers at a time. Sums stay there for a whole row, one vector of channels
 * after the other, where pixels lie close together; with DEEP channels or more, for blocks of DW_BLOCK
 * pixels, so that operands are read in the order they lie in memory. */
enum { DW_TILE = 4, DW_BLOCK = 16, DEEP = 64 };

static bool dw_fits(const DwShape *d, int64_t at, int count) {
  int a = d->ns - 1;
  return at * d->stride[a] >= d->pad[a] &&
         (at + count - 1) * d->stride[a] + d->size[a] - 1 - d->pad[a] < d->in[a];
}

/* A few pixels of dy against all taps in hand. */
static void dw_tile(void *ctx, KFn *k, KV base, int64_t at, int count) {
  const Dw *w = ctx;
  const DwShape *d = w->d;
  int a = d->ns - 1;
  int64_t size = d->size[a], s = d->stride[a];
  KV dy[DW_TILE];
  KV yoff = k_add(k, w->yoff, k_mul(k, base, k_i64(k, w->ys[2 + a])));
  for (int j = 0; j < count; j++)
    dy[j] = load_lanes(k, w->y, k_add(k, yoff, k_i64(k, j * w->ys[2 + a])), 1, d->vec, w->mask);
  for (int64_t u = -d->pad[a]; u < s * (count - 1) + size - d->pad[a]; u++) {
    if (at >= 0 && (at * s + u < 0 || at * s + u >= d->in[a])) continue;
    KV pixel = k_add(k, k_mul(k, base, k_i64(k, s)), k_i64(k, u));
    for (int64_t h = 0; h < w->hi - w->lo; h++) {
      KV v = K_NONE;
      for (int j = 0; j < count; j++) {
        int64_t i = u + d->pad[a] - s * j;
        if (i < 0 || i >= size) continue;
        if (v == K_NONE) {
          int64_t up = d->ns > 1 ? h : 0;
          KV off = k_add(k, w->xoff, k_mul(k, pixel, k_i64(k, d->xs[2 + a])));
          v = load_lanes(k, w->x, k_add(k, off, k_i64(k, up * d->xs[1 + a])), 1, d->vec, w->mask);
          if (w->s != K_NONE) {
            KV soff = k_add(k, w->soff, k_mul(k, pixel, k_i64(k, d->ss[2 + a])));
            v = k_mul(k, v, k_load(k, w->s, k_add(k, soff, k_i64(k, up * d->ss[1 + a])), false));
          }
        }
        KV acc = w->acc[h * size + i];
        k_set(k, acc, k_fma(k, v, dy[j], k_get(k, acc)));
      }
    }
  }
}

/* Asks for what the same block of the next row reads and this one does not. */
static void dw_ahead(const Dw *w, KFn *k, KV c) {
  const DwShape *d = w->d;
  int last = d->ns - 1, a = last - 1;
  if (a < 0 || !d->vec) return;
  KV next = k_add(k, w->outer[a], k_i64(k, 1));
  KV y = k_add(k, k_mul(k, w->n, k_i64(k, w->ys[0])), k_mul(k, c, k_i64(k, w->ys[1])));
  KV x = k_add(k, k_mul(k, w->n, k_i64(k, d->xs[0])), k_mul(k, c, k_i64(k, d->xs[1])));
  for (int i = 0; i < last; i++) {
    KV o = k_min(k, i == a ? next : w->outer[i], k_i64(k, d->out[i] - 1));
    KV u = k_min(k, tap_source(k, d, i, o, k_i64(k, d->size[i] - 1)), k_i64(k, d->in[i] - 1));
    y = k_add(k, y, k_mul(k, o, k_i64(k, w->ys[2 + i])));
    x = k_add(k, x, k_mul(k, u, k_i64(k, d->xs[2 + i])));
  }
  y = k_add(k, y, k_mul(k, w->base, k_i64(k, w->ys[2 + last])));
  x = k_add(k, x, k_mul(k, w->base, k_i64(k, d->stride[last] * d->xs[2 + last])));
  for (int j = 0; j < w->count; j++) k_prefetch(k, w->y, k_add(k, y, k_i64(k, j * w->ys[2 + last])));
  for (int64_t j = 0; j < w->count * d->stride[last]; j++)
    k_prefetch(k, w->x, k_add(k, x, k_i64(k, j * d->xs[2 + last])));
}

/* A block of pixels, or the row, for one vector of channels: sums of the taps lo..hi-1 (times the last axis)
 * are fetched, added to, put back. */
static void dw_channels(void *ctx, KFn *k, KV c, KV mask) {
  Dw w = *(const Dw *)ctx;
  const DwShape *d = w.d;
  int a = d->ns - 1;
  int64_t size = d->size[a], n = (w.hi - w.lo) * size;
  w.mask = mask;
  w.xoff = k_add(k, w.xoff, k_mul(k, c, k_i64(k, d->xs[1])));
  w.yoff = k_add(k, w.yoff, k_mul(k, c, k_i64(k, w.ys[1])));
  w.woff = k_add(k, w.woff, k_mul(k, c, k_i64(k, w.os[1])));
  if (w.count) dw_ahead(&w, k, c);
  KV at[DW_MAX_SIZE * 2];
  for (int64_t i = 0; i < n; i++) {
    int64_t off = i % size * w.os[2 + a] + (d->ns > 1 ? i / size * w.os[1 + a] : 0);
    at[i] = k_add(k, w.woff, k_i64(k, off));
    w.acc[i] = k_local(k, K_F32, d->vec, "acc");
    k_set(k, w.acc[i], load_lanes(k, w.out, at[i], 1, d->vec, mask));
  }
  for (int j = 0; j < w.count; j += DW_TILE) {
    int count = w.count - j < DW_TILE ? w.count - j : DW_TILE;
    dw_tile(&w, k, k_add(k, w.base, k_i64(k, j)), w.at < 0 ? -1 : w.at + j, count);
  }
  if (!w.count) each_tile(k, 0, d->out[a], DW_TILE, dw_fits, d, dw_tile, &w);
  for (int64_t i = 0; i < n; i++) store_lanes(k, w.out, at[i], 1, k_get(k, w.acc[i]), d->vec, mask);
}

/* All channels of a block before the next block. */
static void dw_block(void *ctx, KFn *k, KV base, int64_t at, int count) {
  Dw w = *(const Dw *)ctx;
  w.base = base;
  w.at = at;
  w.count = count;
  each_channel(k, w.channel0, dw_slice(w.d), w.d->vec, dw_channels, &w);
}

/* Taps lo..hi-1 along the axis before the last; the caller has seen that they meet the source. */
static void dw_taps(KFn *k, Dw *w, int64_t lo, int64_t hi) {
  const DwShape *d = w->d;
  w->lo = lo;
  w->hi = hi;
  Dw in = *w;
  in.xoff = k_mul(k, w->n, k_i64(k, d->xs[0]));
  in.soff = k_mul(k, w->n, k_i64(k, d->ss[0]));
  in.yoff = k_mul(k, w->n, k_i64(k, w->ys[0]));
  in.woff = w->outoff;
  for (int a = 0; a < d->ns - 1; a++) {
    KV tap = a == d->ns - 2 ? k_i64(k, lo) : w->tap;
    KV u = tap_source(k, d, a, w->outer[a], tap);
    in.xoff = k_add(k, in.xoff, k_mul(k, u, k_i64(k, d->xs[2 + a])));
    in.soff = k_add(k, in.soff, k_mul(k, u, k_i64(k, d->ss[2 + a])));
    in.yoff = k_add(k, in.yoff, k_mul(k, w->outer[a], k_i64(k, w->ys[2 + a])));
    in.woff = k_add(k, in.woff, k_mul(k, tap, k_i64(k, w->os[2 + a])));
  }
  if (d->channels >= DEEP) each_tile(k, 0, d->out[d->ns - 1], DW_BLOCK, dw_fits, d, dw_block, &in);
  else each_channel(k, in.channel0, dw_slice(d), d->vec, dw_channels, &in);
}

/* All taps of one row; those of a group of kernel rows together where the group meets the source, else one by
 * one. */
static void dw_one_row(KFn *k, Dw *w) {
  const DwShape *d = w->d;
  int64_t size = d->size[d->ns - 1], room = k->nregs >= 32 ? 20 : 10;
  if (d->ns == 1) {
    dw_taps(k, w, 0, 1);
    return;
  }
  int a = d->ns - 2;
  int64_t group = room / size > 0 ? room / size : 1;
  if (d->ns == 3) w->tap = k_for(k, tap_first(k, d, 0, w->outer[0]), tap_end(k, d, 0, w->outer[0]), 1);
  KV first = tap_first(k, d, a, w->outer[a]), end = tap_end(k, d, a, w->outer[a]);
  for (int64_t lo = 0; lo < d->size[a]; lo += group) {
    int64_t hi = lo + group < d->size[a] ? lo + group : d->size[a];
    k_if(k, k_and(k, k_le(k, first, k_i64(k, lo)), k_le(k, k_i64(k, hi), end)));
    dw_taps(k, w, lo, hi);
    k_else(k);
    for (int64_t i = lo; i < hi && hi - lo > 1; i++) {
      k_if(k, k_and(k, k_le(k, first, k_i64(k, i)), k_le(k, k_i64(k, i + 1), end)));
      dw_taps(k, w, i, i + 1);
      k_end(k);
    }
    k_end(k);
  }
  if (d->ns == 3) k_end(k);
}

typedef struct {
  KV buf, base;
} Flat;

static void zero_body(void *ctx, KFn *k, const Spot *s) {
  const Flat *z = ctx;
  KV zero = s->vec ? k_splat(k, k_f32(k, 0)) : k_f32(k, 0);
  store_lanes(k, z->buf, k_add(k, z->base, s->at[0]), 1, zero, s->vec, s->mask);
}

/* The partial result of a task starts at 0: all of a sample's sums, wherever its axes lie (sample outermost).
 */
static void dw_zero(KFn *k, const Dw *w, int64_t n) {
  Flat z = {.buf = w->out, .base = w->outoff};
  Spot s = {.vec = true, .mask = K_NONE};
  int64_t full = n / k->lanes * k->lanes;
  if (full) {
    s.at[0] = k_for(k, k_i64(k, 0), k_i64(k, full), k->lanes);
    zero_body(&z, k, &s);
    k_end(k);
  }
  if (full == n) return;
  s.at[0] = k_i64(k, full);
  s.mask = k_first_lanes(k, k_i64(k, n - full));
  zero_body(&z, k, &s);
}

typedef struct {
  KV from, to;
  int64_t parts, count;
} Fold;

static void fold_body(void *ctx, KFn *k, const Spot *s) {
  const Fold *f = ctx;
  KV acc = k_local(k, K_F32, s->vec, "acc");
  k_set(k, acc, load_lanes(k, f->from, s->at[0], 1, s->vec, s->mask));
  KV p = k_for(k, k_i64(k, 1), k_i64(k, f->parts), 1);
  KV at = k_add(k, s->at[0], k_mul(k, p, k_i64(k, f->count)));
  k_set(k, acc, k_add(k, k_get(k, acc), load_lanes(k, f->from, at, 1, s->vec, s->mask)));
  k_end(k);
  store_lanes(k, f->to, s->at[0], 1, k_get(k, acc), s->vec, s->mask);
}

/* Second launch: result = sum of the parts, in order. */
static void emit_fold(Emit *e, const GroupInfo *g, int work, int64_t parts, int64_t count) {
  Build b = build_begin(e, g, "reduce", "reduce:parts%lld_n%lld:f32", (long long)parts, (long long)count);
  int from = build_arg(&b, work, false), to = build_arg(&b, emit_buffer(e, g->anchor), true);
  Box box = {.rank = 1, .chunk = e->machine->task_visits, .extent = {count}};
  for (int isa = build_set(&b, 0); isa < NETC_ISA_COUNT; isa = build_set(&b, isa + 1)) {
    KFn *k = build_kernel(&b, isa);
    Fold f = {from, to, parts, count};
    visit(k, &box, k_task(k), true, fold_body, &f);
  }
  b.kernel.flops = (parts - 1) * count;
  b.kernel.bytes = (parts + 1) * count * 4;
  build_end(&b, visit_tasks(&box));
}

/* Fixed by the shape, never by the number of threads: on the host about 32 tasks, of at least 4 rows. */
static int64_t rows_per_chunk(const Machine *m, int64_t samples, int64_t rows) {
  int64_t chunks = (m->tasks / 2 + samples - 1) / samples;
  int64_t per = (rows + chunks - 1) / chunks;
  return per < m->task_rows ? (rows < m->task_rows ? rows : m->task_rows) : per;
}

bool emit_dw_dw(Emit *e, const GroupInfo *g) {
  const Node *anchor = &e->fn->node[g->anchor], *dy = &e->fn->node[anchor->in[1]];
  DwShape d = {.ns = anchor->type.rank - 2, .channels = anchor->type.dim[1]};
  dw_gate(e->fn, g, anchor->in[0], &d.x, &d.s);
  const Node *x = &e->fn->node[d.x];
  for (int i = 0; i < d.ns; i++) {
    d.size[i] = anchor->type.dim[2 + i];
    d.stride[i] = anchor->at.stride[i];
    d.pad[i] = anchor->at.pad[i];
    d.in[i] = x->type.dim[2 + i];
    d.out[i] = dy->type.dim[2 + i];
  }
  node_strides(x, d.xs);
  if (d.s >= 0) node_strides(&e->fn->node[d.s], d.ss);
  d.vec = channels_inner(x) && channels_inner(dy) && channels_inner(anchor);
  if (!dw_supported(e, &d)) return false;

  int64_t samples = anchor->type.dim[0];
  Dw w = {.d = &d, .total = type_count(anchor->type), .rows = rows_of(&d)};
  node_strides(dy, w.ys);
  node_strides(anchor, w.os);
  w.chunk = rows_per_chunk(e->machine, samples, w.rows);
  w.chunks = (w.rows + w.chunk - 1) / w.chunk;
  int work = w.chunks > 1 ? emit_workspace(e, w.chunks * w.total * 4) : emit_buffer(e, g->anchor);
  char dims[96], win[96];
  Build b = build_begin(e, g, "dw_dw", "dwconv:%s_%s:f32:bwd_w%s", dims_text(x->type, dims),
                        window_text(d.ns, d.size, d.stride, d.pad, win), d.s >= 0 ? ":gate" : "");
  for (int i = 0; i < g->nin; i++) build_arg(&b, emit_buffer(e, g->in[i]), false);
  int out = build_arg(&b, work, true);
  for (int isa = build_set(&b, 0); isa < NETC_ISA_COUNT; isa = build_set(&b, isa + 1)) {
    KFn *k = build_kernel(&b, isa);
    k_opaque_counters(k);
    w.x = arg_of(&b, d.x);
    w.y = arg_of(&b, anchor->in[1]);
    w.s = d.s >= 0 ? arg_of(&b, d.s) : K_NONE;
    w.out = out;
    w.n = k_rem(k, k_task(k), k_i64(k, samples));
    KV part = k_div(k, k_task(k), k_i64(k, samples));
    w.outoff = k_add(k, k_mul(k, part, k_i64(k, w.total)), k_mul(k, w.n, k_i64(k, w.os[0])));
    dw_zero(k, &w, w.total / samples);
    dw_slices(k, &d, &w.channel0);
    KV first = k_mul(k, part, k_i64(k, w.chunk));
    KV row = k_for(k, first, k_min(k, k_add(k, first, k_i64(k, w.chunk)), k_i64(k, w.rows)), 1);
    DwRow place;
    row_place(k, &d, row, &place);
    for (int a = 0; a < d.ns - 1; a++) w.outer[a] = place.outer[a];
    dw_one_row(k, &w);
    k_end(k);
    dw_slices_end(k, &d);
  }
  b.kernel.flops = 2 * node_macs_inside(e->fn, anchor);
  b.kernel.work = 2 * node_macs(e->fn, anchor);
  b.kernel.bytes = group_bytes(e, g);
  build_end(&b, samples * w.chunks);
  if (w.chunks > 1) emit_fold(e, g, work, w.chunks, w.total);
  return true;
}
