/* emit_dwpw_tc.c - DyBAC's forward pass in one kernel on tensor cores (emit_dwpw.c says what it computes).
 *
 * The rows of a stage are not copied but computed: a thread takes one word of 64 bytes of channels of one pixel after the other, adds up
 * its taps from x, which neighbours have just read, and stores the sum, rounded, where a copy would have put it. It is stored
 * before the barrier that lets others read it, as copies are waited for before. What taps of a row there are, where they begin, and the gate's
 * values there, are worked out once for each row of the tile and kept in shared memory; where all rows of a warp have all taps,
 * as most have, nothing is tested.
 *
 * Each range of columns computes the rows anew: wide tiles are best.
 */
#include "dw_row.h"
#include "tc_conv.h"

/* Of a row: element of x at tap 0, bits of taps, element of the kernels, and the gate at each tap, 0 where it does not meet x. */
enum { X_AT, BITS, W_AT, GATES };

typedef struct {
  TcCode c; /* first */
  const DwShape *d;
  const TcAxis *axis;
  int taps, fields;
  bool one_sample; /* all rows of a tile have the same kernels */
  KV x, w, s;      /* arguments; s may be K_NONE */
  KV table;        /* scratch, i32: fields of each row */
} Depthwise;

/* At work on a word of a row: its row's place in the table, its channels, and their kernels. */
typedef struct {
  KV row, channel[2], inside[2], w[2][TC_MOST_TAPS];
} Word;

static KV i32v(KFn *k, int64_t v) { return k_splat(k, k_i32(k, (int32_t)v)); }

static KV at_strides(KFn *k, int ns, KV image, const KV *at, const int64_t *stride) {
  KV sum = k_mul(k, image, i32v(k, stride[0]));
  for (int a = 0; a < ns; a++) sum = k_add(k, sum, k_mul(k, at[a], i32v(k, stride[2 + a])));
  return sum;
}

/* Elements from tap 0 to tap t. */
static int64_t tap_offset(const DwShape *d, int64_t t, const int64_t *stride) {
  int64_t off = 0;
  for (int a = d->ns - 1; a >= 0; t /= d->size[a--]) off += t % d->size[a] * stride[2 + a];
  return off;
}

static KV meets(KFn *k, KV bits, int t) {
  return k_eq(k, k_bin(k, K_and, bits, i32v(k, (int64_t)1 << t)), i32v(k, (int64_t)1 << t));
}

/* A thread writes down one row, or none. */
static void find_rows(TcCode *c, TcBlock *b) {
  Depthwise *dw = (Depthwise *)(void *)c;
  const DwShape *d = dw->d;
  KFn *k = b->k;
  for (int first = 0; first < b->t.m; first += tc_threads(&b->t)) {
    KV mine = k_add(k, b->thread, i32v(k, first)), zero = i32v(k, 0), image, at[MAX_SPATIAL], bits;
    KV m = k_add(k, mine, k_splat(k, k_cast(k, K_I32, c->row0))), is_row = k_lt(k, m, i32v(k, c->p->rows));
    tc_row(k, d->ns, dw->axis, d->in, m, &image, at, &bits);
    bits = k_select(k, is_row, bits, zero);
    image = k_select(k, is_row, image, zero);
    KV there = k_lt(k, mine, i32v(k, b->t.m)), to = k_mul(k, mine, i32v(k, dw->fields));
    KV x_at = at_strides(k, d->ns, image, at, d->xs), w_at = k_mul(k, image, i32v(k, d->ws[0]));
    k_scatter_masked(k, dw->table, k_add(k, to, i32v(k, X_AT)), x_at, there);
    k_scatter_masked(k, dw->table, k_add(k, to, i32v(k, BITS)), bits, there);
    k_scatter_masked(k, dw->table, k_add(k, to, i32v(k, W_AT)), w_at, there);
    for (int t = 0; t < dw->taps && dw->s != K_NONE; t++) {
      KV from = k_add(k, at_strides(k, d->ns, image, at, d->ss), i32v(k, tap_offset(d, t, d->ss)));
      KV gate = k_gather_masked(k, dw->s, from, k_and(k, meets(k, bits, t), there));
      k_scatter_masked(k, dw->table, k_add(k, to, i32v(k, GATES + t)), k_bitcast(k, K_I32, gate), there);
    }
  }
  k_barrier(k);
}

