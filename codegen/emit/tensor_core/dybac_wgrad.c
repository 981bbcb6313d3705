/* dybac_wgrad.c - the weight gradient of DyBAC's 1x1 convolution on tensor cores. Its input is a depthwise result that is
 * computed again,
 *
 *   dV[c][o] = sum over pixels q of dwconv(s .* x, w)[q][c] * dy[q][o].
 *
 * A product of matrices as in wgrad.c: rows are channels of the depthwise result, columns channels of dy, the axis summed
 * over are pixels, and both operands lie turned, a line of a stage a pixel. A step is a box of 16 pixels, or 32 of bf16: warps compute
 * its depthwise results, 32 channels of a run at a time (runs.h), while the lines of dy are copied; pixels beyond the ends of the
 * image have zeros there. A word of bf16 holds channels 32 apart, c and c + 32, so that a lane has both, which is undone where
 * results are stored.
 *
 * Boxes are cut into parts, whose sums a second launch adds in order.
 */
#include "codegen/emit/core/sum_parts.h"
#include "codegen/emit/tensor_core/dybac.h"
#include "ir/ints.h"

typedef struct {
  DwRuns r;
  TcTile t;
  bool bf16;
  int64_t cout, row_blocks, col_blocks, steps, parts;
  int piece; /* bytes of a copy of dy */
} Plan;

enum { MOST_PIECES = 32 }; /* of a thread's, in a line */

typedef struct {
  const Plan *p;
  KV dy, dw;
  KV row0, col0, from; /* of the block; the first of its boxes */
  KV part_at;          /* element of the part's sums */
  /* Of the line of dy that the thread copies: its pixel's coordinates in the box, elements from the pixel's for each piece (< 0:
   * none) and words in the stage. */
  KV in_box[MAX_SPATIAL], off[MOST_PIECES], word[MOST_PIECES];
  int pieces, warps; /* warps that copy */
} Code;

/* ---- planning ---- */

/* No 128x128: with eight warps a thread has 128 registers, too few for its 64 sums and a run. */
static const struct {
  TcTile t;
  double rate;
} tiles[] = {
    {{64, 128, 2, 2, 16, 3, true, false}, 1},    {{128, 64, 2, 2, 16, 3, true, false}, 1},
    {{64, 64, 2, 2, 16, 3, true, false}, 0.8},   {{64, 32, 2, 1, 16, 3, true, false}, 0.6},
    {{128, 16, 4, 1, 16, 3, true, false}, 0.45}, {{32, 32, 2, 1, 16, 3, true, false}, 0.45},
};

bool tc_dybac_wgrad_takes(const Emit *e, const Node *nd, const DwShape *d) {
  enum { FEWEST = 8 };
  const Node *dy = &e->fn->node[nd->in[1]];
  bool bf16 = nd->at.bf16;
  int64_t cout = dy->type.dim[1];
  return e->machine->simt && (bf16 || e->fn->prog->tf32) && d->channels >= FEWEST && cout >= FEWEST &&
         dy->type.dt == (bf16 ? BF16 : F32) && (!bf16 || cout % 2 == 0) &&
         type_count(dy->type) < (int64_t)1 << 30 && dw_runs_take(e, d);
}

/* Two blocks for each processor, but no part of fewer than eight steps, and no more memory than is allowed. */
static int64_t parts_of(const Machine *m, const Plan *p) {
  enum { LEAST_STEPS = 8 };
  int64_t bytes = 4 * p->r.d.channels * p->cout, blocks = p->row_blocks * p->col_blocks;
  int64_t most = min64(p->steps / LEAST_STEPS, m->parts_bytes / bytes);
  return max64(min64(ceil_div(2 * m->processors, blocks), most), 1);
}

/* A depthwise value takes about the time of COLUMNS products; a part's sums go through memory, in about the time of some steps. */
static Plan plan(const Machine *m, const DwShape *d, int64_t samples, int64_t cout, bool bf16) {
  enum { COLUMNS = 96, PART_STEPS = 8 };
  Plan best = {0};
  double least = 0;
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
    Plan p = {.t = tiles[i].t, .bf16 = bf16, .cout = cout};
    if (bf16 && p.t.m < 64) continue; /* whole words for all lanes */
    p.r = dw_runs(d, tc_depth(&p.t, bf16));
    p.row_blocks = ceil_div(d->channels, p.t.m);
    p.col_blocks = ceil_div(cout, p.t.n);
    p.steps = samples * p.r.boxes;
    p.parts = parts_of(m, &p);
    int64_t waves = ceil_div(p.row_blocks * p.col_blocks * p.parts, m->processors);
    double time = (double)(waves * (ceil_div(p.steps, p.parts) + PART_STEPS) * p.t.m) *
                  ((double)p.t.n / tiles[i].rate + COLUMNS);
    if (least > 0 && time >= least) continue;
    best = p, least = time;
  }
  best.piece = tc_copy_bytes(cout, bf16);
  return best;
}

