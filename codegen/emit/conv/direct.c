/* direct.c - G_CONV by loops over taps: conv and conv_dx with an elementwise epilogue.
 *
 * A task is a range of result rows times a range of channel blocks. For every row, tile of the row
 * (geometry.h) and block: accumulators of tile x block in registers; loops over the outer taps that hit the
 * operand, over the taps of the row and the operand's channels; then the epilogue on the accumulators. In
 * memory the taps of a row and the channels are one axis, for the operand as for the weights, so both are one
 * loop of taps * cin steps wherever all pixels of the tile meet the same taps; at the ends of a row there is
 * one loop for each run of such taps.
 *
 * Weights are read from panels (pack.c) where that pays. A task has as many blocks as their panels fit
 * the near cache, so that they stay in cache while the rows pass by. */
#include "codegen/emit/core/epilogue.h"
#include "codegen/emit/conv/geometry.h"
#include "ir/ints.h"

/* What is decided before code is written, for one instruction set. */
typedef struct {
  ConvShape s;
  ConvBlock b;
  ConvPhase *phase;
  int nphase;
  bool packed, pairs;             /* pairs: see conv_pairs */
  int64_t depth;                  /* steps of the micro-kernel for a tap */
  int64_t w_step, w_block;        /* elements of w between steps, between blocks */
  int64_t task_rows, task_blocks; /* of one task */
  int64_t rows, row_tasks, block_tasks;
  int64_t prefetch_step,
      prefetch_tiles; /* MicroTile.prefetch_step of tiles that run often; so many tiles ahead */
} ConvPlan;

/* The taps along one outer axis that hit the operand: j in lo..hi-1, operand coordinate at + dir*j, kernel
 * coordinate tap + tap_step*j. */
typedef struct {
  KV lo, hi, at, tap;
  int64_t dir, tap_step;
} OuterTaps;

/* The kernel being written. */
typedef struct {
  const ConvPlan *pl;
  KFn *k;
  Expr *x;
  const GroupInfo *g;
  Coord place;
  KV operand, weights, tail_mask;
  KV row_at;             /* operand element of (image, 0, .., 0) */
  KV coord[MAX_SPATIAL]; /* outer axes of the result row */
  OuterTaps outer[MAX_SPATIAL];
  KV first, end; /* blocks of the task */
  KV block;      /* at work */
  KV *acc;
  bool prefetch; /* for the epilogue's operands ahead of time */
} ConvCode;

/* ---- planning ---- */

enum { AHEAD_TURN = 4 };
/* A convolution whose windows do not overlap makes few multiply-adds of every pixel it reads. Its operand,
 * when it comes from memory, is asked for ahead, by the blocks of a tile together: of a pointwise one a tile
 * further on, of others, whose rows are short, the same tile of the next row. A tile reads `elements` in a
 * run for every outer tap. */
static int64_t prefetch_step(const ConvPlan *p) {
  enum { LARGE = 1 << 20 };
  const ConvShape *s = &p->s;
  bool apart = !s->dgrad && s->ns > 1;
  for (int i = 0; i < s->ns; i++) apart = apart && s->k[i] == s->geom.stride[i];
  int64_t taps = s->folded ? 1 : s->k[s->ns - 1], turns = taps * p->depth / AHEAD_TURN * p->task_blocks;
  int64_t elements = p->b.pixels * taps * s->cin;
  if ((!s->folded && !apart) || turns == 0 || conv_pixels(s, s->in) * s->cin < LARGE) return 0;
  return ceil_div(elements, turns * TILE_LINE) * TILE_LINE;
}

/* So many tiles as take as long as memory does. With few channels a tile is over long before what it asked
 * for is there. */
static int64_t prefetch_tiles(const ConvPlan *p) {
  enum { LATENCY = 1000, PER_CYCLE = 2 }; /* cycles; vectors of multiply-adds */
  int64_t steps = p->depth * p->b.vectors * p->task_blocks;
  return ceil_div(LATENCY * PER_CYCLE, p->b.pixels * steps);
}

/* Elements from what a tile reads to what it asks for. */
static int64_t prefetch_distance(const ConvPlan *p, const ConvTile *t) {
  const ConvShape *s = &p->s;
  return s->cin * (s->folded ? p->prefetch_tiles * t->pixels : s->geom.stride[s->ns - 2] * s->in[s->ns - 1]);
}

