/* direct.c - G_WGRAD by loops over pixels: gradients of convolution weights,
 *
 *   dW[tap][c][o] = sum over pixels q of x[q*s + tap - p][c] * dy[q][o].
 *
 * Accumulators are a piece of dW (channels of x by channel blocks of dy) for one tap; the loop runs over
 * pixels. The pixels are cut into boxes; a box of x (with what its taps reach) and of dy is packed into panels
 * (panels.c) that serve all taps and pieces of a task; between boxes a piece rests in memory. A task owns
 * a slice of dW and a part of the boxes: deep layers, whose dW has slices enough, have one part; others have
 * several, which a second launch adds in order. Boxes, slices and parts depend on the shape only, and so does
 * the sum.
 *
 * Rounded operands (ConvShape.bf16) are multiplied in pairs of pixels where the instruction set does that: panels then hold
 * pairs (pairs.c). Boxes may differ between sets for that, and so do sums.
 *
 * In DyBAC x is itself dwconv(x0 [* s], w), of a pointwise convolution: it is computed box by box, straight
 * into panels (recompute.c), and never stored.
 */
#include <string.h>
#include "codegen/emit/core/sum_parts.h"
#include "codegen/emit/wgrad/wgrad.h"
#include "codegen/util/ints.h"

typedef struct {
  const WgradPlan *pl;
  ConvBlock b; /* b.pixels: channels of x in a tile */
  KFn *k;
  KV x, dy, dw, *acc;
  Panels xp, dyp; /* what is read; dyp: of the block at work */
  WgradTaps taps; /* .. instead of xp */
  KV part_at;     /* element of dw where this part's sums start */
  KV cin0;        /* first channel of the slice */
  KV fresh;       /* is this the task's first box? */
  WgradBox box;
  KV x0[MAX_AXES], x1[MAX_AXES];               /* pixels of x that the box meets */
  int64_t x_step[MAX_AXES], dy_step[MAX_AXES]; /* elements between pixels of what is read */
  KV first, end;                               /* blocks of the task */
  WgradPrefetch prefetch;                      /* of x the next box, of dy the next block */
  KV dy_box[2];                                /* elements of dy: where this box starts, and the next */
} WgradCode;

/* Result coordinates lo <= i < hi of the box that meet x through tap t of an axis. */
static void tap_range(const WgradCode *c, int a, KV t, KV *lo, KV *hi) {
  const WgradPlan *p = c->pl;
  KFn *k = c->k;
  *lo = c->box.lo[a], *hi = c->box.hi[a];
  if (p->k[a] == 1 && !p->pad[a]) return;
  KV d = k_sub(k, k_i64(k, p->pad[a]), t), up = k_i64(k, p->stride[a] - 1), st = k_i64(k, p->stride[a]);
  KV first = k_div(k, k_add(k, k_max(k, d, k_i64(k, 0)), up), st);
  KV end = k_div(k, k_add(k, k_add(k, d, k_i64(k, p->in[a])), up), st);
  *lo = k_max(k, *lo, first);
  *hi = k_min(k, *hi, end);
}

/* A loop that is none when it would run once. */
static KV loop(KFn *k, KV lo, KV hi, bool *open) {
  int64_t a, b;
  *open = !(k_is_const(k, lo, &a) && k_is_const(k, hi, &b) && b == a + 1);
  return *open ? k_for(k, lo, hi, 1) : lo;
}

/* Pairs of a row of the box, the last one with a zero where the row is odd. */
static KV row_pairs(const WgradCode *c) {
  KFn *k = c->k;
  int a = c->pl->naxes - 1;
  return k_div(k, k_add(k, k_sub(k, c->box.hi[a], c->box.lo[a]), k_i64(k, 1)), k_i64(k, 2));
}

