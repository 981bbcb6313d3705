/* plan.c - what is decided of a weight gradient before code is written: where its operands are read, boxes of pixels, slices and
 * parts. All of it follows from the shape, the machine's numbers and the instruction set, never from the number of threads.
 */
#include "codegen/emit/wgrad/wgrad.h"
#include "codegen/util/ints.h"

enum {
  BOX_ROW = 128,       /* of them along a row, where x has a halo: long loops, not too much of it */
  COMPUTED_ROW = 32,   /* as much as that where the halo is computed from */
  FEW_CHANNELS = 32,   /* pixels of so few are neighbours enough: nothing is packed; */
  NEAR_CHANNELS = 512, /* nor where each is met once, by a tap, and so many of both are asked for in time; */
  FAR_BOX = 256 << 10, /* bytes of a box that is read in place: what the second-level cache holds; */
  NEAR_BOX = 40 << 10, /* of a pointwise one, what the first-level one does, */
  NEAR_PIXELS = 32,    /* but so many pixels at least */
  TAP_ROWS = 128
};

/* The longest that a box may be along an axis, when `pixels` are left to it. */
static int64_t box_limit(const WgradPlan *p, int a, int64_t pixels) {
  if (p->source == DIRECT || (p->merged && p->source != COMPUTED)) return pixels;
  if (a == p->naxes - 1) return p->source == COMPUTED ? COMPUTED_ROW : BOX_ROW;
  int64_t side = 1;
  while (side * side < pixels) side++;
  return a == 2 && p->naxes == MAX_AXES ? side : pixels; /* rows of volumes: as many planes */
}

/* Places along the innermost axis of the panels of x. */
static int64_t pair_span(const WgradPlan *p, int64_t len) {
  int64_t even = len + len % 2, last = p->naxes - 1;
  return p->merged ? even / 2 : (even - 2) * p->stride[last] + p->k[last];
}

/* Of a box that is read in place. Sums that are not whole vectors are slow to store, so that boxes should be few. */
static int64_t direct_pixels(const WgradPlan *p, int lanes) {
  int64_t bytes = 4 * (p->cin + p->s.cout);
  if (p->machine->simt || !p->pointwise || p->s.cout % lanes) return FAR_BOX / bytes;
  return max64(NEAR_BOX / bytes, NEAR_PIXELS);
}

/* Extents of a box: axes from the innermost outwards while the pixels fit, cut into equal lengths (computed rows:
 * into whole tiles). */
static void plan_boxes(WgradPlan *p, int lanes) {
  enum { TAPS_PIXELS = 4 }; /* times as many: what is copied of x is little */
  int64_t pixels = p->pixels;
  if (p->source == DIRECT) pixels = direct_pixels(p, lanes);
  if (p->source == TAPS && !p->machine->simt) pixels *= TAPS_PIXELS;
  p->boxes = 1;
  for (int a = p->naxes - 1; a >= 0; a--) {
    int64_t n = p->extent[a], most = max64(min64(min64(pixels, box_limit(p, a, pixels)), n), 1);
    int64_t len = ceil_div(n, ceil_div(n, most));
    if (p->source == COMPUTED && a == p->naxes - 1) len = min64(round_up(len, WGRAD_INPUT_TILE), n);
    if (p->pairs && a == p->naxes - 1) len = min64(len + len % 2, n);
    p->box[a] = len;
    p->boxes *= ceil_div(n, len);
    p->span[a] = p->merged ? len : min64((len - 1) * p->stride[a] + p->k[a], p->in[a]);
    if (p->pairs && a == p->naxes - 1) p->span[a] = pair_span(p, len);
    pixels = p->s.folded && p->source == DIRECT ? 1 : pixels / len;
  }
}

/* The largest divisor of c up to `most`; c itself when that would be much smaller, unless `thin`. */
static int64_t slice_of(int64_t c, int64_t most, bool thin) {
  int64_t d = max64(min64(c, most), 1);
  while (c % d) d--;
  return d * 4 < min64(c, most) && !thin ? c : d;
}

/* Of `channels`, a part of a run or whole runs, of an axis of taps some when those of the axes further in are all there. */
static int64_t slice_of_runs(const WgradView *v, int64_t channels, int64_t most, bool thin) {
  if (!v->naxes_taps) return slice_of(channels, most, thin);
  if (most < v->run) return slice_of(v->run, most, thin);
  int64_t slice = v->run;
  for (int a = v->naxes_taps - 1; a >= 0; a--) {
    int64_t taps = slice_of(v->taps[a], most / slice, thin);
    slice *= taps;
    if (taps < v->taps[a]) break;
  }
  return slice;
}