static ConvPlan plan_conv(Arena *a, const ConvShape *s, const Machine *m, int isa) {
  ConvPlan p = {.s = *s, .packed = pack_pays(s), .pairs = conv_pairs(s, isa), .rows = conv_rows(s)};
  int64_t *order, length[64], in = s->ns - 1, taps = conv_taps(s);
  p.depth = pack_depth(s, isa);
  p.nphase = conv_phases(a, s, &p.phase, &order);
  int n = (int)min64(p.nphase, 64);
  for (int i = 0; i < n; i++) length[i] = p.phase[i].count;
  p.b = conv_block(length, n, s->cout, p.depth * (s->dgrad ? 1 : s->geom.stride[in]), m->isa[isa].lanes,
                   m->isa[isa].nregs);
  int64_t width = p.b.vectors * p.b.lanes, panel = taps * p.depth * width;
  p.w_step = p.packed ? width : s->cout;
  p.w_block = p.packed ? panel : width;
  p.task_blocks = min64(max64(m->near_bytes / (panel * 4), 1), p.b.blocks);
  p.block_tasks = ceil_div(p.b.blocks, p.task_blocks);
  int64_t row_macs = s->out[in] * taps * s->cin * width * p.task_blocks;
  int64_t least = ceil_div(m->task_macs, row_macs), parts = ceil_div(m->tasks, p.block_tasks);
  p.task_rows = min64(max64(p.rows / parts, least), p.rows);
  p.row_tasks = ceil_div(p.rows, p.task_rows);
  p.prefetch_step = prefetch_step(&p);
  p.prefetch_tiles = prefetch_tiles(&p);
  return p;
}

/* ---- code ---- */

static OuterTaps outer_taps(const ConvCode *c, int axis) {
  const ConvShape *s = &c->pl->s;
  KFn *k = c->k;
  KV zero = k_i64(k, 0), i = c->coord[axis], in = k_i64(k, s->in[axis]), taps = k_i64(k, s->k[axis]);
  int64_t st = s->geom.stride[axis], p = s->geom.pad[axis];
  if (s->k[axis] == 1 && st == 1 && p == 0) return (OuterTaps){zero, taps, i, zero, 1, 1};
  if (!s->dgrad) {
    KV at = k_sub(k, k_mul(k, i, k_i64(k, st)), k_i64(k, p));
    return (OuterTaps){k_max(k, zero, k_sub(k, zero, at)), k_min(k, taps, k_sub(k, in, at)), at, zero, 1, 1};
  }
  KV u = k_add(k, i, k_i64(k, p)), q = u, r = zero, count = taps;
  if (st > 1) {
    q = k_div(k, u, k_i64(k, st));
    r = k_rem(k, u, k_i64(k, st));
    count = k_div(k, k_sub(k, k_i64(k, s->k[axis] + st - 1), r), k_i64(k, st));
  }
  KV lo = k_max(k, zero, k_sub(k, q, k_i64(k, s->in[axis] - 1)));
  return (OuterTaps){lo, k_min(k, count, k_add(k, q, k_i64(k, 1))), q, r, -1, st};
}

/* The taps of the row, for the operand row that starts at element x_row and the weights of the outer tap at
 * w_row. */
