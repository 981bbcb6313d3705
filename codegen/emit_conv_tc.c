/* emit_conv_tc.c - conv and conv_dx on tensor cores.
 *
 * A product of matrices: rows are pixels of the result, columns its channels, the axis that is summed over are taps and, inside,
 * channels of the operand. Nothing is laid out anew for it but weights, which are small: a row of a stage is copied from where its
 * pixels lie, piece by piece, and a piece whose tap meets the padding becomes zeros. Which taps of a row do is a bit mask, made once.
 *
 * conv_dx takes the pixels with equal remainders by the strides together (conv_geom.h): each such phase is a convolution of stride 1 with
 * some of the taps, and has blocks of its own in the same launch.
 *
 * Weights are packed by a launch before: for each phase, range of columns and step the stage's b, rounded, with zeros beyond the
 * last channel and tap.
 */
#include <string.h>
#include "expr.h"
#include "tc.h"

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* One axis of a phase: result pixel out0 + q*ostep, q < count, meets the operand at q*istep + base + j with tap tap0 + j*tap_step,
 * j < taps. */
typedef struct {
  int64_t out0, ostep, count, istep, base, taps, tap0, tap_step;
} Axis;

typedef struct {
  Axis axis[MAX_SPATIAL];
  int64_t rows, taps, steps;
  int64_t first, blocks; /* of the launch */
  int64_t packed;        /* element of the packed weights */
} Phase;

typedef struct {
  ConvShape s;
  TcTile t;
  bool bf16, linear; /* linear: row r of the result is the r-th pixel in memory of all it is computed with */
  int nphase;
  Phase *phase;
  int64_t col_blocks, packed; /* packed: elements in all */
  int piece;                  /* bytes of a copy of the operand */
} TcConv;

/* ---- planning ---- */

static Axis axis_of(const ConvShape *s, int a, int64_t r) {
  int64_t st = s->stride[a], p = s->pad[a], t0 = (r + p) % st, k = s->k[a];
  if (!s->back) return (Axis){0, 1, s->out[a], st, -p, k, 0, 1};
  int64_t taps = t0 < k ? ceil_div(k - t0, st) : 0;
  return (Axis){r,  st, ceil_div(s->out[a] - r, st), 1, (r + p) / st - (taps - 1), taps, t0 + st * (taps - 1),
                -st};
}

static Phase phase_of(const TcConv *c, int64_t number) {
  const ConvShape *s = &c->s;
  Phase p = {.rows = s->n, .taps = 1};
  for (int a = s->ns - 1; a >= 0; a--) {
    int64_t n = s->back ? min64(s->stride[a], s->out[a]) : 1;
    p.axis[a] = axis_of(s, a, number % n);
    number /= n;
    p.rows *= p.axis[a].count;
    p.taps *= p.axis[a].taps;
  }
  return p;
}

static void plan_phases(Arena *arena, const Machine *m, TcConv *c) {
  const ConvShape *s = &c->s;
  c->nphase = 1;
  for (int a = 0; a < s->ns && s->back; a++) c->nphase *= (int)min64(s->stride[a], s->out[a]);
  c->phase = arena_alloc(arena, (size_t)c->nphase * sizeof *c->phase);
  int64_t *rows = arena_alloc(arena, (size_t)c->nphase * sizeof *rows), depth = 0, first = 0;
  for (int i = 0; i < c->nphase; i++) {
    c->phase[i] = phase_of(c, i);
    rows[i] = c->phase[i].rows;
    if (c->phase[i].taps * s->cin > depth) depth = c->phase[i].taps * s->cin;
  }
  c->t = tc_tile(m, rows, c->nphase, s->cout, depth, c->bf16);
  c->col_blocks = ceil_div(s->cout, c->t.n);
  for (int i = 0; i < c->nphase; i++) {
    Phase *p = &c->phase[i];
    p->steps = ceil_div(p->taps * s->cin, tc_depth(&c->t, c->bf16));
    p->first = first, p->packed = c->packed;
    first += p->blocks = ceil_div(p->rows, c->t.m) * c->col_blocks;
    c->packed += c->col_blocks * p->steps * c->t.n * tc_depth(&c->t, c->bf16);
  }
}