/* `pack`: operands cannot be read in place. */
static WgradSource source_of(const ConvShape *s, bool recompute, bool pack, bool simt) {
  enum { FIRST_CHANNELS = 4 };
  int64_t taps = conv_taps(s);
  if (recompute) return COMPUTED;
  if (!pack && !simt && conv_is_pointwise(s) && s->cin + s->cout <= NEAR_CHANNELS) return DIRECT;
  if (!s->bf16 && taps > 1 && s->cin <= FIRST_CHANNELS && taps * s->cin <= TAP_ROWS) return TAPS;
  return s->cin <= FEW_CHANNELS && s->cout <= FEW_CHANNELS && !pack ? DIRECT : PACKED;
}

static void plan_axes(WgradPlan *p) {
  const ConvShape *s = &p->s;
  p->naxes = s->ns + 1;
  p->merged = p->source != DIRECT;
  for (int a = 0; a < p->naxes; a++) {
    bool taps = a > 0 && p->source != TAPS;
    p->extent[a] = a ? s->out[a - 1] : s->n;
    p->in[a] = taps ? s->in[a - 1] : p->extent[a];
    p->k[a] = taps ? s->k[a - 1] : 1;
    p->stride[a] = taps ? s->stride[a - 1] : 1;
    p->pad[a] = taps ? s->pad[a - 1] : 0;
    p->merged = p->merged && p->k[a] == 1 && p->stride[a] == 1 && p->pad[a] == 0 && p->in[a] == p->extent[a];
  }
}

/* Where a box is long in coming: from memory. */
static bool prefetches(const WgradPlan *p) {
  enum { LARGE = 2 << 20 };
  return !p->machine->simt && p->pointwise && conv_pixels(&p->s, p->s.out) * (p->s.cin + p->s.cout) >= LARGE;
}

static int64_t tasks_of(const WgradPlan *p) { return p->slices_cin * p->slices_cout * p->parts; }

/* Elements that tasks move: each packs, or reads, its slice of both operands for its part of the boxes; and partial sums, written and
 * read again. Computing x is as much as moving it often. */
static int64_t moved(const WgradPlan *p) {
  enum { COMPUTING = 8 };
  int64_t x = conv_pixels(&p->s, p->s.in) * p->s.cin, dy = conv_pixels(&p->s, p->s.out) * p->s.cout;
  int64_t dw = p->cin * p->s.cout;
  if (p->source == COMPUTED) x *= COMPUTING;
  return p->slices_cout * x + p->slices_cin * dy + (p->parts > 1 ? 2 * p->parts : 1) * dw;
}

/* Slices of dy, too, where slices of x and parts are fewer than the tasks that are wanted. */
static void cut(WgradPlan *p, int64_t slice_cin, int64_t parts, const ConvBlock *b) {
  p->slice_cin = slice_cin, p->slices_cin = p->cin / slice_cin;
  p->parts = parts;
  int64_t slices = min64(ceil_div(p->machine->tasks / 2, p->slices_cin * parts), b->blocks);
  p->slice_blocks = ceil_div(b->blocks, slices);
  p->slices_cout = ceil_div(b->blocks, p->slice_blocks);
}

/* Slices and parts: of those that make tasks enough, what moves least; on a GPU, all parts first. */
static void plan_tasks(WgradPlan *p, int64_t macs, int lanes, int nregs) {
  const Machine *m = p->machine;
  int64_t pixels = 1, bytes = 4 * p->cin * p->s.cout;
  for (int a = 0; a < p->naxes; a++) pixels *= p->span[a];
  int64_t most = min64(min64(m->parts_bytes / bytes, macs / m->task_macs), p->boxes);
  most = max64(most, 1);
  WgradPlan best = {0};
  bool whole = p->source == DIRECT || p->source == TAPS;
  for (int64_t share = 1; share <= 4; share *= 2) {
    int64_t slice = whole ? p->cin : slice_of_runs(&p->x, p->cin, m->x_bytes / (4 * pixels) / share, p->thin);
    p->run_cin = p->source == DIRECT ? p->x.run : slice;
    p->b = conv_block(&p->run_cin, 1, p->s.cout, 1, lanes, nregs);
    int64_t top = min64(most, ceil_div(m->tasks / 2, p->cin / slice));
    for (int64_t parts = m->simt ? top : 1; parts <= top; parts++) {
      cut(p, slice, parts, &p->b);
      int64_t had = min64(tasks_of(&best), m->tasks / 2), has = min64(tasks_of(p), m->tasks / 2);
      if (has > had || (has == had && moved(p) < moved(&best))) best = *p;
    }
    if (whole || m->simt) break;
  }
  *p = best;
}