static void tile_row(const ConvCode *c, const ConvPhase *ph, const ConvTile *t, KV q0, const MicroTile *mt,
                     KV x_row, KV w_row) {
  KFn *k = c->k;
  int64_t cin = c->pl->s.cin, depth = c->pl->depth;
  KV pixel = k_add(k, k_mul(k, q0, k_i64(k, ph->istep)), k_i64(k, ph->base));
  for (int64_t t0 = 0, t1; t0 < ph->taps; t0 = t1) {
    int p0 = 0, p1 = t->pixels;
    while (p0 < p1 && !(t->lo[p0] <= t0 && t0 < t->hi[p0])) p0++;
    while (p1 > p0 && !(t->lo[p1 - 1] <= t0 && t0 < t->hi[p1 - 1])) p1--;
    /* The run of taps that meet the same pixels ends where a pixel's first or last tap lies. */
    t1 = ph->taps;
    for (int p = 0; p < t->pixels; p++) {
      if (t->lo[p] > t0) t1 = min64(t1, t->lo[p]);
      if (t->hi[p] > t0) t1 = min64(t1, t->hi[p]);
    }
    if (p0 == p1) continue;
    KV x_at = k_add(k, x_row, k_mul(k, k_add(k, pixel, k_i64(k, t0)), k_i64(k, cin)));
    KV w_at = k_add(k, w_row, k_i64(k, (ph->wpos + t0) * depth * c->pl->w_step));
    MicroTile mine = *mt;
    if (mine.prefetch_step) {
      int64_t turns = (t1 - t0) * depth / mine.unroll;
      KV asked = k_mul(k, k_sub(k, c->block, c->first), k_i64(k, turns * mine.prefetch_step));
      mine.prefetch_at = k_add(k, k_add(k, x_at, k_i64(k, prefetch_distance(c->pl, t))), asked);
    }
    tile_fma(&mine, p0, p1, x_at, w_at, k_i64(k, (t1 - t0) * depth));
  }
}

/* Loops over the outer taps from axis `axis` on; x_row and w_row count pixels of the operand and taps so far.
 */
static void tile_taps(const ConvCode *c, const ConvPhase *ph, const ConvTile *t, KV q0, const MicroTile *mt,
                      KV w_base, int axis, KV x_row, KV w_row) {
  const ConvShape *s = &c->pl->s;
  KFn *k = c->k;
  if (axis == s->ns - 1) {
    KV x_at = k_add(k, c->row_at, k_mul(k, x_row, k_i64(k, s->in[axis] * s->cin)));
    KV w_at = k_add(k, w_base, k_mul(k, w_row, k_i64(k, s->k[axis] * c->pl->depth * c->pl->w_step)));
    tile_row(c, ph, t, q0, mt, x_at, w_at);
    return;
  }
  const OuterTaps *o = &c->outer[axis];
  int64_t lo, hi;
  bool once = k_is_const(k, o->lo, &lo) && k_is_const(k, o->hi, &hi) && hi == lo + 1;
  KV j = once ? o->lo : k_for(k, o->lo, o->hi, 1);
  KV at = k_add(k, o->at, k_mul(k, j, k_i64(k, o->dir)));
  KV tap = k_add(k, o->tap, k_mul(k, j, k_i64(k, o->tap_step)));
  tile_taps(c, ph, t, q0, mt, w_base, axis + 1, k_add(k, k_mul(k, x_row, k_i64(k, s->in[axis])), at),
            k_add(k, k_mul(k, w_row, k_i64(k, s->k[axis])), tap));
  if (!once) k_end(k);
}

/* The place of vector v of pixel p of the tile from q0 on. */
static void go_to(ConvCode *c, const ConvPhase *ph, KV q0, KV channel, int p, int v) {
  const ConvShape *s = &c->pl->s;
  KFn *k = c->k;
  Coord *pl = &c->place;
  int last = pl->domain.rank - 1;
  KV q = k_add(k, k_mul(k, k_add(k, q0, k_i64(k, p)), k_i64(k, ph->ostep)), k_i64(k, ph->out0));
  if (s->folded) q = k_add(k, q, k_mul(k, c->coord[0], k_i64(k, s->out[1])));
  for (int a = 0; a < last - 2; a++) pl->coord[2 + a] = s->folded ? k_i64(k, 0) : c->coord[a];
  pl->coord[last] = q;
  pl->coord[1] = k_add(k, channel, k_i64(k, v * c->pl->b.lanes));
  pl->mask = K_NONE;
}

static void tile_epilogue(ConvCode *c, const ConvPhase *ph, const ConvTile *t, KV q0, KV channel, int vectors,
                          bool tail) {
  KFn *k = c->k;
  Coord *pl = &c->place;
  for (int p = 0; p < t->pixels; p++)
    for (int v = 0; v < vectors; v++) {
      go_to(c, ph, q0, channel, p, v);
      pl->mask = pl->vec && tail && v == vectors - 1 ? c->tail_mask : K_NONE;
      expr_at(c->x, pl);
      KV acc = k_get(k, c->acc[p * vectors + v]);
      expr_epilogue(c->x, c->g, pl->vec ? acc : k_lane(k, acc, 0));
    }
}

