/* runs.c - runs of depthwise results (runs.h). */
#include "codegen/emit/tensor_core/runs.h"
#include "ir/ints.h"

enum {
  MOST_ROWS = 9,
  MOST_SPAN = 32
}; /* rows of a kernel; pixels of a row of the source that a run reads: a lane each */

static int64_t kernel_rows(const DwShape *d) {
  int64_t n = 1;
  for (int a = 0; a < d->ns - 1; a++) n *= d->size[a];
  return n;
}

static int64_t span_of(const DwShape *d, int64_t pixels) {
  return (pixels - 1) * d->geom.stride[d->ns - 1] + d->size[d->ns - 1];
}

bool dw_runs_take(const Emit *e, const DwShape *d) {
  const Type *x = &e->fn->node[d->x].type;
  return d->vec && !d->dx && kernel_rows(d) <= MOST_ROWS && span_of(d, DW_RUN_MOST) <= MOST_SPAN &&
         (d->s < 0 || d->ss[d->ns + 1] == 1) && type_count(*x) < (int64_t)1 << 40;
}

/* ---- boxes ---- */

static double cost(const DwRuns *r) {
  double inner = 1, around = 1, boxes = 1;
  for (int a = 0; a < r->d.ns; a++) {
    inner *= (double)r->box[a];
    around *= (double)((r->box[a] - 1) * r->d.geom.stride[a] + r->d.size[a]);
    boxes *= (double)r->count[a];
  }
  return boxes * (3 * inner + around);
}

double dw_runs_cost(const DwRuns *r) { return cost(r); }

/* Tries all extents of axes a.. with `places` pixels left to them. */
static void best_box(DwRuns *r, DwRuns *best, int a, int64_t places) {
  int last = r->d.ns - 1;
  for (int64_t n = 1; n <= places; n *= 2) {
    if (a == last && n < places) continue;
    if (a == last && n < r->pixels) return;
    r->box[a] = n, r->count[a] = ceil_div(r->d.out[a], n);
    if (a < last) best_box(r, best, a + 1, places / n);
    else if (!best->boxes || cost(r) < cost(best)) *best = *r, best->boxes = 1;
  }
}

DwRuns dw_runs(const DwShape *d, int64_t places) {
  DwRuns r = {.d = *d, .pixels = DW_RUN_MOST, .x = K_NONE, .w = K_NONE, .s = K_NONE}, best = {0};
  while (r.pixels > 1 && r.pixels / 2 >= d->out[d->ns - 1]) r.pixels /= 2;
  best_box(&r, &best, 0, places);
  for (int a = 0; a < d->ns; a++) best.boxes *= best.count[a];
  return best;
}

void dw_runs_box(KFn *k, const DwRuns *r, KV number, KV *n, KV *at) {
  for (int a = r->d.ns - 1; a >= 0; a--) {
    KV count = k_i64(k, r->count[a]);
    at[a] = k_mul(k, k_rem(k, number, count), k_i64(k, r->box[a]));
    number = k_div(k, number, count);
  }
  *n = number;
}

void dw_runs_place(KFn *k, const DwRuns *r, KV place, const KV *box_at, KV *at) {
  for (int a = r->d.ns - 1; a >= 0; a--) {
    KV size = k_i64(k, r->box[a]);
    at[a] = k_add(k, box_at[a], a ? k_rem(k, place, size) : place);
    place = k_div(k, place, size);
  }
}

/* ---- a run ---- */

typedef struct {
  KFn *k;
  const DwRuns *r;
  KV x, w, s; /* elements: of the source at the first tap of the first pixel, of the kernel, of the gate */
  KV source[MAX_SPATIAL]; /* there, its coordinates */
  KV channels;            /* mask of the lanes that have one, K_NONE: all */
  bool inside;
  KV columns; /* the same as lanes, for gates */
  KV *sum;    /* values, or locals unless inside */
} Run;

static KV load(const Run *c, KV buf, KV at, KV mask) {
  return mask == K_NONE ? k_load(c->k, buf, at, true) : k_load_masked(c->k, buf, at, mask);
}

static void add_to(const Run *c, int p, KV x, KV w) {
  KFn *k = c->k;
  if (!c->inside) k_set(k, c->sum[p], k_fma(k, x, w, k_get(k, c->sum[p])));
  else c->sum[p] = c->sum[p] == K_NONE ? k_mul(k, x, w) : k_fma(k, x, w, c->sum[p]);
}

/* The lanes that load pixel u of a row: those that have a channel, if it is there. Where it is asked for, as few masks are at hand. */
static KV column(const Run *c, int64_t u) {
  KFn *k = c->k;
  int last = c->r->d.ns - 1;
  if (c->inside) return K_NONE;
  KV at = k_add(k, c->source[last], k_i64(k, u));
  KV there = k_and(k, k_le(k, k_i64(k, 0), at), k_lt(k, at, k_i64(k, c->r->d.in[last])));
  return k_and(k, k_splat(k, there), c->channels);
}