/* Does the value lie in memory pixel after pixel, or not depend on pixels at all? */
static bool lies_linear(const Emit *e, int node) {
  const Type *t = &e->fn->node[node].type;
  const int64_t *stride = e->storage[node].stride;
  int64_t want = 0;
  bool none = true;
  for (int a = 0; a < t->rank; a++) none = none && (a == 1 || stride[a] == 0);
  for (int a = t->rank - 1; a >= 0 && !none; a--) {
    if (a == 1 || t->dim[a] == 1) continue;
    if (want && stride[a] != want) return false;
    want = stride[a] * t->dim[a];
  }
  return true;
}

static bool all_linear(const Emit *e, const GroupInfo *g) {
  const Fn *f = e->fn;
  const Type *y = &f->node[g->anchor].type;
  for (int i = 0; i < g->nnode; i++) {
    const Node *nd = &f->node[g->node[i]];
    if (nd->op == OP_iota || nd->op == OP_rand) return false;
    for (int j = 0; j < nd->nin && g->node[i] != g->anchor; j++) {
      const Type *t = &f->node[nd->in[j]].type;
      int same = 0, one = 0, axes = 0;
      for (int a = 0; a < t->rank; a++) {
        if (a == 1 || y->dim[a] == 1) continue;
        axes++, same += t->dim[a] == y->dim[a], one += t->dim[a] == 1;
      }
      if (same != axes && one != axes) return false;
      if (f->node[nd->in[j]].group != f->node[g->anchor].group && !lies_linear(e, nd->in[j])) return false;
    }
  }
  for (int i = 0; i < g->nout; i++)
    if (!lies_linear(e, g->out[i])) return false;
  return true;
}

/* ---- packed weights ---- */

typedef struct {
  const TcConv *c;
  KFn *k;
  const Phase *p;
} Pack;

static KV i32v(KFn *k, int64_t v) { return k_splat(k, k_i32(k, (int32_t)v)); }

/* Number of the tap, in the weights, of taps `tap` in the phase's order. */
static KV tap_number(const TcConv *c, const Phase *p, KFn *k, KV tap) {
  const ConvShape *s = &c->s;
  KV number = i32v(k, 0);
  int64_t step = 1;
  for (int a = s->ns - 1; a >= 0; step *= s->k[a--]) {
    const Axis *x = &p->axis[a];
    KV j = a ? k_rem(k, tap, i32v(k, x->taps)) : tap;
    tap = k_div(k, tap, i32v(k, x->taps));
    KV t = k_add(k, k_mul(k, j, i32v(k, x->tap_step)), i32v(k, x->tap0));
    number = k_add(k, number, k_mul(k, t, i32v(k, step)));
  }
  return number;
}

/* Of the places of one step and range of columns: lanes run along a column, and on to the next. */
static void pack_step(const TcConv *c, const Phase *p, KFn *k, KV number) {
  const ConvShape *s = &c->s;
  int64_t depth = tc_depth(&c->t, c->bf16), cols = 32 / depth, all = p->taps * s->cin;
  KV step = k_rem(k, number, k_i64(k, p->steps)), block = k_div(k, number, k_i64(k, p->steps));
  KV at = k_add(k, k_rem(k, k_iota(k), i32v(k, depth)), k_cast(k, K_I32, k_mul(k, step, k_i64(k, depth))));
  KV tap = k_div(k, at, i32v(k, s->cin)), ch = k_rem(k, at, i32v(k, s->cin));
  KV row = tap_number(c, p, k, tap), inside = k_lt(k, at, i32v(k, all));
  if (!s->back) row = k_mul(k, k_add(k, k_mul(k, row, i32v(k, s->cin)), ch), i32v(k, s->cout));
  else row = k_add(k, k_mul(k, row, i32v(k, s->cout * s->cin)), ch);
  KV to = k_add(k, k_mul(k, number, k_i64(k, c->t.n * depth)), k_i64(k, p->packed));
  KV i = k_for(k, k_i64(k, 0), k_i64(k, c->t.n), cols);
  KV col = k_cast(k, K_I32, k_add(k, k_mul(k, block, k_i64(k, c->t.n)), i));
  KV mine = k_add(k, k_div(k, k_iota(k), i32v(k, depth)), col);
  KV valid = k_and(k, inside, k_lt(k, mine, i32v(k, s->cout)));
  KV from = k_add(k, row, k_mul(k, mine, i32v(k, s->back ? s->cin : 1)));
  KV w = k_gather_masked(k, 0, from, valid);
  k_store(k, 1, k_add(k, to, k_mul(k, i, k_i64(k, depth))), c->bf16 ? w : k_tf32(k, w));
  k_end(k);
}