/* ---- dy ---- */

/* What the thread copies of a step: pieces of one line, `apart` from one to the next. */
static void find_pieces(Code *c, TcBlock *b) {
  KFn *k = b->k;
  const Plan *p = c->p;
  int depth = tc_depth(&b->t, b->bf16), per_word = b->bf16 ? 2 : 1, elements = p->piece / (b->bf16 ? 2 : 4);
  int apart = (int)min64(tc_threads(&b->t) / depth, b->t.n / elements);
  c->pieces = b->t.n / elements / apart;
  c->warps = depth * apart / 32;
  KV first = k_rem(k, b->thread, i32v(k, apart)), line = k_div(k, b->thread, i32v(k, apart)), place = line;
  for (int a = p->r.d.ns - 1; a >= 0; a--) {
    KV size = i32v(k, p->r.box[a]);
    c->in_box[a] = a ? k_rem(k, place, size) : place;
    place = k_div(k, place, size);
  }
  KV at = k_add(k, k_mul(k, line, i32v(k, tc_line(b->t.n, b->bf16))), i32v(k, tc_turned_b(&b->t, b->bf16)));
  for (int i = 0; i < c->pieces; i++) {
    KV col = k_mul(k, k_add(k, first, i32v(k, (int64_t)i * apart)), i32v(k, elements));
    KV channel = k_add(k, col, k_splat(k, k_cast(k, K_I32, c->col0)));
    c->off[i] = k_select(k, k_lt(k, channel, i32v(k, p->cout)), channel, i32v(k, -1));
    c->word[i] = k_add(k, at, k_div(k, col, i32v(k, per_word)));
  }
}

static void copy_dy(const Code *c, TcBlock *b, KV n, const KV *at, KV stage) {
  KFn *k = b->k;
  const DwShape *d = &c->p->r.d;
  bool some = c->warps < tc_warps(&b->t);
  if (some) k_if(k, k_lt(k, k_thread(k), k_i64(k, c->warps)));
  KV pixel = k_splat(k, k_cast(k, K_I32, n)), there = K_NONE;
  for (int a = 0; a < d->ns; a++) {
    KV q = k_add(k, c->in_box[a], k_splat(k, k_cast(k, K_I32, at[a]))), out = i32v(k, d->out[a]);
    pixel = k_add(k, k_mul(k, pixel, out), q);
    there = there == K_NONE ? k_lt(k, q, out) : k_and(k, there, k_lt(k, q, out));
  }
  KV base = k_mul(k, pixel, i32v(k, c->p->cout));
  for (int i = 0; i < c->pieces; i++) {
    KV also = k_and(k, there, k_le(k, i32v(k, 0), c->off[i]));
    KV from = k_select(k, also, k_add(k, base, c->off[i]), i32v(k, -1));
    k_copy_async(k, b->tiles, k_add(k, c->word[i], stage), c->dy, from, c->p->piece);
  }
  if (some) k_end(k);
}

/* ---- depthwise results ---- */

/* Run `run` of the box, words 32 * group and following of its lines. */
static void compute_run(const Code *c, TcBlock *b, KV n, const KV *box_at, KV run, KV group, KV stage) {
  KFn *k = b->k;
  const DwRuns *r = &c->p->r;
  KV at[MAX_SPATIAL], sum[DW_RUN_MOST], high[DW_RUN_MOST], line = k_mul(k, run, k_i64(k, r->pixels));
  KV channel = k_add(k, c->row0, k_mul(k, group, k_i64(k, b->bf16 ? 64 : 32)));
  int64_t words = tc_line(b->t.m, b->bf16);
  dw_runs_place(k, r, line, box_at, at);
  dw_run(k, r, n, at, channel, sum);
  if (b->bf16) dw_run(k, r, n, at, k_add(k, channel, k_i64(k, 32)), high);
  KV word = k_add(k, k_mul(k, line, k_i64(k, words)), k_mul(k, group, k_i64(k, 32)));
  word = k_add(k, word, k_cast(k, K_I64, k_lane(k, stage, 0)));
  for (int p = 0; p < r->pixels; p++) {
    KV v = b->bf16 ? k_bitcast(k, K_F32, k_pair(k, sum[p], high[p])) : sum[p];
    k_store(k, b->tiles, k_add(k, word, k_i64(k, p * words)), v);
  }
}

static void load(void *ctx, TcBlock *b, KV step, KV stage) {
  const Code *c = ctx;
  KFn *k = b->k;
  KV n, at[MAX_SPATIAL];
  dw_runs_box(k, &c->p->r, k_add(k, c->from, step), &n, at);
  copy_dy(c, b, n, at, stage);
  int64_t runs = tc_depth(&b->t, b->bf16) / c->p->r.pixels, groups = b->t.m / (b->bf16 ? 64 : 32);
  int64_t mine = runs * groups / tc_warps(&b->t);
  KV first = k_mul(k, k_thread(k), k_i64(k, mine)), i = k_i64(k, 0);
  if (mine > 1) i = k_for(k, k_i64(k, 0), k_i64(k, mine), 1);
  KV number = k_add(k, first, i);
  compute_run(c, b, n, at, k_rem(k, number, k_i64(k, runs)), k_div(k, number, k_i64(k, runs)), stage);
  if (mine > 1) k_end(k);
}

