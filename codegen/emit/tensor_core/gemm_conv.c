/* gemm_conv.c - convolutions on tensor cores: phases and tiles, packed weights, the kernel (gemm_conv.h).
 *
 * conv_dx takes the pixels with equal remainders by the strides together (codegen/emit/conv/geometry.h): each such phase is a convolution of stride 1 with
 * some of the taps, and has blocks of its own in the same launch.
 *
 * Weights are packed by a launch before: for each phase, range of columns and step the stage's b, rounded, with zeros beyond the
 * last channel and tap.
 *
 * Where tiles are too few for the processors, steps are cut into parts, each with blocks of its own, which store their sums; a second
 * launch adds them and has the epilogue (results.c).
 */
#include "codegen/emit/tensor_core/gemm_conv.h"
#include "ir/ints.h"

/* ---- planning ---- */

static TcAxis axis_of(const ConvShape *s, int a, int64_t r) {
  int64_t st = s->geom.stride[a], p = s->geom.pad[a], t0 = (r + p) % st, k = s->k[a];
  if (!s->back) return (TcAxis){0, 1, s->out[a], st, -p, k, 0, 1};
  int64_t taps = t0 < k ? ceil_div(k - t0, st) : 0;
  return (TcAxis){
      r, st, ceil_div(s->out[a] - r, st), 1, (r + p) / st - (taps - 1), taps, t0 + st * (taps - 1), -st};
}

static TcPhase phase_of(const TcConv *c, int64_t number) {
  const ConvShape *s = &c->s;
  TcPhase p = {.rows = s->n, .taps = 1};
  for (int a = s->ns - 1; a >= 0; a--) {
    int64_t n = s->back ? min64(s->geom.stride[a], s->out[a]) : 1;
    p.axis[a] = axis_of(s, a, number % n);
    number /= n;
    p.rows *= p.axis[a].count;
    p.taps *= p.axis[a].taps;
  }
  return p;
}

static void plan_phases(Arena *arena, const Machine *m, TcConv *c, int stages) {
  const ConvShape *s = &c->s;
  c->nphase = 1;
  for (int a = 0; a < s->ns && s->back; a++) c->nphase *= (int)min64(s->geom.stride[a], s->out[a]);
  c->phase = arena_alloc(arena, (size_t)c->nphase * sizeof *c->phase);
  TcProduct *product = arena_alloc(arena, (size_t)c->nphase * sizeof *product);
  int64_t first = 0;
  for (int i = 0; i < c->nphase; i++) {
    c->phase[i] = phase_of(c, i);
    product[i] = (TcProduct){c->phase[i].rows, c->phase[i].taps * s->cin};
  }
  c->t = tc_tile(m, product, c->nphase, s->cout, c->bf16, &c->part_steps);
  if (c->t.stages > stages) c->t.stages = stages;
  c->col_blocks = ceil_div(s->cout, c->t.n);
  for (int i = 0; i < c->nphase; i++) {
    TcPhase *p = &c->phase[i];
    p->steps = ceil_div(p->taps * s->cin, tc_depth(&c->t, c->bf16));
    p->first = first, p->packed = c->packed, p->sums = c->sums;
    p->parts = tc_parts(p->steps, c->part_steps);
    first += p->blocks = ceil_div(p->rows, c->t.m) * c->col_blocks * p->parts;
    if (c->part_steps) c->sums += p->parts * p->rows * s->cout;
    c->packed += c->col_blocks * p->steps * c->t.n * tc_depth(&c->t, c->bf16);
  }
}

void tc_conv_plan(const Emit *e, const GroupInfo *g, TcConv *c, int stages) {
  plan_phases(e->arena, e->machine, c, stages);
  c->linear = c->nphase == 1 && tc_results_linear(e, g);
}

int64_t tc_conv_blocks(const TcConv *c) {
  const TcPhase *last = &c->phase[c->nphase - 1];
  return last->first + last->blocks;
}

/* ---- packed weights ---- */

/* Number of the tap, in the weights, of taps `tap` in the phase's order. */
static KV tap_number(const TcConv *c, const TcPhase *p, KFn *k, KV tap) {
  const ConvShape *s = &c->s;
  KV number = i32v(k, 0);
  int64_t step = 1;
  for (int a = s->ns - 1; a >= 0; step *= s->k[a--]) {
    const TcAxis *x = &p->axis[a];
    KV j = a ? k_rem(k, tap, i32v(k, x->taps)) : tap;
    tap = k_div(k, tap, i32v(k, x->taps));
    KV t = k_add(k, k_mul(k, j, i32v(k, x->tap_step)), i32v(k, x->tap0));
    number = k_add(k, number, k_mul(k, t, i32v(k, step)));
  }
  return number;
}