/* Turns of the micro-kernel for a row of the box, and for the box. */
enum { TURN = 4 };
static int64_t row_turns(const WgradPlan *p) { return p->box[p->naxes - 1] / (p->pairs ? 2 * TURN : TURN); }
static int64_t piece_turns(const WgradPlan *p) {
  int64_t rows = 1, last = p->box[p->naxes - 1];
  for (int a = 0; a < p->naxes - 1; a++) rows *= p->box[a];
  return max64(p->merged ? rows * last / (p->pairs ? 2 * TURN : TURN) : rows * row_turns(p), 1);
}

/* `len` places of row number `row` of the box. */
static void row_products(const WgradCode *c, const MicroTile *mt, int channels, KV x_at, KV dy_at, KV row,
                         KV len) {
  KFn *k = c->k;
  MicroTile mine = *mt;
  WgradPrefetch ahead;
  if (mt->prefetch) {
    ahead = *(const WgradPrefetch *)mt->prefetch_ctx;
    KV before = k_mul(k, row, k_i64(k, row_turns(c->pl)));
    for (int i = 0; i < 2; i++) ahead.turn0[i] = k_add(k, ahead.turn0[i], before);
    mine.prefetch_ctx = &ahead;
  }
  tile_fma(&mine, 0, channels, x_at, dy_at, len);
}

/* Rows of the box that meet x through the taps tap[0..]; x_at, dy_at: elements of what is read, so far; row: number in the box. */
static void piece_rows(const WgradCode *c, const MicroTile *mt, int channels, const KV *tap, int a, KV x_at,
                       KV dy_at, KV row) {
  const WgradPlan *p = c->pl;
  KFn *k = c->k;
  KV lo, hi, t = a ? tap[a - 1] : k_i64(k, 0);
  bool open = false, inner = a == p->naxes - 1, packed = p->source != DIRECT;
  tap_range(c, a, t, &lo, &hi);
  KV i = inner ? lo : loop(k, lo, hi, &open);
  KV x_i = k_sub(k, k_add(k, k_mul(k, i, k_i64(k, p->stride[a])), t), k_i64(k, p->pad[a])), dy_i = i;
  if (packed) x_i = k_sub(k, x_i, c->x0[a]), dy_i = k_sub(k, i, c->box.lo[a]);
  if (p->pairs && inner) x_i = t, dy_i = k_i64(k, 0);
  x_at = k_add(k, x_at, k_mul(k, x_i, k_i64(k, c->x_step[a])));
  dy_at = k_add(k, dy_at, k_mul(k, dy_i, k_i64(k, c->dy_step[a])));
  if (inner) row_products(c, mt, channels, x_at, dy_at, row, p->pairs ? row_pairs(c) : k_sub(k, hi, lo));
  else {
    row = k_add(k, k_mul(k, row, k_i64(k, p->box[a])), k_sub(k, i, c->box.lo[a]));
    piece_rows(c, mt, channels, tap, a + 1, x_at, dy_at, row);
  }
  if (open) k_end(k);
}

/* All pixels of the box, where its panels hold them one after the other. */
static void piece_merged(const WgradCode *c, const MicroTile *mt, int channels, KV x_col) {
  KFn *k = c->k;
  WgradBox outer = c->box;
  outer.naxes--;
  KV places = c->pl->pairs ? k_mul(k, box_pixels(k, &outer), row_pairs(c)) : box_pixels(k, &c->box);
  tile_fma(mt, 0, channels, x_col, k_i64(k, 0), places);
}