/* The launch that packs buffer w; the workspace it fills. */
static int pack(Emit *e, const GroupInfo *g, const TcConv *c, int w) {
  const char *kind = c->bf16 ? "bf16" : "tf32";
  int ws = c->bf16 ? emit_narrow_workspace(e, c->packed) : emit_workspace(e, c->packed * 4);
  Build b = build_begin(e, g, "pack", "pack:%s:%s:%s:m%dn%d", conv_describe(e->arena, &c->s), kind,
                        c->s.back ? "bwd_d" : "fwd", c->t.m, c->t.n);
  build_arg(&b, w, false);
  build_arg(&b, ws, true);
  KFn *k = build_kernel(&b, 0);
  int64_t tasks = 0;
  for (int i = 0; i < c->nphase; i++) {
    const Phase *p = &c->phase[i];
    int64_t n = p->steps * c->col_blocks;
    if (!n) continue;
    KV number = k_sub(k, k_task(k), k_i64(k, tasks));
    k_if(k, k_and(k, k_le(k, k_i64(k, 0), number), k_lt(k, number, k_i64(k, n))));
    pack_step(c, p, k, number);
    k_end(k);
    tasks += n;
  }
  b.kernel.bytes = (c->bf16 ? 6 : 8) * conv_taps(&c->s) * c->s.cin * c->s.cout;
  build_end(&b, tasks);
  return ws;
}

/* ---- the kernel ---- */

enum { MOST_ROWS = 32 }; /* of a thread, in a stage */

typedef struct {
  const TcConv *c;
  const Phase *p;
  Expr *x;
  const GroupInfo *g;
  Place place;
  KV operand, weights;
  KV row0, col_block; /* of the block, i64 */
  KV base[MOST_ROWS], bits[MOST_ROWS],
      word[MOST_ROWS];      /* of the thread's rows: element of tap 0, taps that meet it, place */
  int rows, apart;          /* how many, and from one to the next */
  KV piece;                 /* of a row, that the thread copies: its first element */
  KV image, q[MAX_SPATIAL]; /* locals: where the row at work lies */
} Code;

/* Bits j < taps for which at + j lies within the operand. */
static KV axis_bits(KFn *k, const Axis *a, int64_t in, KV at) {
  KV zero = i32v(k, 0), one = i32v(k, 1), taps = i32v(k, a->taps);
  KV lo = k_min(k, k_max(k, k_sub(k, zero, at), zero), taps);
  KV hi = k_min(k, k_max(k, k_sub(k, i32v(k, in), at), zero), taps);
  KV below = k_sub(k, k_bin(k, K_shl, one, lo), one), up = k_sub(k, k_bin(k, K_shl, one, hi), one);
  return k_bin(k, K_and, up, k_bin(k, K_xor, below, i32v(k, -1)));
}

/* Row m (vector) of the phase: where it reads, and through which taps. */
static void find_row(Code *c, KFn *k, KV m, KV *base, KV *bits) {
  const ConvShape *s = &c->c->s;
  const Phase *p = c->p;
  KV rest = m, at[MAX_SPATIAL], mask = i32v(k, 1);
  int64_t taps = 1;
  for (int a = s->ns - 1; a >= 0; a--) {
    KV q = k_rem(k, rest, i32v(k, p->axis[a].count));
    rest = k_div(k, rest, i32v(k, p->axis[a].count));
    at[a] = k_add(k, k_mul(k, q, i32v(k, p->axis[a].istep)), i32v(k, p->axis[a].base));
    KV mine = axis_bits(k, &p->axis[a], s->in[a], at[a]), all = i32v(k, 0);
    for (int64_t j = 0; j < p->axis[a].taps; j++) {
      KV bit = k_bin(k, K_and, k_bin(k, K_shr, mine, i32v(k, j)), i32v(k, 1));
      KV shifted = k_bin(k, K_shl, mask, i32v(k, j * taps));
      all = k_bin(k, K_or, all, k_select(k, k_eq(k, bit, i32v(k, 1)), shifted, i32v(k, 0)));
    }
    mask = all;
    taps *= p->axis[a].taps;
  }
  KV pixel = rest;
  for (int a = 0; a < s->ns; a++) pixel = k_add(k, k_mul(k, pixel, i32v(k, s->in[a])), at[a]);
  *base = k_mul(k, pixel, i32v(k, s->cin));
  *bits = k_select(k, k_lt(k, m, i32v(k, p->rows)), mask, i32v(k, 0));
}