/* The taps of a row of the kernel: x, w, s are elements of its first one. */
static void row_taps(Run *c, KV x_at, KV w_at, KV s_at) {
  KFn *k = c->k;
  const DwShape *d = &c->r->d;
  int last = d->ns - 1;
  int64_t st = d->geom.stride[last], span = span_of(d, c->r->pixels);
  KV w[MOST_SPAN], gate = K_NONE;
  if (c->r->s != K_NONE) gate = k_load_masked(k, c->r->s, s_at, c->columns);
  for (int64_t t = 0; t < d->size[last]; t++)
    w[t] = load(c, c->r->w, k_add(k, w_at, k_i64(k, t * d->ws[2 + last])), c->channels);
  for (int64_t u = 0; u < span; u++) {
    KV x = K_NONE;
    for (int p = 0; p < c->r->pixels; p++) {
      int64_t t = u - p * st;
      if (t < 0 || t >= d->size[last]) continue;
      if (x == K_NONE) {
        x = load(c, c->r->x, k_add(k, x_at, k_i64(k, u * d->xs[2 + last])), column(c, u));
        if (gate != K_NONE) x = k_mul(k, x, k_lane(k, gate, (int)u));
      }
      add_to(c, p, x, w[t]);
    }
  }
}

/* All rows of the kernel, one after the other; `met`: does the source have the rows so far? */
static void rows(Run *c, int a, KV x_at, KV w_at, KV s_at, KV met) {
  KFn *k = c->k;
  const DwShape *d = &c->r->d;
  if (a == d->ns - 1) {
    if (met != K_NONE) k_if(k, met);
    row_taps(c, x_at, w_at, s_at);
    if (met != K_NONE) k_end(k);
    return;
  }
  for (int64_t t = 0; t < d->size[a]; t++) {
    KV also = met;
    if (!c->inside) {
      KV at = k_add(k, c->source[a], k_i64(k, t));
      also = k_and(k, k_le(k, k_i64(k, 0), at), k_lt(k, at, k_i64(k, d->in[a])));
      if (met != K_NONE) also = k_and(k, met, also);
    }
    rows(c, a + 1, k_add(k, x_at, k_i64(k, t * d->xs[2 + a])), k_add(k, w_at, k_i64(k, t * d->ws[2 + a])),
         d->s >= 0 ? k_add(k, s_at, k_i64(k, t * d->ss[2 + a])) : K_NONE, also);
  }
}

/* Which pixels of a row are there, a lane each. */
static void find_columns(Run *c) {
  KFn *k = c->k;
  const DwShape *d = &c->r->d;
  KV end = k_splat(k, k_i32(k, (int32_t)d->in[d->ns - 1]));
  KV lane = k_add(k, k_iota(k), k_splat(k, k_cast(k, K_I32, c->source[d->ns - 1])));
  c->columns = k_and(k, k_le(k, k_splat(k, k_i32(k, 0)), lane), k_lt(k, lane, end));
  c->columns = k_and(k, c->columns, k_first_lanes(k, k_i32(k, (int32_t)span_of(d, c->r->pixels))));
}

/* Are all taps of the run's pixels, and the 32 channels, there? */
static KV all_inside(const Run *c, KV channel) {
  KFn *k = c->k;
  const DwShape *d = &c->r->d;
  KV all = k_le(k, channel, k_i64(k, d->channels - k->lanes));
  for (int a = 0; a < d->ns; a++) {
    int64_t reach = a == d->ns - 1 ? span_of(d, c->r->pixels) : d->size[a];
    all = k_and(k, all, k_le(k, k_i64(k, 0), c->source[a]));
    all = k_and(k, all, k_le(k, c->source[a], k_i64(k, d->in[a] - reach)));
  }
  return all;
}

void dw_run(KFn *k, const DwRuns *r, KV n, const KV *at, KV channel, KV *sum) {
  const DwShape *d = &r->d;
  Run c = {.k = k, .r = r, .channels = K_NONE, .inside = true, .sum = sum};
  KV result[DW_RUN_MOST], x = k_add(k, k_mul(k, n, k_i64(k, d->xs[0])), channel), s = K_NONE;
  KV w = k_add(k, k_mul(k, n, k_i64(k, d->ws[0])), channel);
  if (d->s >= 0) s = k_mul(k, n, k_i64(k, d->ss[0]));
  for (int a = 0; a < d->ns; a++) {
    c.source[a] = k_sub(k, k_mul(k, at[a], k_i64(k, d->geom.stride[a])), k_i64(k, d->geom.pad[a]));
    x = k_add(k, x, k_mul(k, c.source[a], k_i64(k, d->xs[2 + a])));
    if (d->s >= 0) s = k_add(k, s, k_mul(k, c.source[a], k_i64(k, d->ss[2 + a])));
  }
  for (int p = 0; p < r->pixels; p++) result[p] = k_local(k, K_F32, true, "depthwise"), sum[p] = K_NONE;
  c.columns = k_first_lanes(k, k_i32(k, (int32_t)span_of(d, r->pixels)));
  k_if(k, all_inside(&c, channel));
  rows(&c, 0, x, w, s, K_NONE);
  for (int p = 0; p < r->pixels; p++) k_set(k, result[p], sum[p]);
  k_else(k);
  c.inside = false, c.sum = result;
  for (int p = 0; p < r->pixels; p++) k_set(k, result[p], k_splat(k, k_f32(k, 0)));
  c.channels = k_first_lanes(k, k_sub(k, k_i64(k, d->channels), channel));
  find_columns(&c);
  rows(&c, 0, x, w, s, K_NONE);
  k_end(k);
  for (int p = 0; p < r->pixels; p++) sum[p] = k_get(k, result[p]);
}
