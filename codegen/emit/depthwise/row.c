/* row.c - rows of depthwise convolutions. */
#include "codegen/emit/depthwise/row.h"

bool dw_supported(Emit *e, const DwShape *d) {
  for (int a = 0; a < d->ns; a++)
    if (d->stride[a] > DW_MAX_STRIDE || d->size[a] > DW_MAX_SIZE) {
      snprintf(e->err, sizeof e->err,
               "depthwise convolution with stride %lld and kernel extent %lld of spatial axis %d; at most %d "
               "and %d are supported",
               (long long)d->stride[a], (long long)d->size[a], a, DW_MAX_STRIDE, DW_MAX_SIZE);
      return false;
    }
  return true;
}

bool in_group(const GroupInfo *g, int node) {
  for (int i = 0; i < g->nnode; i++)
    if (g->node[i] == node) return true;
  return false;
}

void dw_gate(const Fn *f, const GroupInfo *g, int node, int *x, int *s) {
  const Node *m = &f->node[node];
  *x = node;
  *s = -1;
  if (!in_group(g, node) || m->op != OP_mul) return;
  bool second =
      f->node[m->in[1]].type.dim[1] == 1; /* which operand is the gate; with one channel both may be */
  *x = m->in[second ? 0 : 1];
  *s = m->in[second ? 1 : 0];
}

DwShape dw_shape(const Emit *e, const GroupInfo *g, int node) {
  const Fn *f = e->fn;
  const Node *n = &f->node[node], *w = &f->node[n->in[1]];
  DwShape d = {
      .dx = n->op == OP_dwconv_dx, .ns = n->type.rank - 2, .channels = n->type.dim[1], .w = n->in[1]};
  dw_gate(f, g, n->in[0], &d.x, &d.s);
  const Node *x = &f->node[d.x];
  for (int i = 0; i < d.ns; i++) {
    d.size[i] = w->type.dim[2 + i];
    d.stride[i] = n->at.stride[i];
    d.pad[i] = n->at.pad[i];
    d.in[i] = x->type.dim[2 + i];
    d.out[i] = n->type.dim[2 + i];
  }
  node_strides(x, d.xs);
  node_strides(w, d.ws);
  if (d.s >= 0) node_strides(&f->node[d.s], d.ss);
  d.vec = channels_inner(x) && channels_inner(w) && channels_inner(n);
  return d;
}

/* ---- taps along one axis ----
 * forward: source = stride * o + tap - pad;   adjoint: stride * source + tap - pad = o, so tap = o + pad
 * modulo stride. */
KV tap_first(KFn *k, const DwShape *d, int axis, KV o) {
  KV s = k_i64(k, d->stride[axis]), p = k_i64(k, d->pad[axis]);
  if (!d->dx) return k_max(k, k_i64(k, 0), k_sub(k, p, k_mul(k, o, s)));
  KV q = k_add(k, o, p);
  return k_max(k, k_rem(k, q, s), k_sub(k, q, k_i64(k, d->stride[axis] * (d->in[axis] - 1))));
}

KV tap_end(KFn *k, const DwShape *d, int axis, KV o) {
  KV size = k_i64(k, d->size[axis]), p = k_i64(k, d->pad[axis]);
  if (d->dx) return k_min(k, size, k_add(k, k_add(k, o, p), k_i64(k, 1)));
  KV left = k_sub(k, k_i64(k, d->in[axis] + d->pad[axis]), k_mul(k, o, k_i64(k, d->stride[axis])));
  return k_min(k, size, left);
}

int64_t tap_step(const DwShape *d, int axis) { return d->dx ? d->stride[axis] : 1; }

KV tap_source(KFn *k, const DwShape *d, int axis, KV o, KV tap) {
  KV s = k_i64(k, d->stride[axis]), p = k_i64(k, d->pad[axis]);
  if (!d->dx) return k_sub(k, k_add(k, k_mul(k, o, s), tap), p);
  return k_div(k, k_sub(k, k_add(k, o, p), tap), s);
}

int64_t rows_of(const DwShape *d) {
  int64_t n = 1;
  for (int i = 0; i < d->ns - 1; i++) n *= d->out[i];
  return n;
}