static void find_rows(Code *c, TcBlock *b) {
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int per_row = t->row * 4 / c->c->piece, words = c->c->piece / 4, element = c->c->bf16 ? 2 : 4;
  KV number = k_rem(k, b->thread, i32v(k, per_row)), row = k_div(k, b->thread, i32v(k, per_row));
  c->piece = k_mul(k, number, i32v(k, c->c->piece / element));
  c->apart = tc_threads(t) / per_row;
  c->rows = t->m / c->apart;
  KV whole = k_div(k, number, i32v(k, TC_PIECE / words)),
     part = k_mul(k, k_rem(k, number, i32v(k, TC_PIECE / words)), i32v(k, words));
  for (int r = 0; r < c->rows; r++) {
    KV mine = k_add(k, row, i32v(k, (int64_t)r * c->apart));
    find_row(c, k, k_add(k, mine, k_splat(k, k_cast(k, K_I32, c->row0))), &c->base[r], &c->bits[r]);
    bool alike = r > 0 && c->apart % 8 == 0; /* its pieces are turned as those of the first row */
    c->word[r] = alike ? k_add(k, c->word[0], i32v(k, (int64_t)r * c->apart * t->row))
                       : k_add(k, tc_word(b, mine, whole), part);
  }
}

/* Element, from a row's base on, of the piece at `at` of the summed axis, and its tap. */
static KV piece_offset(const Code *c, KFn *k, KV step, KV *tap) {
  const ConvShape *s = &c->c->s;
  const Phase *p = c->p;
  int64_t depth = tc_depth(&c->c->t, c->c->bf16);
  KV number = k_splat(k, k_cast(k, K_I32, step)), channel;
  if (s->cin % depth == 0) { /* a step is of one tap */
    KV steps = i32v(k, s->cin / depth);
    *tap = k_div(k, number, steps);
    channel = k_add(k, k_mul(k, k_rem(k, number, steps), i32v(k, depth)), c->piece);
  } else {
    KV at = k_add(k, k_mul(k, number, i32v(k, depth)), c->piece);
    *tap = k_min(k, k_div(k, at, i32v(k, s->cin)), i32v(k, 31)); /* beyond the last one: no bit is set */
    channel = k_rem(k, at, i32v(k, s->cin));
  }
  KV rest = *tap, off = i32v(k, 0);
  int64_t stride = s->cin;
  for (int a = s->ns - 1; a >= 0; stride *= s->in[a--]) {
    KV j = a ? k_rem(k, rest, i32v(k, p->axis[a].taps)) : rest;
    rest = k_div(k, rest, i32v(k, p->axis[a].taps));
    off = k_add(k, off, k_mul(k, j, i32v(k, stride)));
  }
  return k_add(k, off, channel);
}

static void load_rows(Code *c, TcBlock *b, KV step, KV stage) {
  KFn *k = b->k;
  KV tap, off = piece_offset(c, k, step, &tap), bit = k_bin(k, K_shl, i32v(k, 1), tap);
  for (int r = 0; r < c->rows; r++) {
    KV none = k_eq(k, k_bin(k, K_and, c->bits[r], bit), i32v(k, 0));
    KV from = k_select(k, none, i32v(k, -1), k_add(k, c->base[r], off));
    k_copy_async(k, b->tiles, k_add(k, c->word[r], stage), c->operand, from, c->c->piece);
  }
}

