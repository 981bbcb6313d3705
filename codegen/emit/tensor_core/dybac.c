/* dybac.c - G_DYBAC on tensor cores: DyBAC's forward pass, depthwise convolution, 1x1 convolution and epilogue in one kernel.
 *
 * A product of matrices as in conv.c, with another producer of its rows: they are computed, not copied. Rows are the pixels
 * of a box, columns the channels of the result. A step sums over 32 channels, or 64 of bf16: the warps of the block compute the depthwise result of
 * all its pixels, rounded, straight into the next stage (runs.h), for which the weights of the step are copied meanwhile, and multiply the
 * one before. Warps wait for each other once a step, so some compute what others multiply.
 *
 * Words of a row of bf16 hold channels 32 apart, c and c + 32, so that a lane has a channel in both halves. The order of the summed
 * axis is anyone's, if that of the weights, which are packed by a launch before, is the same.
 */
#include "codegen/emit/tensor_core/dybac.h"
#include "codegen/emit/core/expr.h"
#include "codegen/util/ints.h"

typedef struct {
  DwRuns r;
  TcTile t;
  bool bf16;
  int64_t samples, cout, col_blocks, steps;
} Plan;

/* ---- planning ---- */

/* Tiles with rows of 32 words, a lane each, and how near to the full rate they come. */
static const struct {
  TcTile t;
  double rate;
} tiles[] = {
    {{64, 128, 2, 4, 32, 2, false, false}, 1},   {{128, 64, 4, 2, 32, 2, false, false}, 0.9},
    {{64, 64, 2, 2, 32, 2, false, false}, 0.8},  {{128, 32, 4, 1, 32, 2, false, false}, 0.7},
    {{64, 32, 2, 1, 32, 2, false, false}, 0.6},  {{128, 16, 4, 1, 32, 2, false, false}, 0.45},
    {{32, 32, 2, 1, 32, 2, false, false}, 0.45},
};

/* A depthwise value takes about the time of so many products, and each range of columns computes it again. */
enum { COLUMNS = 96 };

bool tc_dybac_takes(const Emit *e, const DwShape *d, int64_t cout, bool bf16) {
  enum { FEWEST = 8 }; /* channels on either side: of less most of a tile would be zeros */
  return e->machine->simt && (bf16 || e->fn->prog->tf32) && d->channels >= FEWEST && cout >= FEWEST &&
         d->channels * cout < (int64_t)1 << 29 && dw_runs_take(e, d);
}

static Plan plan(const Machine *m, const DwShape *d, int64_t samples, int64_t cout, bool bf16) {
  Plan best = {0};
  double least = 0;
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
    Plan p = {.r = dw_runs(d, tiles[i].t.m), .t = tiles[i].t, .bf16 = bf16, .samples = samples, .cout = cout};
    p.col_blocks = ceil_div(cout, p.t.n);
    p.steps = ceil_div(d->channels, tc_depth(&p.t, bf16));
    int64_t waves = ceil_div(samples * p.r.boxes * p.col_blocks, m->sms);
    double time = (double)(waves * p.t.m) * ((double)p.t.n / tiles[i].rate + COLUMNS);
    if (least > 0 && time >= least) continue;
    best = p, least = time;
  }
  return best;
}

/* ---- packed weights: for each range of columns and step the stage's b ---- */

static void pack_kernel(const Plan *p, KFn *k) {
  int depth = tc_depth(&p->t, p->bf16);
  KV step = k_rem(k, k_task(k), k_i64(k, p->steps)), block = k_div(k, k_task(k), k_i64(k, p->steps));
  KV to = k_mul(k, k_task(k), k_i64(k, (int64_t)p->t.n * depth));
  KV channel0 = k_cast(k, K_I32, k_mul(k, step, k_i64(k, depth)));
  KV i = k_for(k, k_i64(k, 0), k_i64(k, p->t.n), 1);
  KV col = k_add(k, k_mul(k, block, k_i64(k, p->t.n)), i);
  for (int part = 0; part < depth; part += 32) {
    KV place = k_add(k, k_iota(k), i32v(k, part)), channel = k_add(k, place, channel0);
    if (p->bf16) /* place 2 w + h is channel w + 32 h */
      channel =
          k_add(k, k_add(k, k_div(k, place, i32v(k, 2)), k_mul(k, k_rem(k, place, i32v(k, 2)), i32v(k, 32))),
                channel0);
    KV there =
        k_and(k, k_lt(k, channel, i32v(k, p->r.d.channels)), k_splat(k, k_lt(k, col, k_i64(k, p->cout))));
    KV from = k_add(k, k_mul(k, channel, i32v(k, p->cout)), k_splat(k, k_cast(k, K_I32, col)));
    KV w = k_gather_masked(k, 0, from, there);
    k_store(k, 1, k_add(k, k_add(k, to, k_mul(k, i, k_i64(k, depth))), k_i64(k, part)),
            p->bf16 ? w : k_tf32(k, w));
  }
  k_end(k);
}