/* What the epilogue reads at every pixel is asked for ahead: as far as the operand is, see prefetch_step. */
static void prefetch_operands(ConvCode *c, const ConvPhase *ph, const ConvTile *t, KV q0, KV channel,
                              int vectors) {
  const ConvShape *s = &c->pl->s;
  int ahead = s->folded ? (int)c->pl->prefetch_tiles * t->pixels : 0;
  for (int p = 0; c->prefetch && p < t->pixels; p++)
    for (int v = 0; v < vectors; v++) {
      go_to(c, ph, q0, channel, p + ahead, v);
      if (!s->folded) c->place.coord[s->ns] = k_add(c->k, c->place.coord[s->ns], k_i64(c->k, 1));
      expr_at(c->x, &c->place);
      expr_prefetch(c->x, c->g);
    }
}

/* The tile from pixel q0 on, for one block of channels. */
static void emit_tile(ConvCode *c, const ConvPhase *ph, const ConvTile *t, KV q0, KV block, bool tail) {
  const ConvPlan *pl = c->pl;
  KFn *k = c->k;
  int vectors = conv_block_vectors(&pl->b, tail);
  int64_t ahead = t->count > 1 || !pl->s.folded ? pl->prefetch_step : 0;
  MicroTile mt = {.k = k,
                  .a = c->operand,
                  .b = c->weights,
                  .ap = ph->istep * pl->s.cin,
                  .am = pl->pairs ? 2 : 1,
                  .bm = pl->w_step,
                  .vectors = vectors,
                  .pairs = pl->pairs,
                  .unroll = t->count > 1 || ahead ? AHEAD_TURN : 1,
                  .mask = tail && !pl->packed ? c->tail_mask : K_NONE,
                  .prefetch_step = ahead,
                  .acc = c->acc};
  KV channel = k_mul(k, block, k_i64(k, pl->b.vectors * pl->b.lanes));
  c->block = block;
  prefetch_operands(c, ph, t, q0, channel, vectors);
  tile_zero(k, c->acc, t->pixels * vectors);
  tile_taps(c, ph, t, q0, &mt, k_mul(k, block, k_i64(k, pl->w_block)), 0, k_i64(k, 0), k_i64(k, 0));
  tile_epilogue(c, ph, t, q0, channel, vectors, tail);
}

/* The tile for the task's blocks first <= block < end, the tail block among them if end reaches it. */
static void emit_blocks(ConvCode *c, const ConvPhase *ph, const ConvTile *t, KV q0) {
  const ConvPlan *pl = c->pl;
  KFn *k = c->k;
  bool all = pl->block_tasks == 1, one = all && pl->b.full == 1;
  if (pl->b.full) {
    KV block = one ? k_i64(k, 0) : k_for(k, c->first, k_min(k, c->end, k_i64(k, pl->b.full)), 1);
    emit_tile(c, ph, t, q0, block, false);
    if (!one) k_end(k);
  }
  if (!pl->b.tail_vectors) return;
  if (!all) k_if(k, k_eq(k, c->end, k_i64(k, pl->b.blocks)));
  emit_tile(c, ph, t, q0, k_i64(k, pl->b.full), true);
  if (!all) k_end(k);
}

static void emit_row(ConvCode *c) {
  const ConvPlan *pl = c->pl;
  KFn *k = c->k;
  for (int a = 0; a < pl->s.ns - 1; a++) c->outer[a] = outer_taps(c, a);
  for (int i = 0; i < pl->nphase; i++) {
    ConvTile *tile;
    int n = conv_tiles(k->arena, &pl->phase[i], pl->s.in[pl->s.ns - 1], pl->b.pixels, &tile);
    for (int j = 0; j < n; j++) {
      KV q0 = k_i64(k, tile[j].q0), end = k_i64(k, tile[j].q0 + tile[j].count * tile[j].pixels);
      if (tile[j].count > 1) q0 = k_for(k, q0, end, tile[j].pixels);
      emit_blocks(c, &pl->phase[i], &tile[j], q0);
      if (tile[j].count > 1) k_end(k);
    }
  }
}