void row_place(KFn *k, const DwShape *d, KV row, DwRow *r) {
  for (int i = d->ns - 2; i >= 0; i--) {
    r->outer[i] = k_rem(k, row, k_i64(k, d->out[i]));
    row = k_div(k, row, k_i64(k, d->out[i]));
  }
  r->n = row;
}

void each_channel(KFn *k, KV channel0, int64_t channels, bool vec, ChannelBody *body, void *ctx) {
  int64_t step = vec ? k->lanes : 1, full = channels / step * step;
  if (full == step) body(ctx, k, channel0, K_NONE);
  else if (full > 0) {
    KV c = k_for(k, channel0, k_add(k, channel0, k_i64(k, full)), step);
    body(ctx, k, c, K_NONE);
    k_end(k);
  }
  if (full == channels) return;
  body(ctx, k, k_add(k, channel0, k_i64(k, full)), k_first_lanes(k, k_i64(k, channels - full)));
}

/* ---- slices of channels ---- */

/* The rows of the source that a row and the next one read, and a row of the other operand or of the result. Rows of many
 * models are the same number of bytes, 200 KB, in all of their layers: five of them fill a second-level cache. */
int64_t dw_slice(const DwShape *d) {
  enum { NEAR = 320 << 10, WHOLE = 16 };
  int last = d->ns - 1;
  int64_t rows = 2, pixels = d->in[last] > d->out[last] ? d->in[last] : d->out[last];
  for (int a = 0; a < last; a++) rows *= a == last - 1 ? 1 : d->size[a];
  if (last > 0) rows += (d->size[last - 1] - 1) * rows / 2;
  int64_t most = NEAR / (4 * rows * pixels), slice = d->channels;
  if (!d->vec || slice % WHOLE) return slice;
  while (slice > WHOLE && (slice > most || d->channels % slice)) slice -= WHOLE;
  return slice;
}

void dw_slices(KFn *k, const DwShape *d, KV *channel0) {
  int64_t slice = dw_slice(d);
  *channel0 = k_i64(k, 0);
  if (slice < d->channels) *channel0 = k_for(k, *channel0, k_i64(k, d->channels), slice);
}

void dw_slices_end(KFn *k, const DwShape *d) {
  if (dw_slice(d) < d->channels) k_end(k);
}

void each_tile(KFn *k, int64_t lo, int64_t hi, int tile, bool (*fits)(const DwShape *, int64_t at, int count),
               const DwShape *d, TileBody *body, void *ctx) {
  int64_t at = lo;
  while (at < hi) {
    int count = hi - at < tile ? (int)(hi - at) : tile;
    int64_t end = at;
    while (end + tile <= hi && fits(d, end, tile)) end += tile;
    if (end <= at + tile) {
      body(ctx, k, k_i64(k, at), at, count);
      at += count;
      continue;
    }
    KV base = k_for(k, k_i64(k, at), k_i64(k, end), tile);
    body(ctx, k, base, -1, tile);
    k_end(k);
    at = end;
  }
}

/* ---- the row ---- */

/* Source pixel of result j of a tile and tap i along the last axis, relative to tile_source; -1 << 30: this
 * tap does not meet this result (adjoint with stride). Tiles start at multiples of the stride in the adjoint.
 */
enum { NO_TAP = -(1 << 30) };
static int64_t relative(const DwShape *d, int64_t j, int64_t i) {
  int a = d->ns - 1;
  if (!d->dx) return d->stride[a] * j + i - d->pad[a];
  int64_t q = j + d->pad[a] - i, s = d->stride[a];
  if (q % s) return NO_TAP;
  return q / s;
}

static int64_t tile_source(const DwShape *d, int64_t at) {
  return d->dx ? at / d->stride[d->ns - 1] : at * d->stride[d->ns - 1];
}

static bool row_fits(const DwShape *d, int64_t at, int count) {
  int a = d->ns - 1;
  for (int j = 0; j < count; j++)
    for (int64_t i = 0; i < d->size[a]; i++) {
      int64_t t = relative(d, j, i);
      if (t != NO_TAP && (tile_source(d, at) + t < 0 || tile_source(d, at) + t >= d->in[a])) return false;
    }
  return true;
}