/* The stage's b lies in one run in memory. */
static void load_cols(Code *c, TcBlock *b, KV step, KV stage) {
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int per_row = t->row / TC_PIECE, all = t->n * per_row, threads = tc_threads(t),
      element = c->c->bf16 ? 8 : 4;
  int64_t depth = tc_depth(t, c->c->bf16);
  KV tile = k_add(k, k_mul(k, c->col_block, k_i64(k, c->p->steps)), step);
  KV from = k_add(k, k_mul(k, tile, k_i64(k, t->n * depth)), k_i64(k, c->p->packed));
  for (int i = 0; i < all; i += threads) {
    KV number = k_add(k, b->thread, i32v(k, i));
    KV row = k_add(k, k_div(k, number, i32v(k, per_row)), i32v(k, t->m));
    KV to = k_add(k, tc_word(b, row, k_rem(k, number, i32v(k, per_row))), stage);
    bool some = all - i < threads;
    if (some) k_if(k, k_lt(k, k_thread(k), k_i64(k, (all - i) / 32)));
    KV at = k_add(k, k_splat(k, k_cast(k, K_I32, from)), k_mul(k, number, i32v(k, element)));
    k_copy_async(k, b->tiles, to, c->weights, at, 16);
    if (some) k_end(k);
  }
}

static void load(void *ctx, TcBlock *b, KV step, KV stage) {
  load_rows(ctx, b, step, stage);
  load_cols(ctx, b, step, stage);
}

/* ---- its results ---- */

static void results_from(void *ctx, TcBlock *b, KV first) {
  Code *c = ctx;
  KFn *k = b->k;
  if (c->c->linear) return;
  KV rest = k_add(k, c->row0, first);
  for (int a = c->c->s.ns - 1; a >= 0; a--) {
    k_set(k, c->q[a], k_rem(k, rest, k_i64(k, c->p->axis[a].count)));
    rest = k_div(k, rest, k_i64(k, c->p->axis[a].count));
  }
  k_set(k, c->image, rest);
}

static void next_row(void *ctx, TcBlock *b) {
  Code *c = ctx;
  KFn *k = b->k;
  if (c->c->linear) return;
  KV zero = k_i64(k, 0), carry = k_i64(k, 1);
  for (int a = c->c->s.ns - 1; a >= 0; a--) {
    KV q = k_add(k, k_get(k, c->q[a]), carry), full = k_eq(k, q, k_i64(k, c->p->axis[a].count));
    k_set(k, c->q[a], k_select(k, full, zero, q));
    carry = k_select(k, full, k_i64(k, 1), zero);
  }
  k_set(k, c->image, k_add(k, k_get(k, c->image), carry));
}

static void set_place(Code *c, KFn *k, KV row) {
  Place *pl = &c->place;
  int last = pl->domain.rank - 1;
  for (int a = 0; a <= last; a++) pl->coord[a] = k_i64(k, 0);
  if (c->c->linear) {
    /* The innermost axis of pixels counts them all. */
    while (last > 0 && (last == 1 || pl->domain.dim[last] == 1)) last--;
    pl->coord[last] = row;
    return;
  }
  pl->coord[0] = k_get(k, c->image);
  for (int a = 0; a < c->c->s.ns; a++) {
    const Axis *x = &c->p->axis[a];
    pl->coord[2 + a] = k_add(k, k_mul(k, k_get(k, c->q[a]), k_i64(k, x->ostep)), k_i64(k, x->out0));
  }
}

static void result_row(void *ctx, TcBlock *b, KV row, KV col, int few, KV value) {
  Code *c = ctx;
  KFn *k = b->k;
  const TcConv *cv = c->c;
  int64_t cout = cv->s.cout;
  KV r = k_add(k, c->row0, row), channel = k_add(k, k_mul(k, c->col_block, k_i64(k, b->t.n)), col);
  bool tail_rows = c->p->rows % b->t.m != 0, tail_cols = cout % b->t.n != 0;
  if (tail_rows) k_if(k, k_lt(k, r, k_i64(k, c->p->rows)));
  if (tail_cols) k_if(k, k_lt(k, channel, k_i64(k, cout)));
  c->place.mask = K_NONE;
  if (cout % few || few < 32)
    c->place.mask = k_first_lanes(k, k_min(k, k_sub(k, k_i64(k, cout), channel), k_i64(k, few)));
  set_place(c, k, r);
  c->place.coord[1] = channel;
  expr_place(c->x, &c->place);
  expr_epilogue(c->x, c->g, value);
  if (tail_cols) k_end(k);
  if (tail_rows) k_end(k);
}