static int pack(Emit *e, const GroupInfo *g, const Plan *p, int w) {
  int64_t elements = p->col_blocks * p->steps * p->t.n * tc_depth(&p->t, p->bf16);
  int ws = p->bf16 ? emit_bf16_workspace(e, elements) : emit_workspace(e, elements * 4);
  Build b = build_begin(e, g, "pack", "pack:dybac_ic%lld_oc%lld:%s:n%d", (long long)p->r.d.channels,
                        (long long)p->cout, p->bf16 ? "bf16" : "tf32", p->t.n);
  build_arg(&b, w, false);
  build_arg(&b, ws, true);
  pack_kernel(p, build_kernel(&b, 0));
  b.kernel.bytes = (p->bf16 ? 6 : 8) * p->r.d.channels * p->cout;
  build_end(&b, p->col_blocks * p->steps);
  return ws;
}

/* ---- the kernel ---- */

typedef struct {
  const Plan *p;
  Expr *x;
  const GroupInfo *g;
  Coord place;
  KV weights;
  KV n, at[MAX_SPATIAL], col_block; /* of the block: its sample, the first pixel of its box */
} Code;

/* What lanes hold of row `row` of a stage goes to word `lane` of it. */
static void put_row(TcBlock *b, KV row, KV stage, KV word) {
  KFn *k = b->k;
  KV piece = k_bin(k, K_shr, b->lane, i32v(k, 2)), rest = k_bin(k, K_and, b->lane, i32v(k, 3));
  KV to = k_add(k, k_add(k, tc_word(b, row, piece), rest), stage);
  k_scatter(k, b->tiles, to, word);
}

static void compute_run(const Code *c, TcBlock *b, KV run, KV channel, KV stage) {
  KFn *k = b->k;
  const DwRuns *r = &c->p->r;
  KV at[MAX_SPATIAL], sum[DW_RUN_MOST], high[DW_RUN_MOST];
  KV row = k_mul(k, run, k_i64(k, r->pixels));
  dw_runs_place(k, r, row, c->at, at);
  dw_run(k, r, c->n, at, channel, sum);
  if (b->bf16) dw_run(k, r, c->n, at, k_add(k, channel, k_i64(k, 32)), high);
  KV first = k_splat(k, k_cast(k, K_I32, row));
  for (int p = 0; p < r->pixels; p++) {
    KV word = b->bf16 ? k_bitcast(k, K_F32, k_pair(k, sum[p], high[p])) : k_tf32(k, sum[p]);
    put_row(b, k_add(k, first, i32v(k, p)), stage, word);
  }
}

/* Each warp has as many runs, one after the other. */
static void compute_rows(const Code *c, TcBlock *b, KV step, KV stage) {
  KFn *k = b->k;
  int64_t runs = b->t.m / c->p->r.pixels / tc_warps(&b->t);
  KV channel = k_mul(k, step, k_i64(k, tc_depth(&b->t, b->bf16)));
  KV first = k_mul(k, k_thread(k), k_i64(k, runs));
  KV i = runs > 1 ? k_for(k, k_i64(k, 0), k_i64(k, runs), 1) : k_i64(k, 0);
  compute_run(c, b, k_add(k, first, i), channel, stage);
  if (runs > 1) k_end(k);
}

/* The stage's b lies in one run in memory. */
static void copy_cols(const Code *c, TcBlock *b, KV step, KV stage) {
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int per_row = t->row / TC_PIECE, all = t->n * per_row, threads = tc_threads(t);
  int64_t depth = tc_depth(t, b->bf16);
  KV tile = k_add(k, k_mul(k, c->col_block, k_i64(k, c->p->steps)), step);
  KV from = k_splat(k, k_cast(k, K_I32, k_mul(k, tile, k_i64(k, t->n * depth))));
  for (int i = 0; i < all; i += threads) {
    KV number = k_add(k, b->thread, i32v(k, i));
    KV row = k_add(k, k_div(k, number, i32v(k, per_row)), i32v(k, t->m));
    KV to = k_add(k, tc_word(b, row, k_rem(k, number, i32v(k, per_row))), stage);
    KV at = k_add(k, from, k_mul(k, number, i32v(k, b->bf16 ? 8 : 4)));
    k_copy_async(k, b->tiles, to, c->weights, at, 16);
  }
}