/* Channels of a panel of x: all of the slice, in whole vectors, so that they are written by aligned
 * stores. Only few channels of every other pixel are better off in panels of a tile, which stay in the
 * first-level cache, and what is in shared memory, which has no lines; or when its rows are computed, of
 * whole vectors as well. */
static int64_t panel_width(const WgradPlan *p) {
  enum { FEW = 32, WIDEST = 48 };
  int64_t width = p->b.pixels, whole = ceil_div(p->slice_cin, p->b.lanes) * p->b.lanes;
  if (p->source == PACKED && p->machine->simt) return width;
  if (!p->machine->simt) return p->stride[p->naxes - 1] > 1 && p->slice_cin < FEW ? width : whole;
  while (width % p->b.lanes) width += p->b.pixels;
  return width <= WIDEST ? width : whole;
}

Panels wgrad_x_panels(const WgradPlan *p, int lanes) {
  Panels x = panels_of(p->naxes, p->span, p->slice_cin, panel_width(p), lanes);
  x.round = p->s.bf16;
  return x;
}

int64_t dw_block_width(const WgradPlan *p) { return max64(p->b.vectors, p->b.tail_vectors) * p->b.lanes; }

Panels wgrad_dy_panels(const WgradPlan *p, int64_t channels, int64_t width, int lanes) {
  int64_t extent[MAX_AXES];
  for (int a = 0; a < p->naxes; a++) extent[a] = p->box[a];
  if (p->pairs) extent[p->naxes - 1] = ceil_div(extent[p->naxes - 1], 2);
  return panels_of(p->naxes, extent, channels, width, lanes);
}

/* Is what is packed, if anything is, no more than a kernel may keep in scratch? */
static bool fits(const WgradPlan *p, int lanes) {
  if (p->source == DIRECT || p->source == TAPS) return true;
  Panels x = wgrad_x_panels(p, lanes), dy = wgrad_dy_panels(p, dw_block_width(p), dw_block_width(p), lanes);
  return 4 * (panels_elements(&x) + panels_elements(&dy)) <= p->machine->max_scratch;
}

static bool plan_sizes(WgradPlan *p, int64_t pixels, bool thin, int64_t macs, int isa) {
  int lanes = p->machine->isa[isa].lanes;
  p->pixels = pixels, p->thin = thin;
  plan_boxes(p, lanes);
  plan_tasks(p, macs, lanes, p->machine->isa[isa].nregs);
  return fits(p, lanes);
}

/* Boxes of half as many pixels until a slice fits that is all channels, as it is of a number without
 * divisors; where not even one pixel does, slices however thin. */
static void fit_sizes(WgradPlan *p, int64_t macs, int isa) {
  for (int64_t pixels = p->machine->box_pixels; pixels; pixels /= 2)
    if (plan_sizes(p, pixels, false, macs, isa)) return;
  plan_sizes(p, p->machine->box_pixels, true, macs, isa);
}

WgradPlan wgrad_plan(const Machine *m, const ConvShape *s, bool recompute, int64_t macs, int isa) {
  WgradPlan p = {.machine = m, .s = *s, .pairs = s->bf16 && isa == NETC_ISA_AVX512_BF16};
  p.source = source_of(s, recompute, p.pairs, m->simt);
  int64_t in[MAX_AXES] = {s->n};
  for (int a = 0; a < s->ns; a++) in[1 + a] = s->in[a];
  p.x = view_of(s->ns + 1, in, s->cin);
  if (!m->simt && (p.source == PACKED || p.source == DIRECT) && windows_apart(s)) {
    p.x = view_windows(&p.s);
    p.source = source_of(&p.s, false, p.pairs, false);
  }
  p.pointwise = conv_is_pointwise(&p.s);
  p.cin = p.source == TAPS ? s->cin * conv_taps(s) : p.s.cin;
  plan_axes(&p);
  fit_sizes(&p, macs, isa);
  p.prefetch = prefetches(&p);
  return p;
}
