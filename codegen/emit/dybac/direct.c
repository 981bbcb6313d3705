/* direct.c - G_DYBAC: the DyBAC layer's forward pass in one kernel,
 *
 *   y[n,o,.] = epilogue( sum over c of v[o,c] * dwconv(s .* x, w)[n,c,.] )
 *
 * A task owns a strip of one sample: a segment of the row, or whole rows, and walks down it in steps of a few
 * rows. A step writes the depthwise result of its pixels, all channels, into scratch, and contracts from there.
 * x is read once (the rows above and below again, from cache), y is written once; the scaled input and the
 * depthwise result never reach memory. While a step contracts, which leaves the memory idle, it asks for the
 * rows of x that the next step reads first.
 */
#include "codegen/emit/conv/geometry.h"
#include "codegen/emit/dybac/dybac.h"
#include "codegen/util/ints.h"

/* NEAR: bytes of the second-level cache a step may count on. Where the weights leave room in it, a segment is so
 * narrow that the rows of x its depthwise convolutions share stay there from step to step; where they do not,
 * they stream past whatever is done, the more seldom the more pixels a step has: as the scratch holds. */
enum { NEAR = 384 << 10, MAX_PIXELS = 512, NARROWEST = 16, MAX_STEPS = 16 };

typedef struct {
  DwShape d;
  int64_t cout, rows, width;           /* rows of a sample, pixels of a row */
  int64_t segment, segments;           /* pixels of a row in a step; per row */
  int64_t step_rows, steps, task_rows; /* rows of a step; steps and rows of a task */
  int64_t pixel;                       /* scratch elements between pixels */
  ConvShape pointwise;
  bool packed;
} Dybac;

enum { MAX_AHEAD = 7 };
typedef struct {
  const Dybac *pl;
  bool pairs; /* the depthwise result is bf16, contracted in pairs of channels */
  const GroupInfo *g;
  const Node *anchor;
  KFn *k;
  Expr *x;
  ConvBlock b;
  KV scratch, v, tail_mask, *acc;
  KV row0;        /* first row of the step */
  KV row;         /* of the depthwise result, within the step */
  KV segment, lo; /* number of the segment, its first pixel */
  int64_t count;  /* its pixels */
  KV apart;       /* row of the step that is contracted by itself; K_NONE: all together */
  KV x_buffer;
  KV next[MAX_AHEAD]; /* locals: elements of x that are asked for next, */
  int planes;         /* and how many there are */
  int64_t prefetch;   /* cache lines to ask for in a tile */
} Code;

enum { LINE = 16 }; /* floats of a cache line */

/* The largest divisor of n up to `most`, at least 1. */
static int64_t divisor(int64_t n, int64_t most) {
  int64_t d = max64(min64(most, n), 1);
  while (n % d) d--;
  return d;
}

/* Pixels of a step. Near: the rows of x for a pixel and the one below, its depthwise result, and the weights. */
static int64_t step_pixels(const Machine *m, const Dybac *p) {
  const DwShape *d = &p->d;
  int64_t rows = 1, scratch = min64(m->scratch / 4 / d->channels, MAX_PIXELS);
  for (int a = 0; a < d->ns - 1; a++) rows *= d->size[a];
  int64_t bytes = p->pointwise.bf16 ? 2 : 4; /* of an element */
  int64_t near = (NEAR / bytes / d->channels - p->cout) / ((rows + 1) * d->stride[d->ns - 1] + 1);
  return near < NARROWEST ? scratch : min64(near / 8 * 8, scratch);
}

/* Steps of whole rows as many as fit or of a segment, tasks of several steps. Rows of a step divide those of a
 * sample, so that all tasks are alike. */