static void load(void *ctx, TcBlock *b, KV step, KV stage) {
  copy_cols(ctx, b, step, stage);
  compute_rows(ctx, b, step, stage);
}

/* ---- its results ---- */

static void results_from(void *ctx, TcBlock *b, KV first) { (void)ctx, (void)b, (void)first; }
static void next_row(void *ctx, TcBlock *b) { (void)ctx, (void)b; }

static void result_row(void *ctx, TcBlock *b, KV row, KV col, int few, KV value) {
  Code *c = ctx;
  KFn *k = b->k;
  const Plan *p = c->p;
  KV at[MAX_SPATIAL], channel = k_add(k, k_mul(k, c->col_block, k_i64(k, b->t.n)), col), there = K_NONE;
  dw_runs_place(k, &p->r, row, c->at, at);
  if (p->cout % b->t.n) there = k_lt(k, channel, k_i64(k, p->cout));
  for (int a = 0; a < p->r.d.ns; a++) {
    c->place.coord[2 + a] = at[a];
    if (p->r.d.out[a] % p->r.box[a] == 0) continue;
    KV also = k_lt(k, at[a], k_i64(k, p->r.d.out[a]));
    there = there == K_NONE ? also : k_and(k, there, also);
  }
  c->place.coord[0] = c->n, c->place.coord[1] = channel;
  if (there != K_NONE) k_if(k, there);
  c->place.mask = K_NONE;
  if (p->cout % few || few < 32)
    c->place.mask = k_first_lanes(k, k_min(k, k_sub(k, k_i64(k, p->cout), channel), k_i64(k, few)));
  expr_at(c->x, &c->place);
  expr_epilogue(c->x, c->g, value);
  if (there != K_NONE) k_end(k);
}

static void kernel(Build *bd, const GroupInfo *g, const Plan *p, KV weights) {
  static const TcResult result = {results_from, result_row, next_row};
  KFn *k = build_kernel(bd, 0);
  const Node *nd = &bd->e->fn->node[g->anchor];
  Code c = {.p = p, .g = g, .weights = weights};
  TcBlock b;
  c.x = expr_new(bd->e, g, bd, k);
  c.place = (Coord){.vec = true, .vec_axis = 1, .mask = K_NONE, .domain = nd->type, .order = nd->order};
  tc_begin(&b, k, &p->t, p->bf16);
  b.rounded_a = b.rounded_b = true;
  c.col_block = k_rem(k, k_task(k), k_i64(k, p->col_blocks));
  dw_runs_box(k, &p->r, k_div(k, k_task(k), k_i64(k, p->col_blocks)), &c.n, c.at);
  tc_run(&b, k_i64(k, p->steps), load, &c);
  tc_results(&b, &result, &c);
}

bool tc_dybac(Emit *e, const GroupInfo *g, const DwShape *d) {
  const Node *nd = &e->fn->node[g->anchor];
  Plan p = plan(e->machine, d, nd->type.dim[0], nd->type.dim[1], nd->at.bf16);
  int from = emit_buffer(e, nd->in[1]), v = pack(e, g, &p, from);
  char dims[96], win[96];
  Build b = build_begin(e, g, "dybac", "dybac:%s_oc%lld_%s:%s:fwd%s", dims_text(e->fn->node[d->x].type, dims),
                        (long long)p.cout, window_text(d->ns, d->size, d->stride, d->pad, win),
                        p.bf16 ? "mma_bf16" : "mma_tf32", d->s >= 0 ? ":gate" : "");
  for (int i = 0; i < g->nin; i++) {
    int in = emit_buffer(e, g->in[i]);
    build_arg(&b, in == from ? v : in, false);
  }
  for (int i = 0; i < g->nout; i++) build_arg(&b, emit_buffer(e, g->out[i]), true);
  p.r.x = arg_of(&b, d->x), p.r.w = arg_of(&b, d->w);
  if (d->s >= 0) p.r.s = arg_of(&b, d->s);
  b.kernel.flops = 2 * (node_macs(e->fn, nd) + node_macs(e->fn, &e->fn->node[nd->in[0]]));
  b.kernel.bytes = group_bytes(e, g);
  kernel(&b, g, &p, build_find_arg(&b, v));
  build_end(&b, p.samples * p.r.boxes * p.col_blocks);
  return !e->err[0];
}
