/* wgrad.c - G_DEPTHWISE_WGRAD: the adjoint of depthwise convolutions in their kernels,
 *
 *   dw[n,c,i] = sum over o of dy[n,c,o] x[n,c,stride*o+i-pad].
 *
 * A task takes a chunk of rows of one sample and keeps its sums in its own partial result, from where a few
 * kernel taps at a time are held in registers for one row. Partial results are added in order by a second
 * launch (codegen/emit/core/sum_parts.h): the tree depends on the shape only. Operands are read once from
 * memory, rows again from cache. */
#include "codegen/emit/core/sum_parts.h"
#include "codegen/emit/depthwise/row.h"

typedef struct {
  const DwShape *d;
  int64_t ys[MAX_RANK], os[MAX_RANK]; /* strides of dy and of the result */
  int64_t total, rows, chunk, chunks; /* elements of the result, rows of a sample, rows of a chunk, chunks */
  KV x, s, y, out;
  KV n, outer[MAX_SPATIAL], outoff;
  KV tap;                    /* tap along the first of three axes */
  int64_t lo, hi;            /* taps along the axis before the last that are summed together, */
  int together;              /* for so many neighbouring rows of dy along that axis */
  KV xoff, soff, yoff, woff; /* offsets of the row: of source pixel 0 at tap lo, of dy, of the result */
  KV channel0, mask;         /* first channel of the slice */
  bool simt;
  int block;  /* pixels of a block; 0: the whole row */
  KV base;    /* the block: its first pixel, */
  int64_t at; /* the same at compile time or -1, */
  int count;  /* and its pixels; 0: no blocks */
  KV acc[DW_MAX_SIZE * 2];
} DwWgrad;

/* dy of DW_TILE pixels of each row is in registers at a time. On the host a block is one such tile: all
 * vectors of channels of it, then the next, in the order the operands lie in memory, a block of each row
 * asked for AHEAD blocks before it is read. Where lanes are threads other warps hide that: sums stay in
 * registers for a row, with DEEP channels or more for WARP_BLOCK pixels. */
enum { DW_TILE = 4, MOST_ROWS = 4, AHEAD = 2, DEEP = 64, WARP_BLOCK = 16 };

static int dw_block_pixels(const DwShape *d, bool simt) {
  if (simt) return d->channels >= DEEP ? WARP_BLOCK : 0;
  return d->vec ? DW_TILE : 0;
}

static bool dw_fits(const DwShape *d, int64_t at, int count) {
  int a = d->ns - 1;
  return at * d->geom.stride[a] >= d->geom.pad[a] &&
         (at + count - 1) * d->geom.stride[a] + d->size[a] - 1 - d->geom.pad[a] < d->in[a];
}

/* x of a pixel in a row of the source, counted from the one that tap lo of the first row of dy meets;
 * gated. */
static KV dw_pixel(const DwWgrad *w, KFn *k, KV pixel, int64_t row) {
  const DwShape *d = w->d;
  int a = d->ns - 1;
  int64_t up = d->ns > 1 ? row : 0;
  KV at = k_add(k, w->xoff, k_mul(k, pixel, k_i64(k, d->xs[2 + a])));
  KV v = load_lanes(k, w->x, k_add(k, at, k_i64(k, up * d->xs[1 + a])), 1, d->vec, w->mask);
  if (w->s == K_NONE) return v;
  KV soff = k_add(k, w->soff, k_mul(k, pixel, k_i64(k, d->ss[2 + a])));
  return k_mul(k, v, k_load(k, w->s, k_add(k, soff, k_i64(k, up * d->ss[1 + a])), false));
}

/* Steps from a row to the next: of dy, of the source. */
static int64_t dy_row(const DwWgrad *w) { return w->d->ns > 1 ? w->ys[w->d->ns] : 0; }
static int64_t source_rows(const DwWgrad *w) { return w->d->ns > 1 ? w->d->geom.stride[w->d->ns - 2] : 1; }

/* Asks for what the next block of the rows reads and no row before them has read. Between the multiply-adds
 * of a tile, not all at once: a load that waits for such requests would wait long. */