static void plan(const Machine *m, Dybac *p, int64_t samples) {
  int64_t pixels = max64(step_pixels(m, p), 1), all = samples * p->rows;
  p->segments = ceil_div(p->width, pixels);
  int64_t unit = m->simt ? 1 : 8; /* shared memory holds so many pixels and no more */
  p->segment = min64(ceil_div(ceil_div(p->width, p->segments), unit) * unit, p->width);
  p->segments = ceil_div(p->width, p->segment);
  p->step_rows = p->segments > 1 ? 1 : divisor(p->rows, min64(pixels / p->width, all / (m->tasks / 2)));
  p->steps = divisor(p->rows / p->step_rows, min64(all / p->step_rows * p->segments / m->tasks, MAX_STEPS));
  p->task_rows = p->step_rows * p->steps;
  /* Pixels half a page apart would fall into few sets of the first-level cache. */
  p->pixel = p->d.channels + (p->d.channels * 4 % 2048 == 0 ? LINE : 0);
}

static void keep_depthwise(void *ctx, KFn *k, const DwAt *at, KV v) {
  const Code *c = ctx;
  if (c->pl->pointwise.bf16 && !c->pairs) v = k_un(k, K_bf16, v);
  KV pixel = k_add(k, k_mul(k, c->row, k_i64(k, c->count)), k_sub(k, at->pixel, c->lo));
  KV off = k_add(k, k_mul(k, pixel, k_i64(k, c->pl->pixel)), at->channel);
  store_lanes(k, c->scratch, off, 1, v, at->vec, at->mask);
}

static void epilogue(const Code *c, KV pixel, KV channel, KV mask, KV v) {
  const DwShape *d = &c->pl->d;
  KFn *k = c->k;
  Coord p = {.vec = c->pl->cout > 1,
             .vec_axis = 1,
             .mask = mask,
             .domain = c->anchor->type,
             .order = c->anchor->order};
  KV row = c->row0, col = pixel;
  if (c->apart != K_NONE) {
    row = k_add(k, row, c->apart);
  } else if (c->pl->step_rows > 1) {
    row = k_add(k, row, k_div(k, pixel, k_i64(k, c->count)));
    col = k_rem(k, pixel, k_i64(k, c->count));
  }
  DwRow at;
  row_place(k, d, row, &at);
  p.coord[0] = at.n;
  p.coord[1] = channel;
  for (int a = 0; a < d->ns - 1; a++) p.coord[2 + a] = at.outer[a];
  p.coord[1 + d->ns] = k_add(k, col, c->lo);
  if (!p.vec) {
    p.mask = K_NONE;
    v = k_lane(k, v, 0);
  }
  expr_at(c->x, &p);
  expr_epilogue(c->x, c->g, v);
}

/* ---- asking for x ahead of time ---- */

/* The next step's rows of x that this step does not read: for every plane that its taps reach, those of the last taps; a piece of
 * memory for a step of one row as for whole rows. Of several planes only the last is new to the task, but the others have left
 * the second-level cache since. Spread over the tiles, so that they come in while the contraction computes. */
static void prefetch_begin(Code *c, int64_t tiles) {
  const DwShape *d = &c->pl->d;
  KFn *k = c->k;
  int last = d->ns - 1;
  c->prefetch = 0;
  if (d->ns == 1 || !d->vec || c->pl->steps == 1) return;
  DwRow r;
  row_place(k, d, k_add(k, c->row0, k_i64(k, c->pl->step_rows)), &r);
  KV at = k_add(k, k_mul(k, r.n, k_i64(k, d->xs[0])),
                k_mul(k, c->lo, k_i64(k, d->stride[last] * d->xs[2 + last])));
  for (int i = 0; i < c->planes; i++) {
    KV row = at;
    for (int a = 0; a < last; a++) {
      int64_t tap = a < last - 1 ? d->size[a] - c->planes + i : d->size[a] - 1;
      KV u = k_max(k, tap_source(k, d, a, r.outer[a], k_i64(k, tap)), k_i64(k, 0));
      row = k_add(k, row, k_mul(k, k_min(k, u, k_i64(k, d->in[a] - 1)), k_i64(k, d->xs[2 + a])));
    }
    k_set(k, c->next[i], row);
  }
  int64_t rows = c->pl->step_rows * d->stride[last - 1];
  c->prefetch = ceil_div(rows * c->count * d->stride[last] * d->channels, LINE * tiles);
}