/* The rows of the box, for tile rows first .. of the taps. */
static void piece_taps(const WgradCode *c, MicroTile *mt, int64_t first, int rows, KV col) {
  const WgradPlan *p = c->pl;
  KFn *k = c->k;
  int last = p->naxes - 1;
  int64_t *at = arena_alloc(k->arena, (size_t)rows * sizeof *at);
  for (int r = 0; r < rows; r++) at[r] = wgrad_taps_row(&c->taps, &p->s, first + r);
  mt->a = c->taps.z, mt->a_row = at, mt->am = p->s.stride[last - 1] * p->s.cin;
  KV x_at = k_i64(k, 0), dy_at = k_i64(k, 0);
  bool open[MAX_AXES];
  for (int a = 0; a < last; a++) {
    KV i = c->box.lo[a], step = k_i64(k, a ? p->s.stride[a - 1] : 1);
    open[a] = p->box[a] > 1;
    if (open[a]) i = k_for(k, i, c->box.hi[a], 1);
    x_at = k_mul(k, x_at, k_i64(k, c->taps.extent[a]));
    x_at = k_add(k, x_at, k_mul(k, k_sub(k, i, c->box.lo[a]), step));
    dy_at = k_add(k, k_mul(k, dy_at, k_i64(k, p->extent[a])), i);
  }
  KV len = k_sub(k, c->box.hi[last], c->box.lo[last]);
  x_at = k_mul(k, x_at, k_i64(k, c->taps.extent[last] * p->s.cin));
  dy_at = k_add(k, k_mul(k, dy_at, k_i64(k, p->extent[last])), c->box.lo[last]);
  tile_fma(mt, 0, rows, x_at, k_add(k, k_mul(k, dy_at, k_i64(k, c->dyp.width)), col), len);
  for (int a = 0; a < last; a++)
    if (open[a]) k_end(k);
}

/* dW's piece at element `at`: the sums of this box, added to those of the boxes before. The sums so far are read
 * last, so that nothing waits for them. */
static void piece_store(const WgradCode *c, int channels, int vectors, KV at, KV mask) {
  KFn *k = c->k;
  for (int first = 1; first >= 0; first--) {
    if (first) k_if(k, c->fresh);
    else k_else(k);
    for (int i = 0; i < channels * vectors; i++) {
      KV to = k_add(k, at, k_i64(k, i / vectors * c->pl->s.cout + i % vectors * c->b.lanes)),
         v = k_get(k, c->acc[i]);
      bool masked = mask != K_NONE && i % vectors == vectors - 1;
      if (!first) v = k_add(k, masked ? k_load_masked(k, c->dw, to, mask) : k_load(k, c->dw, to, true), v);
      if (masked) k_store_masked(k, c->dw, to, v, mask);
      else k_store(k, c->dw, to, v);
    }
  }
  k_end(k);
}

/* Tiles of channels of x in what they are cut from, in the slice; the number of the one at channel cin. */
static int64_t run_tiles(const WgradCode *c) { return ceil_div(c->pl->run_cin, c->b.pixels); }
static int64_t slice_tiles(const WgradCode *c) { return c->pl->slice_cin / c->pl->run_cin * run_tiles(c); }
static KV tile_number(const WgradCode *c, KV cin) {
  KFn *k = c->k;
  KV run = k_i64(k, c->pl->run_cin), pixels = k_i64(k, c->b.pixels);
  if (c->pl->run_cin == c->pl->slice_cin) return k_div(k, cin, pixels);
  KV before = k_mul(k, k_div(k, cin, run), k_i64(k, run_tiles(c)));
  return k_add(k, before, k_div(k, k_rem(k, cin, run), pixels));
}

