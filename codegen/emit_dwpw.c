/* emit_dwpw.c - G_DWPW: the DyBAC layer's forward pass in one kernel,
 *
 *   y[n,o,.] = epilogue( sum over c of v[o,c] * dwconv(s .* x, w)[n,c,.] )
 *
 * A task owns a few whole rows of one sample. It writes their depthwise result, all channels, into scratch
 * that stays in the second-level cache, and contracts from there. x is read once (the rows above and below
 * again, from cache), y is written once; the scaled input and the depthwise result never reach memory. A row
 * too long for the scratch is done in segments. */
#include "dw_row.h"
#include "conv_geom.h"

enum { SCRATCH = 64 << 10, MAX_PIXELS = 512, MIN_TASKS = 32 };

typedef struct {
  DwShape d;
  int64_t cout, rows, task_rows, width,
      segment; /* rows of a sample; of a task; pixels of a row, of a segment */
} Dwpw;

typedef struct {
  const Dwpw *pl;
  const GroupInfo *g;
  const Node *anchor;
  KFn *k;
  Expr *x;
  ConvBlock b;
  KV scratch, v, tail_mask, row0, *acc;
  KV row;            /* of the depthwise result, within the task */
  int64_t lo, count; /* the segment */
} Code;

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* Whole rows as many as fit, a divisor of the rows of a sample so that every task is alike. */
static void plan(Dwpw *p, int64_t samples) {
  int64_t pixels = min64(SCRATCH / p->d.channels, MAX_PIXELS),
          most = min64(pixels / p->width, samples * p->rows / MIN_TASKS);
  p->task_rows = 1;
  for (int64_t r = 1; r <= most; r++)
    if (p->rows % r == 0) p->task_rows = r;
  int64_t segments = pixels > 0 ? (p->width + pixels - 1) / pixels : p->width;
  if (p->task_rows > 1) segments = 1;
  p->segment = ((p->width + segments - 1) / segments + 7) / 8 * 8;
  p->segment = min64(p->segment, p->width);
}

static void keep_depthwise(void *ctx, KFn *k, const DwAt *at, KV v) {
  const Code *c = ctx;
  KV pixel = k_add(k, k_mul(k, c->row, k_i64(k, c->count)), k_sub(k, at->pixel, k_i64(k, c->lo)));
  KV off = k_add(k, k_mul(k, pixel, k_i64(k, c->pl->d.channels)), at->channel);
  store_lanes(k, c->scratch, off, 1, v, at->vec, at->mask);
}

static void epilogue(const Code *c, KV pixel, KV channel, KV mask, KV v) {
  const DwShape *d = &c->pl->d;
  KFn *k = c->k;
  Place p = {.vec = c->pl->cout > 1,
             .vec_axis = 1,
             .mask = mask,
             .domain = c->anchor->type,
             .order = c->anchor->order};
  KV row = c->row0, col = pixel;
  if (c->pl->task_rows > 1) {
    row = k_add(k, row, k_div(k, pixel, k_i64(k, c->count)));
    col = k_rem(k, pixel, k_i64(k, c->count));
  }
  DwRow at;
  row_place(k, d, row, &at);
  p.coord[0] = at.n;
  p.coord[1] = channel;
  for (int a = 0; a < d->ns - 1; a++) p.coord[2 + a] = at.outer[a];
  p.coord[1 + d->ns] = k_add(k, col, k_i64(k, c->lo));
  if (!p.vec) {
    p.mask = K_NONE;
    v = k_lane(k, v, 0);
  }
  expr_place(c->x, &p);
  expr_epilogue(c->x, c->g, v);
}

/* `count` pixels of scratch from `pixel` on, one block of output channels. */
static void contract_tile(const Code *c, KV pixel, int count, KV block, bool tail) {
  KFn *k = c->k;
  int vectors = conv_block_vectors(&c->b, tail);
  int64_t cin = c->pl->d.channels;
  MicroTile mt = {.k = k,
                  .a = c->scratch,
                  .b = c->v,
                  .ap = cin,
                  .am = 1,
                  .bm = c->pl->cout,
                  .vectors = vectors,
                  .unroll = count == c->b.pixels ? 4 : 1,
                  .mask = tail ? c->tail_mask : K_NONE,
                  .acc = c->acc};
  KV channel = k_mul(k, block, k_i64(k, (int64_t)c->b.vectors * c->b.lanes));
  tile_zero(k, c->acc, count * vectors);
  tile_fma(&mt, 0, count, k_mul(k, pixel, k_i64(k, cin)), channel, k_i64(k, cin));
  for (int p = 0; p < count; p++)
    for (int v = 0; v < vectors; v++) {
      KV mask = tail && v == vectors - 1 ? c->tail_mask : K_NONE;
      epilogue(c, k_add(k, pixel, k_i64(k, p)), k_add(k, channel, k_i64(k, (int64_t)v * c->b.lanes)), mask,
               k_get(k, c->acc[p * vectors + v]));
    }
}