/* ---- results ---- */

static void rows(void *ctx, TcBlock *b, KV first) { (void)ctx, (void)b, (void)first; }
static void next(void *ctx, TcBlock *b) { (void)ctx, (void)b; }

/* Row 2 w + h of each 64 of bf16 is channel w + 32 h. */
static KV channel_of(const TcBlock *b, KV row) {
  KFn *k = b->k;
  if (!b->bf16) return row;
  KV in = k_rem(k, row, k_i64(k, 64)), two = k_i64(k, 2);
  KV half = k_mul(k, k_rem(k, in, two), k_i64(k, 32));
  return k_add(k, k_sub(k, row, in), k_add(k, k_div(k, in, two), half));
}

static void result_row(void *ctx, TcBlock *b, KV row, KV col, int few, KV value) {
  const Code *c = ctx;
  KFn *k = b->k;
  KV r = k_add(k, c->row0, channel_of(b, row)), channel = k_add(k, c->col0, col), cols = k_i64(k, c->p->cout);
  k_if(k, k_and(k, k_lt(k, r, k_i64(k, c->p->r.d.channels)), k_lt(k, channel, cols)));
  KV at = k_add(k, k_add(k, k_mul(k, r, cols), channel), c->part_at);
  k_store_masked(k, c->dw, at, value, k_first_lanes(k, k_min(k, k_sub(k, cols, channel), k_i64(k, few))));
  k_end(k);
}

static void kernel(Build *bd, const Plan *p, KV dy, KV dw) {
  static const TcResult result = {rows, result_row, next};
  KFn *k = build_kernel(bd, 0);
  Code c = {.p = p, .dy = dy, .dw = dw};
  TcBlock b;
  tc_begin(&b, k, &p->t, p->bf16);
  KV col_blocks = k_i64(k, p->col_blocks), row_blocks = k_i64(k, p->row_blocks), rest = k_task(k);
  c.col0 = k_mul(k, k_rem(k, rest, col_blocks), k_i64(k, p->t.n)), rest = k_div(k, rest, col_blocks);
  c.row0 = k_mul(k, k_rem(k, rest, row_blocks), k_i64(k, p->t.m));
  KV part = k_div(k, rest, row_blocks), all = k_i64(k, p->steps), parts = k_i64(k, p->parts);
  c.from = k_div(k, k_mul(k, part, all), parts);
  KV to = k_div(k, k_mul(k, k_add(k, part, k_i64(k, 1)), all), parts);
  c.part_at = k_mul(k, part, k_i64(k, p->r.d.channels * p->cout));
  find_pieces(&c, &b);
  tc_run(&b, k_sub(k, to, c.from), load, &c);
  tc_results(&b, &result, &c);
}

bool tc_dybac_wgrad(Emit *e, const GroupInfo *g, const DwShape *d) {
  const Node *nd = &e->fn->node[g->anchor], *u = &e->fn->node[nd->in[0]];
  Plan p = plan(e->machine, d, u->type.dim[0], e->fn->node[nd->in[1]].type.dim[1], nd->at.bf16);
  int dw = emit_buffer(e, g->anchor);
  int ws = p.parts > 1 ? emit_workspace(e, p.parts * d->channels * p.cout * 4) : dw;
  char dims[96], win[96];
  Build b = build_begin(e, g, "conv_dw", "conv_dw:%s_oc%lld_%s:%s:bwd_w_dw%s",
                        dims_text(e->fn->node[d->x].type, dims), (long long)p.cout,
                        window_text(d->ns, d->size, &d->geom, win), p.bf16 ? "mma_bf16" : "mma_tf32",
                        d->s >= 0 ? ":gate" : "");
  KV dy = build_arg(&b, emit_buffer(e, nd->in[1]), false);
  p.r.x = build_arg(&b, emit_buffer(e, d->x), false);
  p.r.w = build_arg(&b, emit_buffer(e, d->w), false);
  if (d->s >= 0) p.r.s = build_arg(&b, emit_buffer(e, d->s), false);
  KV out = build_arg(&b, ws, true);
  b.kernel.work = 2 * node_macs(e->fn, nd);
  b.kernel.flops = 2 * (node_macs_inside(e->fn, nd) + node_macs(e->fn, u));
  b.kernel.bytes = group_bytes(e, g);
  kernel(&b, &p, dy, out);
  build_end(&b, p.row_blocks * p.col_blocks * p.parts);
  int64_t parts[NETC_ISA_COUNT] = {p.parts};
  if (p.parts > 1) sum_parts(e, g, d->channels * p.cout, parts, ws, dw);
  return !e->err[0];
}