static void find_kernels(const Depthwise *dw, KFn *k, Word *w) {
  KV w_at = k_gather_at(k, dw->table, w->row, W_AT);
  for (int i = 0; i < 2 && w->channel[i] != K_NONE; i++) {
    KV channel = k_select(k, w->inside[i], w->channel[i], i32v(k, 0));
    KV at = k_add(k, w_at, k_mul(k, channel, i32v(k, dw->d->ws[1])));
    for (int t = 0; t < dw->taps; t++)
      w->w[i][t] = k_gather_at(k, dw->w, at, tap_offset(dw->d, t, dw->d->ws));
  }
}

/* The depthwise result; 0 beyond channels and pixels. `all`: every tap meets x, and every channel is one; else taps outside read the first
 * element and count as 0. */
static KV sum_of_taps(const Depthwise *dw, KFn *k, const Word *w, int i, bool all) {
  const DwShape *d = dw->d;
  KV sum = k_splat(k, k_f32(k, 0)), zero = i32v(k, 0), none = sum, bits = K_NONE;
  KV x_at = k_add(k, k_gather_at(k, dw->table, w->row, X_AT), k_mul(k, w->channel[i], i32v(k, d->xs[1])));
  if (!all) bits = k_select(k, w->inside[i], k_gather_at(k, dw->table, w->row, BITS), zero);
  for (int t = 0; t < dw->taps; t++) {
    int64_t off = tap_offset(d, t, d->xs);
    KV x, there = all ? K_NONE : meets(k, bits, t);
    if (all) x = k_gather_at(k, dw->x, x_at, off);
    else
      x = k_select(k, there, k_gather(k, dw->x, k_select(k, there, k_add(k, x_at, i32v(k, off)), zero)),
                   none);
    if (dw->s != K_NONE) x = k_mul(k, x, k_bitcast(k, K_F32, k_gather_at(k, dw->table, w->row, GATES + t)));
    sum = k_fma(k, x, w->w[i][t], sum);
  }
  return sum;
}

static void put_word(const Depthwise *dw, TcBlock *b, const Word *w, KV place, bool all) {
  KFn *k = b->k;
  KV v = sum_of_taps(dw, k, w, 0, all);
  v = b->bf16 ? k_bitcast(k, K_F32, k_pair(k, v, sum_of_taps(dw, k, w, 1, all))) : k_tf32(k, v);
  k_scatter(k, b->tiles, place, v);
}

/* Do all rows that the warp is at have all taps? And are all channels of the step there? */
static KV all_inside(const Depthwise *dw, TcBlock *b, KV row, KV step) {
  KFn *k = b->k;
  int rows = 32 / b->t.row, full = (int)((INT64_C(1) << dw->taps) - 1);
  KV all = k_i32(k, full);
  for (int r = 0; r < rows; r++) {
    KV at = k_add(k, k_mul(k, k_add(k, row, k_i64(k, r)), k_i64(k, dw->fields)), k_i64(k, BITS));
    all = k_and(k, all, k_load(k, dw->table, at, false));
  }
  KV whole = k_eq(k, all, k_i32(k, full)), last = k_i64(k, dw->c.p->steps - 1);
  return dw->d->channels % tc_depth(&b->t, b->bf16) ? k_and(k, whole, k_lt(k, step, last)) : whole;
}

static void compute_rows(TcCode *c, TcBlock *b, KV step, KV stage) {
  const Depthwise *dw = (const Depthwise *)(const void *)c;
  KFn *k = b->k;
  const TcTile *t = &b->t;
  int per_word = b->bf16 ? 2 : 1, apart = tc_threads(t) / t->row;
  KV word = k_rem(k, b->thread, i32v(k, t->row)), row0 = k_div(k, b->thread, i32v(k, t->row));
  KV first = k_splat(k, k_cast(k, K_I32, k_mul(k, step, k_i64(k, tc_depth(t, b->bf16)))));
  Word w = {.row = k_mul(k, row0, i32v(k, dw->fields)), .channel = {K_NONE, K_NONE}};
  for (int i = 0; i < per_word; i++) {
    w.channel[i] = k_add(k, k_add(k, first, k_mul(k, word, i32v(k, per_word))), i32v(k, i));
    w.inside[i] = k_lt(k, w.channel[i], i32v(k, dw->d->channels));
  }
  if (dw->one_sample) find_kernels(dw, k, &w);
  KV pass = k_for(k, k_i64(k, 0), k_i64(k, t->m), apart);
  KV row = k_add(k, row0, k_splat(k, k_cast(k, K_I32, pass)));
  w.row = k_mul(k, row, i32v(k, dw->fields));
  if (!dw->one_sample) find_kernels(dw, k, &w);
  KV place = tc_word(b, row, k_div(k, word, i32v(k, TC_PIECE)));
  place = k_add(k, k_add(k, place, k_rem(k, word, i32v(k, TC_PIECE))), stage);
  KV warp_row = k_add(k, pass, k_mul(k, k_thread(k), k_i64(k, 32 / t->row)));
  k_if(k, all_inside(dw, b, warp_row, step));
  put_word(dw, b, &w, place, true);
  k_else(k);
  put_word(dw, b, &w, place, false);
  k_end(k);
  k_end(k);
}