/* Of the places of one step and range of columns: lanes run along a column, and on to the next. */
static void pack_step(const TcConv *c, const TcPhase *p, KFn *k, KV number) {
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

int tc_conv_pack(Emit *e, const GroupInfo *g, const TcConv *c, int w) {
  const char *kind = c->bf16 ? "bf16" : "tf32";
  int ws = c->bf16 ? emit_bf16_workspace(e, c->packed) : emit_workspace(e, c->packed * 4);
  Build b = build_begin(e, g, "pack", "pack:%s:%s:%s:m%dn%d", conv_describe(e->arena, &c->s), kind,
                        c->s.back ? "bwd_d" : "fwd", c->t.m, c->t.n);
  build_arg(&b, w, false);
  build_arg(&b, ws, true);
  KFn *k = build_kernel(&b, 0);
  int64_t tasks = 0;
  for (int i = 0; i < c->nphase; i++) {
    const TcPhase *p = &c->phase[i];
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

/* ---- rows ---- */

/* Bits j < taps for which at + j lies within the operand. */
static KV axis_bits(KFn *k, const TcAxis *a, int64_t in, KV at) {
  KV zero = i32v(k, 0), one = i32v(k, 1), taps = i32v(k, a->taps);
  KV lo = k_min(k, k_max(k, k_sub(k, zero, at), zero), taps);
  KV hi = k_min(k, k_max(k, k_sub(k, i32v(k, in), at), zero), taps);
  KV below = k_sub(k, k_bin(k, K_shl, one, lo), one), up = k_sub(k, k_bin(k, K_shl, one, hi), one);
  return k_bin(k, K_and, up, k_bin(k, K_xor, below, i32v(k, -1)));
}

void tc_row(KFn *k, int ns, const TcAxis *axis, const int64_t *in, KV m, KV *image, KV at[MAX_SPATIAL],
            KV *bits) {
  KV rest = m;
  int64_t taps = 1;
  *bits = i32v(k, 1);
  for (int a = ns - 1; a >= 0; taps *= axis[a--].taps) {
    KV q = k_rem(k, rest, i32v(k, axis[a].count));
    rest = k_div(k, rest, i32v(k, axis[a].count));
    at[a] = k_add(k, k_mul(k, q, i32v(k, axis[a].istep)), i32v(k, axis[a].base));
    KV mine = axis_bits(k, &axis[a], in[a], at[a]), all = i32v(k, 0);
    for (int64_t j = 0; j < axis[a].taps; j++) {
      KV bit = k_bin(k, K_and, k_bin(k, K_shr, mine, i32v(k, j)), i32v(k, 1));
      KV shifted = k_bin(k, K_shl, *bits, i32v(k, j * taps));
      all = k_bin(k, K_or, all, k_select(k, k_eq(k, bit, i32v(k, 1)), shifted, i32v(k, 0)));
    }
    *bits = all;
  }
  *image = rest;
}

/* ---- copies ---- */

/* Steps of the packed weights that one of the tile's is. */
static int packed_steps(const TcTile *t) { return t->row / TC_ROW; }

/* Element of the packed weights where piece `piece` of column `col` of a step begins that is two of theirs; -1: beyond the end. */
static KV half_place(const TcCode *c, KFn *k, KV step, KV col, KV piece) {
  int64_t depth = tc_depth(&c->c->t, c->c->bf16) / 2, steps = c->p->steps, tile = c->c->t.n * depth;
  KV half = k_div(k, piece, i32v(k, 4)), number = k_mul(k, step, k_i64(k, 2));
  KV from = k_add(k, k_mul(k, k_add(k, k_mul(k, c->col_block, k_i64(k, steps)), number), k_i64(k, tile)),
                  k_i64(k, c->p->packed));
  KV at = k_add(k, k_mul(k, half, i32v(k, tile)), k_mul(k, col, i32v(k, depth)));
  at = k_add(k, at, k_mul(k, k_rem(k, piece, i32v(k, 4)), i32v(k, depth / 4)));
  at = k_add(k, at, k_splat(k, k_cast(k, K_I32, from)));
  if (steps % 2 == 0) return at;
  KV inside = k_lt(k, k_add(k, half, k_splat(k, k_cast(k, K_I32, number))), i32v(k, steps));
  return k_select(k, inside, at, i32v(k, -1));
}

/* The stage's b lies in one run in memory, or in two. */
static void load_cols(TcCode *c, TcBlock *b, KV step, KV stage) {
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
    KV at =
        packed_steps(t) == 2
            ? half_place(c, k, step, k_div(k, number, i32v(k, per_row)), k_rem(k, number, i32v(k, per_row)))
            : k_add(k, k_splat(k, k_cast(k, K_I32, from)), k_mul(k, number, i32v(k, element)));
    k_copy_async(k, b->tiles, to, c->weights, at, 16);
    if (some) k_end(k);
  }
}

static void load(void *ctx, TcBlock *b, KV step, KV stage) {
  TcCode *c = ctx;
  if (c->p->parts > 1) step = k_add(b->k, c->from, step);
  c->rows->load(c, b, step, stage);
  load_cols(c, b, step, stage);
}

/* ---- its results ---- */

static void results_from(void *ctx, TcBlock *b, KV first) {
  TcCode *c = ctx;
  if (!c->c->part_steps) tc_results_from(c, b->k, first);
}

static void next_row(void *ctx, TcBlock *b) {
  TcCode *c = ctx;
  if (!c->c->part_steps) tc_results_next(c, b->k);
}

/* Partial sums of a row are stored as they are. */
static void put_sums(TcCode *c, KFn *k, KV row, KV channel, int few, KV value) {
  KV cols = k_i64(k, c->c->s.cout), at = k_add(k, k_mul(k, c->part, k_i64(k, c->p->rows)), row);
  at = k_add(k, k_add(k, k_mul(k, at, cols), channel), k_i64(k, c->p->sums));
  if (c->c->s.cout % few || few < 32)
    k_store_masked(k, c->sums, at, value, k_first_lanes(k, k_min(k, k_sub(k, cols, channel), k_i64(k, few))));
  else k_store(k, c->sums, at, value);
}

static void result_row(void *ctx, TcBlock *b, KV row, KV col, int few, KV value) {
  TcCode *c = ctx;
  KFn *k = b->k;
  int64_t cout = c->c->s.cout;
  KV r = k_add(k, c->row0, row), channel = k_add(k, k_mul(k, c->col_block, k_i64(k, b->t.n)), col);
  bool tail_rows = c->p->rows % b->t.m != 0, tail_cols = cout % b->t.n != 0;
  if (tail_rows) k_if(k, k_lt(k, r, k_i64(k, c->p->rows)));
  if (tail_cols) k_if(k, k_lt(k, channel, k_i64(k, cout)));
  if (c->c->part_steps) put_sums(c, k, r, channel, few, value);
  else tc_results_put(c, k, r, channel, few, value);
  if (tail_cols) k_end(k);
  if (tail_rows) k_end(k);
}

/* The block's part, and its share of all steps; returns the number of its tile. */
static KV cut_steps(TcCode *c, KFn *k, KV number, int64_t steps, KV *share) {
  int64_t parts = c->p->parts;
  KV tiles = k_i64(k, c->p->blocks / parts), all = k_i64(k, steps), n = k_i64(k, parts);
  c->part = k_div(k, number, tiles);
  c->from = k_div(k, k_mul(k, c->part, all), n);
  if (steps % parts) *share = k_sub(k, k_div(k, k_mul(k, k_add(k, c->part, k_i64(k, 1)), all), n), c->from);
  else *share = k_i64(k, steps / parts);
  return k_rem(k, number, tiles);
}

static void phase_code(TcCode *c, TcBlock *b, KV number) {
  static const TcResult result = {results_from, result_row, next_row};
  KFn *k = b->k;
  int64_t steps = ceil_div(c->p->steps, packed_steps(&b->t));
  KV share = K_NONE;
  if (c->p->parts > 1) number = cut_steps(c, k, number, steps, &share);
  else if (c->c->part_steps) c->part = k_i64(k, 0);
  c->col_block = k_rem(k, number, k_i64(k, c->c->col_blocks));
  c->row0 = k_mul(k, k_div(k, number, k_i64(k, c->c->col_blocks)), k_i64(k, b->t.m));
  if (c->p->steps) c->rows->find(c, b);
  tc_run(b, share == K_NONE ? k_i64(k, steps) : share, load, c);
  tc_results(b, &result, c);
}

void tc_conv_kernel(Build *bd, const GroupInfo *g, const TcConv *cv, KFn *k, TcBlock *b, TcCode *c) {
  c->c = cv;
  if (!cv->part_steps) tc_results_begin(bd, g, cv, k, c);
  b->rounded_b = true;
  for (int i = 0; i < cv->nphase; i++) {
    c->p = &cv->phase[i];
    if (!c->p->blocks) continue;
    KV number = k_sub(k, k_task(k), k_i64(k, c->p->first));
    if (cv->nphase > 1)
      k_if(k, k_and(k, k_le(k, k_i64(k, 0), number), k_lt(k, number, k_i64(k, c->p->blocks))));
    phase_code(c, b, number);
    if (cv->nphase > 1) k_end(k);
  }
}