/* One piece of dW over the box: channels cin.. (of the slice) and block, all taps. */
static void piece(const WgradCode *c, KV cin, int channels, KV block, bool tail, KV mask) {
  const WgradPlan *p = c->pl;
  KFn *k = c->k;
  int vectors = conv_block_vectors(&c->b, tail), ns = p->naxes - 1;
  bool packed = p->source != DIRECT, open[MAX_SPATIAL];
  MicroTile mt = {.k = k,
                  .a = c->xp.z,
                  .b = c->dyp.z,
                  .ap = 1,
                  .am = c->x_step[ns] * p->stride[ns] * (p->pairs && !p->merged ? 2 : 1),
                  .pairs = p->pairs,
                  .bm = c->dyp.width,
                  .vectors = vectors,
                  .mask = packed && p->source != TAPS ? K_NONE : mask,
                  .unroll = TURN,
                  .acc = c->acc};
  WgradPrefetch ahead = c->prefetch;
  if (p->prefetch) {
    KV tile = tile_number(c, cin), blocks = k_mul(k, k_sub(k, block, c->first), k_i64(k, slice_tiles(c)));
    ahead.turn0[0] = k_mul(k, k_add(k, blocks, tile), k_i64(k, piece_turns(p)));
    ahead.turn0[1] = k_mul(k, tile, k_i64(k, piece_turns(p)));
    mt.prefetch = wgrad_prefetch, mt.prefetch_ctx = &ahead;
  }
  KV tap[MAX_SPATIAL], number = k_i64(k, 0), col = k_mul(k, block, k_i64(k, c->b.vectors * c->b.lanes));
  KV width = k_i64(k, c->xp.width), x_col = view_channel(k, &p->x, k_add(k, c->cin0, cin));
  int64_t first = 0;
  if (p->source == TAPS) k_is_const(k, cin, &first);
  else if (packed)
    x_col = k_add(k, k_mul(k, k_div(k, cin, width), k_i64(k, c->xp.size)), k_rem(k, cin, width));
  for (int a = 0; a < ns; a++) {
    tap[a] = loop(k, k_i64(k, 0), k_i64(k, p->k[1 + a]), &open[a]);
    number = k_add(k, k_mul(k, number, k_i64(k, p->k[1 + a])), tap[a]);
  }
  tile_zero(k, c->acc, channels * vectors);
  if (p->source == TAPS) piece_taps(c, &mt, first, channels, col);
  else if (p->merged) piece_merged(c, &mt, channels, x_col);
  else piece_rows(c, &mt, channels, tap, 0, x_col, packed ? k_i64(k, 0) : col, k_i64(k, 0));
  KV at = k_add(k, k_mul(k, number, k_i64(k, p->cin)), k_add(k, c->cin0, cin));
  at = k_add(k, k_add(k, k_mul(k, at, k_i64(k, p->s.cout)), col), c->part_at);
  piece_store(c, channels, vectors, at, mask);
  for (int a = 0; a < ns; a++)
    if (open[a]) k_end(k);
}

/* The block of dy, packed. */
static void pack_dy(WgradCode *c, KV block, bool tail) {
  const WgradPlan *p = c->pl;
  KFn *k = c->k;
  int64_t lanes = c->b.lanes, width = conv_block_vectors(&c->b, tail) * lanes, channels = width;
  KV z = c->dyp.z, channel = k_mul(k, block, k_i64(k, c->b.vectors * lanes));
  if (tail && c->b.tail_lanes) channels -= lanes - c->b.tail_lanes;
  c->dyp = wgrad_dy_panels(p, channels, width, k->lanes);
  c->dyp.z = z;
  memcpy(c->dy_step, view_of(p->naxes, c->dyp.extent, width).step, sizeof c->dy_step);
  WgradView view = view_of(p->naxes, p->extent, p->s.cout);
  WgradPairs pairs = {.start = c->box.lo[p->naxes - 1], .step = 2, .apart = 1};
  if (p->pairs) {
    pairs.entries = row_pairs(c);
    panels_fill_pairs(k, &c->dyp, c->dy, &view, channel, c->box.lo, c->box.hi, &pairs, p->merged);
  } else panels_fill(k, &c->dyp, c->dy, &view, channel, c->box.lo, c->box.hi, p->merged);
}

/* The block of dy that is asked for while this one is at work: the next one, of the next box after the last. */
static void next_block(WgradCode *c, KV block) {
  KFn *k = c->k;
  KV next = k_add(k, block, k_i64(k, 1)), here = k_lt(k, next, c->end);
  KV col = k_mul(k, k_select(k, here, next, c->first), k_i64(k, c->b.vectors * c->b.lanes));
  c->prefetch.side[1].base = k_add(k, k_select(k, here, c->dy_box[0], c->dy_box[1]), col);
}