static void axes_of(const DwShape *d, TcAxis *axis) {
  for (int a = 0; a < d->ns; a++)
    axis[a] = (TcAxis){
        .ostep = 1, .count = d->out[a], .istep = d->stride[a], .base = -d->pad[a], .taps = d->size[a]};
}

static int64_t count_of(const int64_t *size, int ns) {
  int64_t n = 1;
  for (int a = 0; a < ns; a++) n *= size[a];
  return n;
}

bool tc_takes_dwpw(const Emit *e, const Node *anchor, const DwShape *d) {
  enum { MOST = 1 << 30 };
  const Fn *f = e->fn;
  bool kind = e->machine->simt && (anchor->at.narrow || f->prog->tf32) && anchor->type.dim[1] > 1 && d->vec;
  return kind && count_of(d->size, d->ns) <= TC_MOST_TAPS && type_count(f->node[d->x].type) < MOST &&
         type_count(f->node[d->w].type) < MOST && type_count(anchor->type) < MOST;
}

bool emit_dwpw_tc(Emit *e, const GroupInfo *g, const DwShape *d, const ConvShape *pointwise) {
  enum { STAGES = 3 }; /* two steps ahead is what weights need; nobody waits for rows */
  static const TcRows rows = {find_rows, compute_rows};
  const Node *anchor = &e->fn->node[g->anchor];
  TcConv c = {.s = *pointwise, .bf16 = anchor->at.narrow};
  TcAxis axis[MAX_SPATIAL];
  char dims[96], win[96];
  axes_of(d, axis);
  tc_conv_plan(e, g, &c, STAGES);
  int taps = (int)count_of(d->size, d->ns), fields = GATES + (d->s >= 0 ? taps : 0);
  while (c.t.stages > 2 && 4 * (c.t.stages * tc_stage_words(&c.t) + c.t.m * fields) > TC_SHARED) c.t.stages--;
  int w = emit_buffer(e, anchor->in[1]), ws = tc_conv_pack(e, g, &c, w);
  Build b = build_begin(e, g, "dwpw", "dwpw:%s_oc%lld_%s:%s:fwd%s", dims_text(e->fn->node[d->x].type, dims),
                        (long long)c.s.cout, window_text(d->ns, d->size, d->stride, d->pad, win),
                        c.bf16 ? "mma_bf16" : "mma_tf32", d->s >= 0 ? ":gate" : "");
  for (int i = 0; i < g->nin; i++) {
    int in = emit_buffer(e, g->in[i]);
    build_arg(&b, in == w ? ws : in, false);
  }
  for (int i = 0; i < g->nout; i++) build_arg(&b, emit_buffer(e, g->out[i]), true);
  Depthwise code = {.c.rows = &rows,
                    .c.weights = build_find_arg(&b, ws),
                    .d = d,
                    .axis = axis,
                    .taps = taps,
                    .fields = fields};
  code.one_sample = d->ws[0] == 0 || count_of(d->out, d->ns) % c.t.m == 0;
  code.x = arg_of(&b, d->x), code.w = arg_of(&b, d->w), code.s = d->s >= 0 ? arg_of(&b, d->s) : K_NONE;
  KFn *k = build_kernel(&b, 0);
  TcBlock block;
  tc_begin(&block, k, &c.t, c.bf16);
  block.rounded_a = true;
  code.table = k_scratch(k, K_I32, (int64_t)c.t.m * fields, "rows");
  tc_conv_kernel(&b, g, &c, k, &block, &code.c);
  b.kernel.flops = 2 * (node_macs(e->fn, anchor) + node_macs(e->fn, &e->fn->node[anchor->in[0]]));
  b.kernel.bytes = group_bytes(e, g);
  build_end(&b, tc_conv_blocks(&c));
  return !e->err[0];
}