static void prefetch_tile(const Code *c) {
  KFn *k = c->k;
  for (int i = 0; c->prefetch && i < c->planes; i++) {
    KV at = k_get(k, c->next[i]), end = k_add(k, at, k_i64(k, c->prefetch * LINE));
    KV line = k_for(k, at, end, LINE);
    k_prefetch(k, c->x_buffer, line);
    k_end(k);
    k_set(k, c->next[i], end);
  }
}

/* ---- a step ---- */

/* `count` pixels of scratch from `pixel` on, one block of output channels. */
static void contract_tile(const Code *c, KV pixel, int count, KV block, bool tail) {
  KFn *k = c->k;
  KV from = c->apart == K_NONE ? pixel : k_add(k, k_mul(k, c->apart, k_i64(k, c->count)), pixel);
  int vectors = conv_block_vectors(&c->b, tail);
  int64_t depth = c->pairs ? c->pl->d.channels / 2 : c->pl->d.channels;
  int64_t width = (int64_t)c->b.vectors * c->b.lanes;
  KV channel = k_mul(k, block, k_i64(k, width));
  MicroTile mt = {.k = k,
                  .a = c->scratch,
                  .b = c->v,
                  .ap = c->pl->pixel,
                  .am = c->pairs ? 2 : 1,
                  .pairs = c->pairs,
                  .bm = c->pl->packed ? width : c->pl->cout,
                  .vectors = vectors,
                  .unroll = count == c->b.pixels ? 4 : 1,
                  .mask = tail && !c->pl->packed ? c->tail_mask : K_NONE,
                  .acc = c->acc};
  prefetch_tile(c);
  tile_zero(k, c->acc, count * vectors);
  tile_fma(&mt, 0, count, k_mul(k, from, k_i64(k, c->pl->pixel)),
           c->pl->packed ? k_mul(k, channel, k_i64(k, depth)) : channel, k_i64(k, depth));
  for (int p = 0; p < count; p++)
    for (int v = 0; v < vectors; v++) {
      KV mask = tail && v == vectors - 1 ? c->tail_mask : K_NONE;
      epilogue(c, k_add(k, pixel, k_i64(k, p)), k_add(k, channel, k_i64(k, (int64_t)v * c->b.lanes)), mask,
               k_get(k, c->acc[p * vectors + v]));
    }
}

static void contract_block(const Code *c, KV block, bool tail) {
  KFn *k = c->k;
  int64_t pixels = c->apart == K_NONE ? c->pl->step_rows * c->count : c->count;
  int64_t full = pixels / c->b.pixels * c->b.pixels;
  if (full) {
    KV p = k_for(k, k_i64(k, 0), k_i64(k, full), c->b.pixels);
    contract_tile(c, p, c->b.pixels, block, tail);
    k_end(k);
  }
  if (full < pixels) contract_tile(c, k_i64(k, full), (int)(pixels - full), block, tail);
}

static void contract(Code *c) {
  KFn *k = c->k;
  int64_t rows = c->pl->step_rows, row_tiles = ceil_div(c->count, c->b.pixels);
  bool apart = rows > 1 && row_tiles * c->b.pixels * 8 <= c->count * 9;
  prefetch_begin(c, (apart ? rows * row_tiles : ceil_div(rows * c->count, c->b.pixels)) * c->b.blocks);
  c->apart = apart ? k_for(k, k_i64(k, 0), k_i64(k, rows), 1) : K_NONE;
  if (c->b.full) {
    KV block = k_for(k, k_i64(k, 0), k_i64(k, c->b.full), 1);
    contract_block(c, block, false);
    k_end(k);
  }
  if (c->b.tail_vectors) contract_block(c, k_i64(k, c->b.full), true);
  if (apart) k_end(k);
}

static int64_t segment_pixels(const Dybac *p, int64_t segment) {
  return min64(p->segment, p->width - segment * p->segment);
}

/* Segments from `segment` on that one code does for: those where all taps meet x and all pixels are there; a
 * segment at an end of the row has code of its own. */
static int64_t alike(const Dybac *p, int64_t segment) {
  int64_t n = 0;
  for (int64_t i = segment; i < p->segments; i++, n++) {
    int64_t lo = i * p->segment, count = segment_pixels(p, i);
    if (count < p->segment || !dw_row_is_inside(&p->d, lo, lo + count)) break;
  }
  return max64(n, 1);
}