static void prefetch_rows(const DwWgrad *w, KFn *k, KV base, int count) {
  const DwShape *d = w->d;
  int a = d->ns - 1;
  int64_t last = source_rows(w) * (w->together - 1) + w->hi - w->lo, step = source_rows(w);
  KV next = k_add(k, base, k_i64(k, AHEAD * DW_TILE));
  KV y = k_add(k, w->yoff, k_mul(k, next, k_i64(k, w->ys[2 + a])));
  KV x = k_add(k, w->xoff, k_mul(k, next, k_i64(k, d->geom.stride[a] * d->xs[2 + a])));
  for (int r = 0; r < w->together; r++)
    for (int j = 0; j < count; j++)
      k_prefetch_near(k, w->y, k_add(k, y, k_i64(k, r * dy_row(w) + j * w->ys[2 + a])));
  for (int64_t row = last - step * w->together > 0 ? last - step * w->together : 0; row < last; row++)
    for (int64_t j = 0; j < count * d->geom.stride[a]; j++)
      k_prefetch_near(k, w->x, k_add(k, x, k_i64(k, row * d->xs[1 + a] + j * d->xs[2 + a])));
}

/* A few pixels of dy, of each row, against all taps in hand. Every pixel of x is loaded once. */
static void dw_tile(void *ctx, KFn *k, KV base, int64_t at, int count) {
  const DwWgrad *w = ctx;
  const DwShape *d = w->d;
  int a = d->ns - 1;
  int64_t size = d->size[a], s = d->geom.stride[a];
  KV dy[MOST_ROWS][DW_TILE];
  KV yoff = k_add(k, w->yoff, k_mul(k, base, k_i64(k, w->ys[2 + a])));
  for (int r = 0; r < w->together; r++)
    for (int j = 0; j < count; j++) {
      KV from = k_add(k, yoff, k_i64(k, r * dy_row(w) + j * w->ys[2 + a]));
      dy[r][j] = load_lanes(k, w->y, from, 1, d->vec, w->mask);
    }
  if (!w->simt && d->vec) prefetch_rows(w, k, base, count);
  for (int64_t u = -d->geom.pad[a]; u < s * (count - 1) + size - d->geom.pad[a]; u++) {
    if (at >= 0 && (at * s + u < 0 || at * s + u >= d->in[a])) continue;
    KV pixel = k_add(k, k_mul(k, base, k_i64(k, s)), k_i64(k, u));
    for (int64_t q = 0; q < source_rows(w) * (w->together - 1) + w->hi - w->lo; q++) {
      KV v = K_NONE;
      for (int r = 0; r < w->together; r++)
        for (int j = 0; j < count; j++) {
          int64_t i = u + d->geom.pad[a] - s * j, h = q - source_rows(w) * r;
          if (i < 0 || i >= size || h < 0 || h >= w->hi - w->lo) continue;
          if (v == K_NONE) v = dw_pixel(w, k, pixel, q);
          KV acc = w->acc[h * size + i];
          k_set(k, acc, k_fma(k, v, dy[r][j], k_get(k, acc)));
        }
    }
  }
}

/* A block of pixels, or the row, for one vector of channels: sums of the taps lo..hi-1 (times the last axis)
 * are fetched, added to, put back. */
static void dw_channels(void *ctx, KFn *k, KV c, KV mask) {
  DwWgrad w = *(const DwWgrad *)ctx;
  const DwShape *d = w.d;
  int a = d->ns - 1;
  int64_t size = d->size[a], n = (w.hi - w.lo) * size;
  w.mask = mask;
  w.xoff = k_add(k, w.xoff, k_mul(k, c, k_i64(k, d->xs[1])));
  w.yoff = k_add(k, w.yoff, k_mul(k, c, k_i64(k, w.ys[1])));
  w.woff = k_add(k, w.woff, k_mul(k, c, k_i64(k, w.os[1])));
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
  DwWgrad w = *(const DwWgrad *)ctx;
  w.base = base;
  w.at = at;
  w.count = count;
  each_channel(k, w.channel0, dw_slice(w.d), w.d->vec, dw_channels, &w);
}

