/* pack.c - weights (K.., C, O) into panels, in the order in which the loops of conv and conv_dx read
 * them. */
#include "codegen/emit/conv/geometry.h"

/* conv_dx reads C along the lanes and needs panels, and so does whoever wants rounded weights; conv is better off with them when a
 * row of the weights is long (the few vectors of a block then lie in many pages) and there are pixels enough to pay for
 * the copy. */
bool pack_pays(const ConvShape *s) {
  enum { LONG_ROW = 128, PIXELS = 64 };
  return s->dgrad || s->bf16 || (s->cout >= LONG_ROW && conv_pixels(s, s->out) >= PIXELS);
}

int64_t pack_depth(const ConvShape *s, int isa) { return conv_pairs(s, isa) ? s->cin / 2 : s->cin; }

int64_t pack_elements(const ConvShape *s, const ConvBlock *b, int isa) {
  return b->blocks * conv_taps(s) * pack_depth(s, isa) * b->vectors * b->lanes;
}

/* Weights of channel c of the operand, for the lanes cout0 + l < cout, of the tap at element src. In conv cout is O,
 * innermost in memory; in conv_dx it is C, cin neighbours apart, and the neighbours along O are successive c. */
static KV weights_of(KFn *k, const ConvShape *s, KV src, KV o, KV c, KV mask) {
  KV w = 0;
  if (!s->dgrad) return k_load_masked(k, w, k_add(k, src, k_add(k, k_mul(k, c, k_i64(k, s->cout)), o)), mask);
  KV at = k_add(k, src, k_add(k, k_mul(k, o, k_i64(k, s->cin)), c));
  KV lanes = k_mul(k, k_iota(k), k_splat(k, k_i32(k, (int32_t)s->cin)));
  return k_gather_masked(k, w, k_add(k, lanes, k_splat(k, k_cast(k, K_I32, at))), mask);
}

/* A tap whose panel rows are written: weights from src, panel from dst on, for channels cout0 .. along the lanes. */
typedef struct {
  KFn *k;
  const ConvShape *s;
  bool pairs;
  KV cout0, src, dst;
  int64_t vec, row; /* lanes, elements of a panel row */
} PackTap;

/* col: channel of lane 0, from cout0 on. */
static void store_row(const PackTap *t, KV r, KV col, KV x) {
  KFn *k = t->k;
  k_store(k, 1, k_add(k, t->dst, k_add(k, k_mul(k, r, k_i64(k, t->row)), col)), x);
}

static KV rounded(const PackTap *t, KV x) { return t->s->bf16 ? k_un(t->k, K_bf16, x) : x; }

/* A vector of panel row r: a channel of the operand, or a pair of them. */
static void pack_row(const PackTap *t, KV r, KV v, KV mask) {
  KFn *k = t->k;
  KV o = k_add(k, t->cout0, v);
  KV c = t->pairs ? k_mul(k, r, k_i64(k, 2)) : r, x = weights_of(k, t->s, t->src, o, c, mask);
  if (!t->pairs) {
    store_row(t, r, v, rounded(t, x));
    return;
  }
  KV y = weights_of(k, t->s, t->src, o, k_add(k, c, k_i64(k, 1)), mask);
  store_row(t, r, v, k_bitcast(k, K_F32, k_pair(k, x, y)));
}

/* conv_dx: a vector of the rows of channels c .. c + lanes - 1, turned round in registers: what lies along the lanes is far apart in
 * memory. */
static void pack_square(const PackTap *t, KV c, KV v) {
  KFn *k = t->k;
  int64_t n = t->vec;
  KV *x = arena_alloc(k->arena, (size_t)n * sizeof *x);
  for (int64_t l = 0; l < n; l++) {
    KV o = k_add(k, t->cout0, k_add(k, v, k_i64(k, l)));
    x[l] = k_load(k, 0, k_add(k, t->src, k_add(k, k_mul(k, o, k_i64(k, t->s->cin)), c)), true);
  }
  k_transpose(k, x);
  for (int64_t l = 0; l < n && !t->pairs; l++) store_row(t, k_add(k, c, k_i64(k, l)), v, rounded(t, x[l]));
  for (int64_t l = 0; l < n && t->pairs; l += 2) {
    KV r = k_div(k, k_add(k, c, k_i64(k, l)), k_i64(k, 2));
    store_row(t, r, v, k_bitcast(k, K_F32, k_pair(k, x[l], x[l + 1])));
  }
}