static void depthwise(Code *c, DwRow *r) {
  KFn *k = c->k;
  int open = 0;
  for (int64_t i = 0, n; i < c->pl->segments; i += n) {
    n = alike(c->pl, i);
    bool rest = i + n < c->pl->segments;
    if (rest) k_if(k, k_lt(k, c->segment, k_i64(k, i + n)));
    c->count = segment_pixels(c->pl, i);
    int64_t lo = i * c->pl->segment;
    if (n > 1) dw_row_inside(k, r, c->lo, c->count, keep_depthwise, c);
    else dw_row(k, r, lo, lo + c->count, keep_depthwise, c);
    if (!rest) continue;
    k_else(k);
    open++;
  }
  while (open--) k_end(k);
}

static void step(Code *c, DwRow *r) {
  KFn *k = c->k;
  const Dybac *p = c->pl;
  int64_t last = segment_pixels(p, p->segments - 1);
  c->row = k_for(k, k_i64(k, 0), k_i64(k, p->step_rows), 1);
  row_place(k, &p->d, k_add(k, c->row0, c->row), r);
  depthwise(c, r);
  k_end(k);
  c->count = p->segment;
  if (last != p->segment) k_if(k, k_lt(k, c->segment, k_i64(k, p->segments - 1)));
  contract(c);
  if (last == p->segment) return;
  k_else(k);
  c->count = last;
  contract(c);
  k_end(k);
}

static void kernel(Build *b, const GroupInfo *g, const Dybac *pl, const ConvBlock *block, int isa,
                   KV weights) {
  KFn *k = build_kernel(b, isa);
  k_opaque_counters(k);
  const Node *anchor = &b->e->fn->node[g->anchor];
  const DwShape *d = &pl->d;
  Code c = {.pl = pl,
            .g = g,
            .anchor = anchor,
            .k = k,
            .b = *block,
            .v = weights,
            .tail_mask = K_NONE,
            .apart = K_NONE};
  c.pairs = conv_pairs(&pl->pointwise, isa);
  DwRow r = {
      .shape = d, .x = arg_of(b, d->x), .w = arg_of(b, d->w), .s = d->s >= 0 ? arg_of(b, d->s) : K_NONE};
  r.channel0 = k_i64(k, 0), r.channels = d->channels;
  c.x = expr_new(b->e, g, b, k);
  c.x_buffer = r.x;
  c.planes = d->ns < 3 ? 1 : (int)min64(d->size[0], MAX_AHEAD);
  for (int i = 0; i < c.planes; i++) c.next[i] = k_local(k, K_I64, false, "next");
  c.scratch = k_scratch(k, c.pairs ? K_BF16 : K_F32, pl->step_rows * pl->segment * pl->pixel, "depthwise");
  int most = c.b.vectors > c.b.tail_vectors ? c.b.vectors : c.b.tail_vectors;
  c.acc = tile_locals(k->arena, k, c.b.pixels * most);
  if (c.b.tail_vectors) c.tail_mask = c.b.tail_lanes ? k_first_lanes(k, k_i64(k, c.b.tail_lanes)) : K_NONE;
  KV segments = k_i64(k, pl->segments), zero = k_i64(k, 0);
  c.segment = pl->segments > 1 ? k_rem(k, k_task(k), segments) : zero;
  c.lo = k_mul(k, c.segment, k_i64(k, pl->segment));
  KV first = k_mul(k, k_div(k, k_task(k), segments), k_i64(k, pl->task_rows));
  c.row0 = pl->steps > 1 ? k_for(k, first, k_add(k, first, k_i64(k, pl->task_rows)), pl->step_rows) : first;
  step(&c, &r);
  if (pl->steps > 1) k_end(k);
}

/* The contraction as a convolution, for the panels of its weights. */
static ConvShape pointwise(const Dybac *p, int64_t samples, bool bf16) {
  ConvShape s = {.ns = p->d.ns, .n = samples, .cin = p->d.channels, .cout = p->cout, .bf16 = bf16};
  for (int a = 0; a < s.ns; a++) {
    s.in[a] = s.out[a] = p->d.out[a];
    s.k[a] = s.stride[a] = 1;
  }
  return s;
}