/* Taps lo..hi-1 along the axis before the last; the caller has seen that they meet the source. */
static void dw_taps(KFn *k, DwWgrad *w, int64_t lo, int64_t hi) {
  const DwShape *d = w->d;
  w->lo = lo;
  w->hi = hi;
  DwWgrad in = *w;
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
  if (w->block) each_tile(k, 0, d->out[d->ns - 1], w->block, dw_fits, d, dw_block, &in);
  else each_channel(k, in.channel0, dw_slice(d), d->vec, dw_channels, &in);
}

/* Taps along the axis before the last that are summed together. */
static int64_t dw_group(const KFn *k, const DwShape *d) {
  int64_t size = d->size[d->ns - 1], room = k->nregs >= 32 ? 20 : 10;
  return room / size > 0 ? room / size : 1;
}

/* Opens the loop over taps of the first of three axes. */
static void dw_planes(KFn *k, DwWgrad *w) {
  const DwShape *d = w->d;
  if (d->ns == 3) w->tap = k_for(k, tap_first(k, d, 0, w->outer[0]), tap_end(k, d, 0, w->outer[0]), 1);
}

/* All taps of one row; those of a group of kernel rows together where the group meets the source, else one by
 * one. */
static void dw_one_row(KFn *k, DwWgrad *w) {
  const DwShape *d = w->d;
  w->together = 1;
  if (d->ns == 1) {
    dw_taps(k, w, 0, 1);
    return;
  }
  int a = d->ns - 2;
  int64_t group = dw_group(k, d);
  dw_planes(k, w);
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

/* Rows of dy that are summed together: as many as their tiles and the sums leave registers for. Together they
 * read a row of x once that one by one they would read, from the second-level cache, as often as the kernel
 * has rows. Deep pixels of many rows at once would crowd each other out of the first-level cache. */
static int dw_rows(const KFn *k, const DwWgrad *w) {
  enum { OTHERS = 3, DEEP_ROWS = 2 };
  const DwShape *d = w->d;
  if (w->simt || !d->vec || d->ns == 1) return 1;
  int64_t taps = dw_group(k, d) < d->size[d->ns - 2] ? dw_group(k, d) : d->size[d->ns - 2];
  int64_t room = (k->nregs - OTHERS - taps * d->size[d->ns - 1]) / DW_TILE;
  int64_t most = d->channels >= DEEP ? DEEP_ROWS : MOST_ROWS;
  return room < 1 ? 1 : (int)(room < most ? room : most);
}

/* `rows` rows from w->outer on, all of whose taps meet the source along that axis. */
static void dw_many_rows(KFn *k, DwWgrad *w, int rows) {
  const DwShape *d = w->d;
  int64_t size = d->size[d->ns - 2], group = dw_group(k, d);
  w->together = rows;
  dw_planes(k, w);
  for (int64_t lo = 0; lo < size; lo += group) dw_taps(k, w, lo, lo + group < size ? lo + group : size);
  if (d->ns == 3) k_end(k);
}

/* Rows first <= . < end of a plane: those inside it together as far as they go, the others one by one. */
static void dw_plane(KFn *k, DwWgrad *w, KV first, KV end, int rows) {
  const DwShape *d = w->d;
  int a = d->ns - 2;
  KV stop = first;
  if (rows > 1) {
    int64_t s = d->geom.stride[a], top = (d->geom.pad[a] + s - 1) / s,
            room = d->in[a] + d->geom.pad[a] - d->size[a];
    int64_t bottom = room < 0 ? 0 : room / s + 1;
    KV lo = k_min(k, k_max(k, first, k_i64(k, top)), end), hi = k_max(k, k_min(k, end, k_i64(k, bottom)), lo);
    hi = k_sub(k, hi, k_rem(k, k_sub(k, hi, lo), k_i64(k, rows)));
    w->outer[a] = k_for(k, lo, hi, rows);
    dw_many_rows(k, w, rows);
    k_end(k);
    /* What is left: first .. lo - 1 and hi .. end - 1. */
    KV side = k_for(k, k_i64(k, 0), k_i64(k, 2), 1), above = k_eq(k, side, k_i64(k, 0));
    first = k_select(k, above, first, hi);
    stop = k_select(k, above, lo, end);
  } else stop = end;
  w->outer[a] = k_for(k, first, stop, 1);
  dw_one_row(k, w);
  k_end(k);
  if (rows > 1) k_end(k);
}

/* Rows first <= . < end of a sample, plane after plane. */
static void dw_chunk(KFn *k, DwWgrad *w, KV first, KV end) {
  const DwShape *d = w->d;
  int rows = dw_rows(k, w);
  if (d->ns == 1) {
    dw_one_row(k, w);
    return;
  }
  if (d->ns == 2) {
    dw_plane(k, w, first, end, rows);
    return;
  }
  KV high = k_i64(k, d->out[1]);
  w->outer[0] = k_for(k, k_div(k, first, high), k_div(k, k_add(k, end, k_i64(k, d->out[1] - 1)), high), 1);
  KV start = k_mul(k, w->outer[0], high);
  dw_plane(k, w, k_max(k, k_sub(k, first, start), k_i64(k, 0)), k_min(k, k_sub(k, end, start), high), rows);
  k_end(k);
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
static void dw_zero(KFn *k, const DwWgrad *w, int64_t n) {
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

/* Fixed by the shape, never by the number of threads: on the host about 32 tasks, of at least 4 rows. */
static int64_t rows_per_chunk(const Machine *m, int64_t samples, int64_t rows) {
  int64_t chunks = (m->tasks / 2 + samples - 1) / samples;
  int64_t per = (rows + chunks - 1) / chunks;
  return per < m->task_rows ? (rows < m->task_rows ? rows : m->task_rows) : per;
}

bool emit_depthwise_wgrad(Emit *e, const GroupInfo *g) {
  const Node *anchor = &e->fn->node[g->anchor], *dy = &e->fn->node[anchor->in[1]];
  DwShape d = {.ns = anchor->type.rank - 2, .channels = anchor->type.dim[1], .geom = anchor->at.geom};
  dw_gate(e->fn, g, anchor->in[0], &d.x, &d.s);
  const Node *x = &e->fn->node[d.x];
  for (int i = 0; i < d.ns; i++) {
    d.size[i] = anchor->type.dim[2 + i];
    d.in[i] = x->type.dim[2 + i];
    d.out[i] = dy->type.dim[2 + i];
  }
  node_strides(x, d.xs);
  if (d.s >= 0) node_strides(&e->fn->node[d.s], d.ss);
  d.vec = channels_inner(x) && channels_inner(dy) && channels_inner(anchor);
  if (!dw_supported(e, &d)) return false;

  int64_t samples = anchor->type.dim[0];
  DwWgrad w = {.d = &d, .total = type_count(anchor->type), .rows = rows_of(&d)};
  node_strides(dy, w.ys);
  node_strides(anchor, w.os);
  w.simt = e->machine->simt;
  w.block = dw_block_pixels(&d, w.simt);
  w.chunk = rows_per_chunk(e->machine, samples, w.rows);
  w.chunks = (w.rows + w.chunk - 1) / w.chunk;
  int work = w.chunks > 1 ? emit_workspace(e, w.chunks * w.total * 4) : emit_buffer(e, g->anchor);
  char dims[96], win[96];
  Build b = build_begin(e, g, "dw_dw", "dwconv:%s_%s:f32:bwd_w%s", dims_text(x->type, dims),
                        window_text(d.ns, d.size, &d.geom, win), d.s >= 0 ? ":gate" : "");
  for (int i = 0; i < g->nin; i++) build_arg(&b, emit_buffer(e, g->in[i]), false);
  int out = build_arg(&b, work, true);
  EACH_ISA (isa, &b) {
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
    KV end = k_min(k, k_add(k, first, k_i64(k, w.chunk)), k_i64(k, w.rows));
    dw_chunk(k, &w, first, end);
    dw_slices_end(k, &d);
  }
  b.kernel.flops = 2 * node_macs_inside(e->fn, anchor);
  b.kernel.work = 2 * node_macs(e->fn, anchor);
  b.kernel.bytes = group_bytes(e, g);
  build_end(&b, samples * w.chunks);
  if (w.chunks > 1) sum_parts_plain(e, g, w.total, w.chunks, work, emit_buffer(e, g->anchor));
  return true;
}