typedef struct {
  const DwRow *r;
  DwSink *sink;
  void *ctx;
  KV base;    /* first result of the tile */
  int64_t at; /* the same at compile time, or -1 */
  int count;
} Tile;

/* Does tap i of result j meet the source? In looped tiles all do, but for the strides of the adjoint. */
static bool meets(const Tile *t, int j, int64_t i, int64_t *rel) {
  const DwShape *d = t->r->shape;
  *rel = relative(d, j, i);
  if (*rel == NO_TAP) return false;
  int64_t u = tile_source(d, t->at) + *rel;
  return t->at < 0 || (u >= 0 && u < d->in[d->ns - 1]);
}

static KV load_pixel(KFn *k, const Tile *t, KV xoff, KV soff, int64_t rel, KV mask) {
  const DwShape *d = t->r->shape;
  int a = d->ns + 1;
  KV v = load_lanes(k, t->r->x, k_add(k, xoff, k_i64(k, rel * d->xs[a])), 1, d->vec, mask);
  if (t->r->s == K_NONE) return v;
  KV s = k_load(k, t->r->s, k_add(k, soff, k_i64(k, rel * d->ss[a])), false);
  return k_mul(k, v, s);
}

/* All taps along the last axis, at one place of the others: every source pixel is loaded once. */
static void tile_taps(KFn *k, const Tile *t, KV xoff, KV soff, KV woff, KV mask, const KV *acc) {
  const DwShape *d = t->r->shape;
  int64_t size = d->size[d->ns - 1], first = INT64_MAX, last = INT64_MIN, rel;
  KV w[DW_MAX_SIZE];
  for (int64_t i = 0; i < size; i++) {
    bool used = false;
    for (int j = 0; j < t->count; j++)
      if (meets(t, j, i, &rel)) {
        used = true;
        first = rel < first ? rel : first;
        last = rel > last ? rel : last;
      }
    if (used) w[i] = load_lanes(k, t->r->w, k_add(k, woff, k_i64(k, i * d->ws[d->ns + 1])), 1, d->vec, mask);
  }
  for (int64_t u = first; u <= last; u++) {
    KV v = K_NONE;
    for (int j = 0; j < t->count; j++)
      for (int64_t i = 0; i < size; i++) {
        if (!meets(t, j, i, &rel) || rel != u) continue;
        if (v == K_NONE) v = load_pixel(k, t, xoff, soff, u, mask);
        k_set(k, acc[j], k_fma(k, v, w[i], k_get(k, acc[j])));
      }
  }
}

/* Asks for what the same tile of the next row reads and this one does not: a row of the source. Where pixels are many
 * channels apart a tile meets few lines of many pages, in no order that the processor would guess. */
static void prefetch_source(KFn *k, const Tile *t, KV c, KV src) {
  const DwRow *r = t->r;
  const DwShape *d = r->shape;
  int last = d->ns - 1;
  if (!r->prefetch || last == 0 || !d->vec) return;
  KV at = k_add(k, k_mul(k, r->n, k_i64(k, d->xs[0])), k_mul(k, c, k_i64(k, d->xs[1])));
  at = k_add(k, at, k_mul(k, src, k_i64(k, d->xs[2 + last])));
  for (int a = 0; a < last; a++) {
    KV o = a == last - 1 ? k_add(k, r->outer[a], k_i64(k, 1)) : r->outer[a];
    KV tap = k_i64(k, d->size[a] - 1);
    if (d->dx) tap = k_rem(k, k_add(k, o, k_i64(k, d->pad[a])), k_i64(k, d->stride[a]));
    KV u = k_min(k, tap_source(k, d, a, o, tap), k_i64(k, d->in[a] - 1));
    at = k_add(k, at, k_mul(k, u, k_i64(k, d->xs[2 + a])));
  }
  int64_t s = d->stride[last], pixels = d->dx ? (t->count + s - 1) / s : t->count * s;
  for (int64_t j = 0; j < pixels; j++) k_prefetch(k, r->x, k_add(k, at, k_i64(k, j * d->xs[2 + last])));
}