static void conv_kernel(Build *b, const GroupInfo *g, const ConvPlan *pl, int isa, KV operand, KV weights) {
  KFn *k = build_kernel(b, isa);
  const Node *nd = &b->e->fn->node[g->anchor];
  ConvCode c = {.pl = pl, .k = k, .g = g, .operand = operand, .weights = weights, .tail_mask = K_NONE};
  c.x = expr_new(b->e, g, b, k);
  /* An axis of one channel has no lanes: its results are stored as scalars. */
  c.place =
      (Coord){.vec = pl->s.cout > 1, .vec_axis = 1, .mask = K_NONE, .domain = nd->type, .order = nd->order};
  c.prefetch = !b->e->machine->simt && c.place.vec && pl->s.ns > 1;
  k_if(k, k_lt(k, k_task(k), k_i64(k, pl->row_tasks * pl->block_tasks)));
  if (pl->b.tail_lanes) c.tail_mask = k_first_lanes(k, k_i64(k, pl->b.tail_lanes));
  int most = pl->b.vectors > pl->b.tail_vectors ? pl->b.vectors : pl->b.tail_vectors;
  c.acc = tile_locals(k->arena, k, pl->b.pixels * most);
  KV parts = k_i64(k, pl->row_tasks);
  c.first = k_mul(k, k_div(k, k_task(k), parts), k_i64(k, pl->task_blocks));
  c.end = k_min(k, k_add(k, c.first, k_i64(k, pl->task_blocks)), k_i64(k, pl->b.blocks));
  KV row0 = k_mul(k, k_rem(k, k_task(k), parts), k_i64(k, pl->task_rows));
  KV row = k_for(k, row0, k_min(k, k_add(k, row0, k_i64(k, pl->task_rows)), k_i64(k, pl->rows)), 1);
  for (int a = pl->s.ns - 2; a >= 0; a--) {
    c.coord[a] = k_rem(k, row, k_i64(k, pl->s.out[a]));
    row = k_div(k, row, k_i64(k, pl->s.out[a]));
  }
  c.place.coord[0] = row;
  c.row_at = k_mul(k, row, k_i64(k, conv_pixels(&pl->s, pl->s.in) / pl->s.n * pl->s.cin));
  emit_row(&c);
  k_end(k);
  k_end(k);
}

bool conv_direct(Emit *e, const GroupInfo *g, const ConvShape *s) {
  const Node *nd = &e->fn->node[g->anchor];
  const char *name = conv_describe(e->arena, s);
  ConvShape loops = *s;
  if (epilogue_renumbers(e->fn, g, 2)) conv_fold(&loops, e->machine->tasks);
  ConvPlan plan[NETC_ISA_COUNT];
  ConvBlock block[NETC_ISA_COUNT];
  int64_t tasks = 0, panels = 0;
  for (int isa = 0; isa < e->machine->isas; isa++) {
    plan[isa] = plan_conv(e->arena, &loops, e->machine, isa);
    block[isa] = plan[isa].b;
    tasks = max64(tasks, plan[isa].row_tasks * plan[isa].block_tasks);
    panels = max64(panels, pack_elements(&loops, &block[isa], isa));
  }
  int x = emit_buffer(e, nd->in[0]), w = emit_buffer(e, nd->in[1]);
  if (plan[0].packed) {
    int ws = emit_workspace(e, panels * 4);
    pack_weights(e, g, &loops, block, w, ws);
    w = ws;
  }
  Build b =
      build_begin(e, g, s->dgrad ? "conv_dx" : "conv", "conv:%s:f32:%s", name, s->dgrad ? "bwd_d" : "fwd");
  KV operand = build_arg(&b, x, false), weights = build_arg(&b, w, false);
  b.kernel.bytes = 4 * conv_taps(s) * s->cin * s->cout + value_bytes(e, nd->in[0]);
  epilogue_args(&b, g);
  build_nontemporal(&b);
  b.kernel.flops = 2 * node_macs_inside(e->fn, nd);
  b.kernel.work = 2 * node_macs(e->fn, nd);
  if (conv_pairs(s, NETC_ISA_AVX512_BF16)) b.kernel.pair_flops = b.kernel.flops;
  EACH_ISA (isa, &b) conv_kernel(&b, g, &plan[isa], isa, operand, weights);
  build_end(&b, tasks);
  return !e->err[0];
}