static void phase_code(Code *c, TcBlock *b, KV number) {
  static const TcResult result = {results_from, result_row, next_row};
  KFn *k = b->k;
  c->col_block = k_rem(k, number, k_i64(k, c->c->col_blocks));
  c->row0 = k_mul(k, k_div(k, number, k_i64(k, c->c->col_blocks)), k_i64(k, b->t.m));
  if (c->p->steps) find_rows(c, b);
  tc_run(b, k_i64(k, c->p->steps), load, c);
  tc_results(b, &result, c);
}

static void kernel(Build *bd, const GroupInfo *g, const TcConv *cv, KV operand, KV weights) {
  KFn *k = build_kernel(bd, 0);
  const Node *nd = &bd->e->fn->node[g->anchor];
  Code c = {.c = cv, .g = g, .operand = operand, .weights = weights};
  TcBlock b;
  c.x = expr_new(bd->e, g, bd, k);
  c.place = (Place){.vec = true, .vec_axis = 1, .mask = K_NONE, .domain = nd->type, .order = nd->order};
  tc_begin(&b, k, &cv->t, cv->bf16);
  b.rounded_b = true;
  c.image = k_local(k, K_I64, false, "image");
  for (int a = 0; a < cv->s.ns; a++) c.q[a] = k_local(k, K_I64, false, "q");
  for (int i = 0; i < cv->nphase; i++) {
    c.p = &cv->phase[i];
    KV number = k_sub(k, k_task(k), k_i64(k, c.p->first));
    if (cv->nphase > 1)
      k_if(k, k_and(k, k_le(k, k_i64(k, 0), number), k_lt(k, number, k_i64(k, c.p->blocks))));
    phase_code(&c, &b, number);
    if (cv->nphase > 1) k_end(k);
  }
}

static int copy_bytes(const ConvShape *s, bool bf16) {
  int64_t bytes = s->cin * (bf16 ? 2 : 4);
  return bytes % 16 == 0 ? 16 : bytes % 8 == 0 ? 8 : 4;
}

bool emit_conv_tc(Emit *e, const GroupInfo *g, const ConvShape *s) {
  const Node *nd = &e->fn->node[g->anchor];
  TcConv c = {.s = *s, .bf16 = s->narrow, .piece = copy_bytes(s, s->narrow)};
  plan_phases(e->arena, e->machine, &c);
  c.linear = c.nphase == 1 && all_linear(e, g);
  int x = emit_buffer(e, nd->in[0]), w = emit_buffer(e, nd->in[1]), ws = pack(e, g, &c, w);
  Build b = build_begin(e, g, s->back ? "conv_dx" : "conv", "conv:%s:%s:%s", conv_describe(e->arena, s),
                        c.bf16 ? "mma_bf16" : "mma_tf32", s->back ? "bwd_d" : "fwd");
  KV operand = build_arg(&b, x, false), weights = build_arg(&b, ws, false);
  b.kernel.bytes = 4 * conv_taps(s) * s->cin * s->cout + type_bytes(e->fn->node[nd->in[0]].type);
  for (int i = 0; i < g->nin; i++) {
    int buf = emit_buffer(e, g->in[i]);
    if (build_find_arg(&b, buf) >= 0 || buf == w) continue;
    build_arg(&b, buf, false);
    b.kernel.bytes += type_bytes(e->fn->node[g->in[i]].type);
  }
  for (int i = 0; i < g->nout; i++) {
    build_arg(&b, emit_buffer(e, g->out[i]), true);
    b.kernel.bytes += type_bytes(e->fn->node[g->out[i]].type);
  }
  conv_offer_place(&b, g);
  b.kernel.flops = 2 * node_macs_inside(e->fn, nd);
  b.kernel.work = 2 * node_macs(e->fn, nd);
  kernel(&b, g, &c, operand, weights);
  const Phase *last = &c.phase[c.nphase - 1];
  build_end(&b, last->first + last->blocks);
  return !e->err[0];
}