static void contract_block(const Code *c, KV block, bool tail) {
  KFn *k = c->k;
  int64_t pixels = c->pl->task_rows * c->count, full = pixels / c->b.pixels * c->b.pixels;
  if (full) {
    KV p = k_for(k, k_i64(k, 0), k_i64(k, full), c->b.pixels);
    contract_tile(c, p, c->b.pixels, block, tail);
    k_end(k);
  }
  if (full < pixels) contract_tile(c, k_i64(k, full), (int)(pixels - full), block, tail);
}

static void segment(Code *c, DwRow *r) {
  KFn *k = c->k;
  c->row = k_for(k, k_i64(k, 0), k_i64(k, c->pl->task_rows), 1);
  row_place(k, &c->pl->d, k_add(k, c->row0, c->row), r);
  dw_row(k, r, c->lo, c->lo + c->count, keep_depthwise, c);
  k_end(k);
  if (c->b.full) {
    KV block = k_for(k, k_i64(k, 0), k_i64(k, c->b.full), 1);
    contract_block(c, block, false);
    k_end(k);
  }
  if (c->b.tail_vectors) contract_block(c, k_i64(k, c->b.full), true);
}

static void kernel(Build *b, const GroupInfo *g, const Dwpw *pl, int isa) {
  KFn *k = build_kernel(b, isa);
  const Node *anchor = &b->e->fn->node[g->anchor];
  const DwShape *d = &pl->d;
  Code c = {.pl = pl, .g = g, .anchor = anchor, .k = k, .v = arg_of(b, anchor->in[1]), .tail_mask = K_NONE};
  DwRow r = {
      .shape = d, .x = arg_of(b, d->x), .w = arg_of(b, d->w), .s = d->s >= 0 ? arg_of(b, d->s) : K_NONE};
  c.x = expr_new(b->e, g, b, k);
  c.scratch = k_scratch(k, K_F32, pl->task_rows * pl->segment * d->channels, "depthwise");
  int64_t length = pl->task_rows * pl->segment;
  c.b = conv_block(&length, 1, pl->cout, d->channels, k->lanes, k->nregs);
  int most = c.b.vectors > c.b.tail_vectors ? c.b.vectors : c.b.tail_vectors;
  c.acc = tile_locals(k->arena, k, c.b.pixels * most);
  if (c.b.tail_vectors) c.tail_mask = c.b.tail_lanes ? k_first_lanes(k, k_i64(k, c.b.tail_lanes)) : K_NONE;
  c.row0 = k_mul(k, k_task(k), k_i64(k, pl->task_rows));
  for (c.lo = 0; c.lo < pl->width; c.lo += pl->segment) {
    c.count = min64(pl->segment, pl->width - c.lo);
    segment(&c, &r);
  }
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

bool emit_dwpw(Emit *e, const GroupInfo *g) {
  const Node *anchor = &e->fn->node[g->anchor];
  int dw = anchor->in[0];
  Dwpw p = {.d = dw_shape(e, g, dw), .cout = anchor->type.dim[1]};
  if (!dw_supported(e, &p.d) || !check(e, g, &p.d)) return false;
  p.rows = rows_of(&p.d);
  p.width = p.d.out[p.d.ns - 1];
  plan(&p, anchor->type.dim[0]);
  char dims[96], win[96];
  Build b = build_begin(e, g, "dwpw", "dwpw:%s_oc%lld_%s:f32:fwd%s", dims_text(e->fn->node[p.d.x].type, dims),
                        (long long)p.cout, window_text(p.d.ns, p.d.size, p.d.stride, p.d.pad, win),
                        p.d.s >= 0 ? ":gate" : "");
  args_of_group(&b);
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) kernel(&b, g, &p, isa);
  b.kernel.flops = 2 * (node_macs_inside(e->fn, anchor) + node_macs_inside(e->fn, &e->fn->node[dw]));
  b.kernel.work = 2 * (node_macs(e->fn, anchor) + node_macs(e->fn, &e->fn->node[dw]));
  b.kernel.bytes = group_bytes(e, g);
  build_end(&b, anchor->type.dim[0] * p.rows / p.task_rows);
  return !e->err[0];
}