/* What the fusion pass promises, and the memory orders the kernel is written for. */
static bool check(Emit *e, const GroupInfo *g, const DwShape *d) {
  const Node *anchor = &e->fn->node[g->anchor], *v = &e->fn->node[anchor->in[1]];
  const Node *y = anchor;
  bool unit = true;
  for (int a = 0; a < d->ns; a++)
    unit = unit && v->type.dim[2 + a] == 1 && y->at.stride[a] == 1 && y->at.pad[a] == 0;
  if (!unit)
    snprintf(e->err, sizeof e->err,
             "node %d: a depthwise convolution is fused into 1x1 convolutions of stride 1 only", g->anchor);
  int64_t cout = v->type.dim[0], cin = v->type.dim[1];
  bool orders = (d->vec || cin == 1) && (channels_inner(y) || cout == 1) &&
                (cout == 1 || order_stride(v->type, v->order, 0) == 1) &&
                (cin == 1 || order_stride(v->type, v->order, 1) == cout);
  if (unit && !orders)
    snprintf(e->err, sizeof e->err, "node %d: needs channels innermost in memory and weights as (K.., C, O)",
             g->anchor);
  return unit && orders;
}

bool dybac_shape(Emit *e, const GroupInfo *g, DwShape *d) {
  *d = dw_shape(e, g, e->fn->node[g->anchor].in[0]);
  return dw_supported(e, d) && check(e, g, d);
}

bool dybac_direct(Emit *e, const GroupInfo *g, const DwShape *d) {
  const Node *anchor = &e->fn->node[g->anchor];
  int64_t samples = anchor->type.dim[0], panels = 0;
  Dybac p = {.d = *d, .cout = anchor->type.dim[1]};
  p.rows = rows_of(&p.d);
  p.width = p.d.out[p.d.ns - 1];
  p.pointwise = pointwise(&p, samples, anchor->at.bf16);
  plan(e->machine, &p, samples);
  p.packed = pack_pays(&p.pointwise);
  ConvBlock block[NETC_ISA_COUNT];
  for (int isa = 0; isa < e->machine->isas; isa++) {
    int64_t length[2] = {p.step_rows * p.segment, segment_pixels(&p, p.segments - 1)};
    block[isa] = conv_block(length, p.segments > 1 ? 2 : 1, p.cout, p.pixel, e->machine->isa[isa].lanes,
                            e->machine->isa[isa].nregs);
    panels = max64(panels, pack_elements(&p.pointwise, &block[isa], isa));
  }
  int from = emit_buffer(e, anchor->in[1]), v = from;
  if (p.packed) {
    int ws = emit_workspace(e, panels * 4);
    pack_weights(e, g, &p.pointwise, block, v, ws);
    v = ws;
  }
  char dims[96], win[96];
  Build b = build_begin(e, g, "dybac", "dybac:%s_oc%lld_%s:f32:fwd%s",
                        dims_text(e->fn->node[p.d.x].type, dims), (long long)p.cout,
                        window_text(p.d.ns, p.d.size, p.d.stride, p.d.pad, win), p.d.s >= 0 ? ":gate" : "");
  for (int i = 0; i < g->nin; i++) {
    int in = emit_buffer(e, g->in[i]);
    build_arg(&b, in == from ? v : in, false);
  }
  for (int i = 0; i < g->nout; i++) build_arg(&b, emit_buffer(e, g->out[i]), true);
  KV weights = build_find_arg(&b, v);
  build_nontemporal(&b);
  EACH_ISA (isa, &b) kernel(&b, g, &p, &block[isa], isa, weights);
  b.kernel.flops = 2 * (node_macs(e->fn, anchor) + node_macs(e->fn, &e->fn->node[anchor->in[0]]));
  if (conv_pairs(&p.pointwise, NETC_ISA_AVX512_BF16)) b.kernel.pair_flops = 2 * node_macs(e->fn, anchor);
  b.kernel.bytes = group_bytes(e, g);
  build_end(&b, samples * p.rows / p.task_rows * p.segments);
  return !e->err[0];
}