static void block_pieces(WgradCode *c, KV block, bool tail) {
  KFn *k = c->k;
  int64_t run = c->pl->run_cin, runs = c->pl->slice_cin / run, full = run - run % c->b.pixels;
  KV mask = tail && c->b.tail_lanes ? k_first_lanes(k, k_i64(k, c->b.tail_lanes)) : K_NONE;
  if (c->pl->source != DIRECT && c->pl->source != TAPS) pack_dy(c, block, tail);
  if (c->pl->prefetch) next_block(c, block);
  if (c->pl->source == TAPS) {
    for (int64_t row = 0; row < full; row += c->b.pixels)
      piece(c, k_i64(k, row), c->b.pixels, block, tail, mask);
    if (run > full) piece(c, k_i64(k, full), (int)(run - full), block, tail, mask);
    return;
  }
  KV r = runs > 1 ? k_for(k, k_i64(k, 0), k_i64(k, runs), 1) : k_i64(k, 0),
     first = k_mul(k, r, k_i64(k, run));
  if (full) {
    KV cin = k_for(k, k_i64(k, 0), k_i64(k, full), c->b.pixels);
    piece(c, k_add(k, first, cin), c->b.pixels, block, tail, mask);
    k_end(k);
  }
  if (run > full) piece(c, k_add(k, first, k_i64(k, full)), (int)(run - full), block, tail, mask);
  if (runs > 1) k_end(k);
}

/* Blocks first <= block < end, the tail block among them if end reaches it. */
static void box_blocks(WgradCode *c, KV first, KV end) {
  KFn *k = c->k;
  if (c->b.full) {
    KV block = k_for(k, first, k_min(k, end, k_i64(k, c->b.full)), 1);
    block_pieces(c, block, false);
    k_end(k);
  }
  if (!c->b.tail_vectors) return;
  k_if(k, k_eq(k, end, k_i64(k, c->b.blocks)));
  block_pieces(c, k_i64(k, c->b.full), true);
  k_end(k);
}

/* The box numbered `number`, and what of x it meets. */
static void find_box(WgradCode *c, KV number) {
  const WgradPlan *p = c->pl;
  KFn *k = c->k;
  c->box.naxes = p->naxes;
  for (int a = p->naxes - 1; a >= 0; a--) {
    KV n = k_i64(k, ceil_div(p->extent[a], p->box[a])), st = k_i64(k, p->stride[a]),
       pad = k_i64(k, p->pad[a]);
    KV lo = k_mul(k, k_rem(k, number, n), k_i64(k, p->box[a]));
    KV hi = k_min(k, k_add(k, lo, k_i64(k, p->box[a])), k_i64(k, p->extent[a]));
    c->box.lo[a] = lo, c->box.hi[a] = hi;
    c->x0[a] = k_max(k, k_sub(k, k_mul(k, lo, st), pad), k_i64(k, 0));
    KV last = k_sub(k, k_mul(k, k_sub(k, hi, k_i64(k, 1)), st), pad);
    c->x1[a] = k_min(k, k_add(k, last, k_i64(k, p->k[a])), k_i64(k, p->in[a]));
    number = k_div(k, number, n);
  }
}

/* The box after number `number`, its last one again, for what asks for it. */
static void prefetch_next(WgradCode *c, KV number, const WgradInput *input) {
  const WgradPlan *p = c->pl;
  KFn *k = c->k;
  WgradCode next = *c;
  int64_t block_turns = slice_tiles(c) * piece_turns(p), turns = p->slice_blocks * block_turns;
  int64_t width = min64(c->b.vectors * c->b.lanes, p->s.cout);
  KV zero = k_i64(k, 0);
  find_box(&next, k_min(k, k_add(k, number, k_i64(k, 1)), k_i64(k, p->boxes - 1)));
  WgradView dy = view_of(p->naxes, p->extent, p->s.cout);
  c->dy_box[0] = wgrad_prefetch_side(k, c->dy, &dy, p->box, width, c->box.lo, zero, block_turns).base;
  c->prefetch.side[1] = wgrad_prefetch_side(k, c->dy, &dy, p->box, width, next.box.lo, zero, block_turns);
  c->dy_box[1] = c->prefetch.side[1].base;
  if (p->source == COMPUTED) {
    const ConvShape *s = &input->s;
    int64_t tensor[MAX_AXES] = {s->n}, extent[MAX_AXES] = {p->box[0]};
    KV first[MAX_AXES] = {next.box.lo[0]};
    for (int a = 1; a < p->naxes; a++) {
      tensor[a] = s->in[a - 1];
      extent[a] = (p->box[a] - 1) * s->stride[a - 1] + s->k[a - 1];
      KV lo = k_sub(k, k_mul(k, next.box.lo[a], k_i64(k, s->stride[a - 1])), k_i64(k, s->pad[a - 1]));
      first[a] = k_max(k, lo, k_i64(k, 0));
    }
    WgradView x = view_of(p->naxes, tensor, s->cin);
    c->prefetch.side[0] = wgrad_prefetch_side(k, input->x, &x, extent, p->slice_cin, first, c->cin0, turns);
  } else
    c->prefetch.side[0] =
        wgrad_prefetch_side(k, c->x, &p->x, p->box, p->slice_cin, next.box.lo, c->cin0, turns);
}