/* The panel rows of one tap: a row per channel, or per pair of channels. */
static void pack_tap(const PackTap *t, const ConvBlock *b, int isa, bool simt) {
  KFn *k = t->k;
  int64_t depth = pack_depth(t->s, isa), square = t->s->dgrad && !simt ? t->s->cin / t->vec * t->vec : 0;
  KV *mask = arena_alloc(k->arena, (size_t)b->vectors * sizeof *mask);
  for (int v = 0; v < b->vectors; v++)
    mask[v] = k_first_lanes(k, k_sub(k, k_i64(k, t->s->cout), k_add(k, t->cout0, k_i64(k, v * t->vec))));
  KV r0 = k_i64(k, 0);
  if (square) { /* in whole blocks; what is left of the last block goes row by row */
    KV whole = k_le(k, k_add(k, t->cout0, k_i64(k, t->row)), k_i64(k, t->s->cout));
    k_if(k, whole);
    KV c = k_for(k, k_i64(k, 0), k_i64(k, square), t->vec);
    pack_square(t, c, k_for(k, k_i64(k, 0), k_i64(k, t->row), t->vec));
    k_end(k);
    k_end(k);
    k_end(k);
    r0 = k_select(k, whole, k_i64(k, t->pairs ? square / 2 : square), r0);
  }
  KV r = k_for(k, r0, k_i64(k, depth), 1);
  for (int v = 0; v < b->vectors; v++) pack_row(t, r, k_i64(k, v * t->vec), mask[v]);
  k_end(k);
}

/* A task packs the taps along the innermost axis of one block and one place in the outer kernel axes. */
static int64_t pack_kernel(Build *b, const ConvShape *s, const ConvBlock *blk, int isa) {
  KFn *k = build_kernel(b, isa);
  ConvPhase *phase;
  int64_t *order, inner = s->k[s->ns - 1], outer = conv_taps(s) / inner, tasks = blk->blocks * outer;
  conv_phases(b->e->arena, s, &phase, &order);
  k_if(k, k_lt(k, k_task(k), k_i64(k, tasks)));
  KV block = k_div(k, k_task(k), k_i64(k, outer)), tap = k_rem(k, k_task(k), k_i64(k, outer));
  KV cout0 = k_mul(k, block, k_i64(k, blk->vectors * blk->lanes));
  for (int64_t t = 0; t < inner; t++) {
    KV at = k_mul(k, tap, k_i64(k, inner));
    KV src = k_mul(k, k_add(k, at, k_i64(k, order[t])), k_i64(k, s->cin * s->cout));
    KV dst = k_add(k, k_mul(k, k_task(k), k_i64(k, inner)), k_i64(k, t));
    KV panel = k_mul(k, dst, k_i64(k, pack_depth(s, isa) * blk->vectors * blk->lanes));
    PackTap one = {k, s, conv_pairs(s, isa), cout0, src, panel, blk->lanes, blk->vectors * blk->lanes};
    pack_tap(&one, blk, isa, b->e->machine->simt);
  }
  k_end(k);
  return tasks;
}

void pack_weights(Emit *e, const GroupInfo *g, const ConvShape *s, const ConvBlock block[NETC_ISA_COUNT],
                  int w, int ws) {
  Build b = build_begin(e, g, "pack", "pack:%s:%s:%s", conv_describe(e->arena, s), s->bf16 ? "bf16" : "f32",
                        s->dgrad ? "bwd_d" : "fwd");
  build_arg(&b, w, false);
  build_arg(&b, ws, true);
  int64_t tasks = 0;
  EACH_ISA (isa, &b) {
    int64_t n = pack_kernel(&b, s, &block[isa], isa);
    if (n > tasks) tasks = n;
  }
  b.kernel.bytes = 8 * conv_taps(s) * s->cin * s->cout;
  build_end(&b, tasks);
}