static void tile_channels(void *ctx, KFn *k, KV c, KV mask) {
  const Tile *t = ctx;
  const DwRow *r = t->r;
  const DwShape *d = r->shape;
  KV acc[DW_MAX_STRIDE];
  for (int j = 0; j < t->count; j++) {
    acc[j] = k_local(k, K_F32, d->vec, "acc");
    k_set(k, acc[j], k_f32(k, 0));
  }
  int last = d->ns - 1;
  KV src = t->at >= 0 ? k_i64(k, tile_source(d, t->at))
           : d->dx    ? k_div(k, t->base, k_i64(k, d->stride[last]))
                      : k_mul(k, t->base, k_i64(k, d->stride[last]));
  prefetch_source(k, t, c, src);
  KV xoff = k_add(k, k_mul(k, r->n, k_i64(k, d->xs[0])), k_mul(k, c, k_i64(k, d->xs[1])));
  KV soff = k_mul(k, r->n, k_i64(k, d->ss[0]));
  KV woff = k_add(k, k_mul(k, r->n, k_i64(k, d->ws[0])), k_mul(k, c, k_i64(k, d->ws[1])));
  xoff = k_add(k, xoff, k_mul(k, src, k_i64(k, d->xs[2 + last])));
  soff = k_add(k, soff, k_mul(k, src, k_i64(k, d->ss[2 + last])));
  for (int a = 0; a < last; a++) {
    KV i = k_for(k, tap_first(k, d, a, r->outer[a]), tap_end(k, d, a, r->outer[a]), tap_step(d, a));
    KV u = tap_source(k, d, a, r->outer[a], i);
    xoff = k_add(k, xoff, k_mul(k, u, k_i64(k, d->xs[2 + a])));
    soff = k_add(k, soff, k_mul(k, u, k_i64(k, d->ss[2 + a])));
    woff = k_add(k, woff, k_mul(k, i, k_i64(k, d->ws[2 + a])));
  }
  tile_taps(k, t, xoff, soff, woff, mask, acc);
  for (int a = 0; a < last; a++) k_end(k);
  for (int j = 0; j < t->count; j++) {
    DwAt at = {k_add(k, t->base, k_i64(k, j)), c, d->vec, mask};
    t->sink(t->ctx, k, &at, k_get(k, acc[j]));
  }
}

static void row_tile(void *ctx, KFn *k, KV base, int64_t at, int count) {
  Tile t = *(const Tile *)ctx;
  t.base = base;
  t.at = at;
  t.count = count;
  each_channel(k, t.r->channel0, t.r->channels, t.r->shape->vec, tile_channels, &t);
}

/* Eight accumulators, the weights of one kernel row, a pixel and its gate fit 16 registers. */
static int tile_size(const DwShape *d) {
  int64_t s = d->dx ? d->stride[d->ns - 1] : 1;
  return s > 8 ? (int)s : (int)(8 / s * s);
}

void dw_row(KFn *k, const DwRow *r, int64_t lo, int64_t hi, DwSink *sink, void *ctx) {
  Tile t = {.r = r, .sink = sink, .ctx = ctx};
  each_tile(k, lo, hi, tile_size(r->shape), row_fits, r->shape, row_tile, &t);
}

bool dw_row_is_inside(const DwShape *d, int64_t lo, int64_t hi) { return row_fits(d, lo, (int)(hi - lo)); }

void dw_row_inside(KFn *k, const DwRow *r, KV lo, int64_t count, DwSink *sink, void *ctx) {
  Tile t = {.r = r, .sink = sink, .ctx = ctx};
  int tile = tile_size(r->shape);
  int64_t full = count / tile * tile;
  KV end = k_add(k, lo, k_i64(k, full));
  if (full) {
    KV base = k_for(k, lo, end, tile);
    row_tile(&t, k, base, -1, tile);
    k_end(k);
  }
  if (full < count) row_tile(&t, k, end, -1, (int)(count - full));
}