/* Where the operands are read: scratch of this block, or the tensors. */
static void place_operands(WgradCode *c) {
  const WgradPlan *p = c->pl;
  KFn *k = c->k;
  c->xp = panels_of(p->naxes, p->in, p->cin, p->cin, k->lanes);
  c->dyp = panels_of(p->naxes, p->extent, p->s.cout, p->s.cout, k->lanes);
  c->xp.z = c->x, c->dyp.z = c->dy;
  memcpy(c->x_step, p->x.step, sizeof c->x_step);
  memcpy(c->dy_step, view_of(p->naxes, p->extent, p->s.cout).step, sizeof c->dy_step);
  if (p->source == DIRECT) return;
  if (p->source == TAPS) {
    c->taps = wgrad_taps_of(&p->s, p->box, k->lanes);
    c->taps.z = k_scratch(k, K_F32, c->taps.elements, "x");
    return;
  }
  int64_t width = dw_block_width(p);
  c->xp = wgrad_x_panels(p, k->lanes);
  c->dyp = wgrad_dy_panels(p, width, width, k->lanes);
  c->xp.z = k_scratch(k, p->pairs ? K_I32 : K_F32, panels_elements(&c->xp), "x");
  c->dyp.z = k_scratch(k, p->pairs ? K_I32 : K_F32, panels_elements(&c->dyp), "dy");
  memcpy(c->x_step, view_of(p->naxes, c->xp.extent, c->xp.width).step, sizeof c->x_step);
}

/* Pairs of x: a row's own, as those of dy, or with an entry for every pixel that the taps meet. */
static void pack_x_pairs(const WgradCode *c) {
  const WgradPlan *p = c->pl;
  KFn *k = c->k;
  int last = p->naxes - 1;
  WgradPairs r = {.step = p->merged ? 2 : 1, .apart = p->stride[last]};
  r.start = k_sub(k, k_mul(k, c->box.lo[last], k_i64(k, p->stride[last])), k_i64(k, p->pad[last]));
  KV pairs = row_pairs(c), steps = k_mul(k, k_sub(k, pairs, k_i64(k, 1)), k_i64(k, 2 * p->stride[last]));
  r.entries = p->merged ? pairs : k_add(k, steps, k_i64(k, p->k[last]));
  panels_fill_pairs(k, &c->xp, c->x, &p->x, c->cin0, c->x0, c->x1, &r, p->merged);
}

static void pack_x(WgradCode *c, const WgradInput *input) {
  const WgradPlan *p = c->pl;
  switch (p->source) {
  case DIRECT: break;
  case PACKED:
    if (p->pairs) pack_x_pairs(c);
    else panels_fill(c->k, &c->xp, c->x, &p->x, c->cin0, c->x0, c->x1, p->merged);
    break;
  case TAPS: wgrad_taps_fill(c->k, &c->taps, c->x, &p->s, &c->box); break;
  case COMPUTED: wgrad_input_box(c->k, input, &c->xp, &c->box, c->cin0, p->pairs); break;
  }
}

