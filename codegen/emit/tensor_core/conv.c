/* conv.c - conv and conv_dx on tensor cores.
 *
 * A product of matrices: rows are pixels of the result, columns its channels, the axis that is summed over are taps and, inside,
 * channels of the operand. Nothing is laid out anew for it but weights, which are small: a row of a stage is copied from where its
 * pixels lie, piece by piece, and a piece whose tap meets the padding becomes zeros. Which taps of a row do is a bit mask, made once.
 * Where that axis is cut into parts, the epilogue is a launch of its own (results.c).
 */
#include "codegen/emit/core/epilogue.h"
#include "codegen/emit/tensor_core/gemm_conv.h"

enum { MOST_ROWS = 32 }; /* of a thread, in a stage */

typedef struct {
  TcCode c; /* first */
  KV operand;
  int bytes; /* of a copy */
  KV base[MOST_ROWS], bits[MOST_ROWS],
      word[MOST_ROWS]; /* of the thread's rows: element of tap 0, taps that meet it, place */
  int rows, apart;     /* how many, and from one to the next */
  KV piece;            /* of a row, that the thread copies: its first element */
} Gather;

/* Row m (vector) of the phase: where it reads, and through which taps. */
static void find_row(const TcCode *c, KFn *k, KV m, KV *base, KV *bits) {
  const ConvShape *s = &c->c->s;
  KV pixel, at[MAX_SPATIAL], mask;
  tc_row(k, s->ns, c->p->axis, s->in, m, &pixel, at, &mask);
  for (int a = 0; a < s->ns; a++) pixel = k_add(k, k_mul(k, pixel, i32v(k, s->in[a])), at[a]);
  *base = k_mul(k, pixel, i32v(k, s->cin));
  *bits = k_select(k, k_lt(k, m, i32v(k, c->p->rows)), mask, i32v(k, 0));
}

static void find_rows(TcCode *c, TcBlock *b) {
  Gather *g = (Gather *)(void *)c;
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int per_row = t->row * 4 / g->bytes, words = g->bytes / 4, element = b->bf16 ? 2 : 4;
  KV number = k_rem(k, b->thread, i32v(k, per_row)), row = k_div(k, b->thread, i32v(k, per_row));
  g->piece = k_mul(k, number, i32v(k, g->bytes / element));
  g->apart = tc_threads(t) / per_row;
  g->rows = t->m / g->apart;
  KV whole = k_div(k, number, i32v(k, TC_PIECE / words)),
     part = k_mul(k, k_rem(k, number, i32v(k, TC_PIECE / words)), i32v(k, words));
  for (int r = 0; r < g->rows; r++) {
    KV mine = k_add(k, row, i32v(k, (int64_t)r * g->apart));
    find_row(c, k, k_add(k, mine, k_splat(k, k_cast(k, K_I32, c->row0))), &g->base[r], &g->bits[r]);
    bool alike = r > 0 && g->apart % 8 == 0; /* its pieces are transposed as those of the first row */
    g->word[r] = alike ? k_add(k, g->word[0], i32v(k, (int64_t)r * g->apart * t->row))
                       : k_add(k, tc_word(b, mine, whole), part);
  }
}

/* Element, from a row's base on, of the thread's piece of a step, and its tap. */
static KV piece_offset(const Gather *g, KFn *k, KV step, KV *tap) {
  const ConvShape *s = &g->c.c->s;
  const TcPhase *p = g->c.p;
  int64_t depth = tc_depth(&g->c.c->t, g->c.c->bf16);
  KV number = k_splat(k, k_cast(k, K_I32, step)), channel;
  if (p->taps == 1 && s->cin % depth == 0) {
    *tap = i32v(k, 0);
    return k_add(k, k_mul(k, number, i32v(k, depth)), g->piece);
  }
  if (s->cin % depth == 0) { /* a step is of one tap */
    KV steps = i32v(k, s->cin / depth);
    *tap = k_div(k, number, steps);
    channel = k_add(k, k_mul(k, k_rem(k, number, steps), i32v(k, depth)), g->piece);
  } else {
    KV at = k_add(k, k_mul(k, number, i32v(k, depth)), g->piece);
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

static void load_rows(TcCode *c, TcBlock *b, KV step, KV stage) {
  const Gather *g = (const Gather *)(const void *)c;
  KFn *k = b->k;
  KV tap, off = piece_offset(g, k, step, &tap), bit = k_bin(k, K_shl, i32v(k, 1), tap);
  for (int r = 0; r < g->rows; r++) {
    KV none = k_eq(k, k_bin(k, K_and, g->bits[r], bit), i32v(k, 0));
    KV from = k_select(k, none, i32v(k, -1), k_add(k, g->base[r], off));
    k_copy_async(k, b->tiles, k_add(k, g->word[r], stage), g->operand, from, g->bytes);
  }
}

/* The same launch on GPUs that multiply by four warps. */
static void wgmma_kernel(Build *b, const GroupInfo *g, const TcConv *c, Gather code) {
  TcConv wgmma = *c;
  TcBlock block;
  int64_t steps = 0;
  for (int i = 0; i < c->nphase; i++)
    if (c->phase[i].steps > steps) steps = c->phase[i].steps;
  if (c->part_steps) steps = c->part_steps;
  if (!tc_wgmma_tile(&c->t, steps, &wgmma.t)) return;
  KFn *k = build_sm90(b);
  tc_begin(&block, k, &wgmma.t, wgmma.bf16);
  tc_conv_kernel(b, g, &wgmma, k, &block, &code.c);
}

bool tc_conv(Emit *e, const GroupInfo *g, const ConvShape *s) {
  static const TcRows rows = {find_rows, load_rows};
  const Node *nd = &e->fn->node[g->anchor];
  TcConv c = {.s = *s, .bf16 = s->bf16};
  tc_conv_plan(e, g, &c, TC_MOST_STAGES);
  int x = emit_buffer(e, nd->in[0]), w = emit_buffer(e, nd->in[1]), ws = tc_conv_pack(e, g, &c, w);
  Build b =
      build_begin(e, g, s->dgrad ? "conv_dx" : "conv", "conv:%s:%s:%s%s", conv_describe(e->arena, s),
                  c.bf16 ? "mma_bf16" : "mma_tf32", s->dgrad ? "bwd_d" : "fwd", c.part_steps ? ":part" : "");
  Gather code = {.c.rows = &rows, .bytes = tc_copy_bytes(s->cin, c.bf16)};
  code.operand = build_arg(&b, x, false), code.c.weights = build_arg(&b, ws, false);
  b.kernel.bytes = 4 * conv_taps(s) * s->cin * s->cout + value_bytes(e, nd->in[0]);
  int sums = c.part_steps ? emit_workspace(e, 4 * c.sums) : -1;
  if (c.part_steps) code.c.sums = build_arg(&b, sums, true), b.kernel.bytes += 4 * c.sums;
  else epilogue_args(&b, g);
  b.kernel.flops = 2 * node_macs_inside(e->fn, nd);
  b.kernel.work = 2 * node_macs(e->fn, nd);
  KFn *k = build_kernel(&b, 0);
  TcBlock block;
  wgmma_kernel(&b, g, &c, code);
  tc_begin(&block, k, &c.t, c.bf16);
  tc_conv_kernel(&b, g, &c, k, &block, &code.c);
  build_end(&b, tc_conv_blocks(&c));
  if (c.part_steps) tc_results_sum(e, g, &c, sums);
  return !e->err[0];
}