static int64_t dw_kernel(Build *b, const WgradPlan *pl, const WgradInput *input, int isa, KV x, KV dy,
                         KV dw) {
  KFn *k = build_kernel(b, isa);
  WgradCode c = {.pl = pl, .b = pl->b, .k = k, .x = x, .dy = dy, .dw = dw};
  int64_t owners = pl->parts * pl->slices_cin;
  int64_t slices = pl->slices_cout;
  k_if(k, k_lt(k, k_task(k), k_i64(k, owners * slices)));
  c.acc = tile_locals(k->arena, k, c.b.pixels * (int)max64(c.b.vectors, c.b.tail_vectors));
  place_operands(&c);
  KV slice = k_div(k, k_task(k), k_i64(k, pl->slices_cin)), part = k_div(k, slice, k_i64(k, slices));
  KV first = k_mul(k, k_rem(k, slice, k_i64(k, slices)), k_i64(k, pl->slice_blocks));
  KV end = k_min(k, k_add(k, first, k_i64(k, pl->slice_blocks)), k_i64(k, c.b.blocks));
  c.first = first, c.end = end;
  c.cin0 = k_mul(k, k_rem(k, k_task(k), k_i64(k, pl->slices_cin)), k_i64(k, pl->slice_cin));
  c.part_at = k_mul(k, part, k_i64(k, conv_taps(&pl->s) * pl->s.cin * pl->s.cout));
  KV boxes = k_i64(k, pl->boxes), parts = k_i64(k, pl->parts);
  KV box0 = k_div(k, k_mul(k, part, boxes), parts);
  KV box1 = k_div(k, k_mul(k, k_add(k, part, k_i64(k, 1)), boxes), parts);
  KV box = k_for(k, box0, box1, 1);
  c.fresh = k_eq(k, box, box0);
  find_box(&c, box);
  if (pl->prefetch) prefetch_next(&c, box, input);
  pack_x(&c, input);
  box_blocks(&c, first, end);
  k_end(k);
  k_end(k);
  return owners * slices;
}

bool wgrad_direct(Emit *e, const GroupInfo *g, const ConvShape *of, WgradInput *input) {
  const Node *nd = &e->fn->node[g->anchor];
  const char *name = conv_describe(e->arena, of);
  ConvShape s = *of;
  if (!input) conv_fold(&s, e->machine->tasks);
  WgradPlan p[NETC_ISA_COUNT];
  int64_t parts[NETC_ISA_COUNT] = {0}, most = 1;
  bool pairs = false;
  for (int isa = 0; isa < e->machine->isas; isa++) {
    p[isa] = wgrad_plan(e->machine, &s, input != NULL, node_macs(e->fn, nd), isa);
    most = max64(most, parts[isa] = p[isa].parts);
    pairs = pairs || p[isa].pairs;
  }
  int dw = emit_buffer(e, g->anchor);
  int ws = most > 1 ? emit_workspace(e, most * conv_taps(&s) * s.cin * s.cout * 4) : dw;
  Build b = build_begin(e, g, "conv_dw", "conv:%s:f32:bwd_w%s", name, input ? "_dw" : "");
  KV x = K_NONE, dy = build_arg(&b, emit_buffer(e, nd->in[1]), false);
  if (input) wgrad_input_args(&b, input);
  else x = nd->in[0] == nd->in[1] ? dy : build_arg(&b, emit_buffer(e, nd->in[0]), false);
  KV out = build_arg(&b, ws, true);
  b.kernel.work = 2 * node_macs(e->fn, nd);
  b.kernel.flops = 2 * node_macs_inside(e->fn, nd) + (input ? wgrad_input_flops(input) : 0);
  if (pairs) b.kernel.pair_flops = 2 * node_macs_inside(e->fn, nd);
  b.kernel.bytes = group_bytes(e, g);
  int64_t tasks = 0;
  EACH_ISA (isa, &b) tasks = max64(tasks, dw_kernel(&b, &p[isa], input, isa, x, dy, out));
  build_end(&b, tasks);
  if (most > 1) sum_parts(e, g, conv_taps(&s) * s.cin * s.cout, parts, ws, dw);
  return !e->err[0];
}
