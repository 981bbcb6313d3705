/* weights.c - the weights of a Winograd convolution: turned round for conv_dx, transformed (winograd.h). */
#include "codegen/emit/winograd/winograd.h"
#include "ir/ints.h"

static int64_t weights_bytes(const WinoShape *s) {
  return 4 * s->taps * WINO_TAPS * WINO_TAPS * s->cin * s->cout;
}

static const char *describe(const Emit *e, const GroupInfo *g) {
  ConvShape s;
  char err[256];
  return conv_shape(e->fn, &e->fn->node[g->anchor], &s, err) ? conv_describe(e->arena, &s) : "";
}

/* ---- panels: (block, tap, channel of the operand, width) ----
 * conv_dx needs them, as its lanes run along C of (K.., C, O): a square of lanes x lanes numbers is read along O, turned over in
 * registers and stored along C, and taps go in the opposite order. The deep way reads all weights of a block of channels
 * n times; of a convolution with long rows each piece of that lies in a page of its own, which panels are faster than. */

static bool in_panels(const WinoPlan *pl) {
  enum { LONG_ROW = 1024 };
  return pl->s.back || (pl->deep && pl->s.cout >= LONG_ROW);
}

static int64_t panel_rows(const WinoShape *s) { return round_up(s->cin, 16); }

static void turn_square(KFn *k, const WinoShape *s, const WinoMemory *m, KV src, KV c, KV o, KV dst) {
  KV w = 0, ws = 1, v[16];
  bool rows_end = s->cout % m->width, cols_end = s->cin % k->lanes;
  KV cols = cols_end ? k_first_lanes(k, k_sub(k, k_i64(k, s->cin), o)) : K_NONE;
  for (int i = 0; i < k->lanes; i++) {
    KV ci = k_add(k, c, k_i64(k, i)), at = k_add(k, src, k_add(k, k_mul(k, ci, k_i64(k, s->cin)), o)),
       mask = cols;
    if (rows_end) {
      KV row = k_splat(k, k_lt(k, ci, k_i64(k, s->cout)));
      mask = cols_end ? k_and(k, row, cols) : row;
    }
    v[i] = mask == K_NONE ? k_load(k, w, at, true) : k_load_masked(k, w, at, mask);
  }
  k_transpose(k, v);
  for (int i = 0; i < k->lanes; i++) k_store(k, ws, k_add(k, dst, k_i64(k, i * m->width)), v[i]);
}

/* conv_dx: a task turns one tap of one block. */
static int64_t turned_panels(Build *b, const WinoShape *s, const WinoMemory *m, int isa) {
  KFn *k = build_kernel(b, isa);
  int64_t taps = s->taps * WINO_TAPS * WINO_TAPS, tasks = m->b.blocks * taps;
  k_if(k, k_lt(k, k_task(k), k_i64(k, tasks)));
  KV block = k_div(k, k_task(k), k_i64(k, taps)), tap = k_rem(k, k_task(k), k_i64(k, taps));
  KV src = k_mul(k, k_sub(k, k_i64(k, taps - 1), tap), k_i64(k, s->cin * s->cout));
  KV dst = k_mul(k, k_task(k), k_i64(k, panel_rows(s) * m->width));
  KV lane = k_for(k, k_i64(k, 0), k_i64(k, m->width), k->lanes);
  KV o = k_for(k, k_i64(k, 0), k_i64(k, s->cin), k->lanes);
  KV to = k_add(k, k_add(k, dst, lane), k_mul(k, o, k_i64(k, m->width)));
  turn_square(k, s, m, src, k_add(k, k_mul(k, block, k_i64(k, m->width)), lane), o, to);
  k_end(k);
  k_end(k);
  k_end(k);
  return tasks;
}

/* conv: a task deals CHUNK rows of one tap out to the blocks, each row read as it lies. */
enum { CHUNK = 64 };

static int64_t copied_panels(Build *b, const WinoShape *s, const WinoMemory *m, int isa) {
  KFn *k = build_kernel(b, isa);
  int64_t taps = s->taps * WINO_TAPS * WINO_TAPS, chunks = (s->cin + CHUNK - 1) / CHUNK;
  KV tap = k_div(k, k_task(k), k_i64(k, chunks)), chunk = k_rem(k, k_task(k), k_i64(k, chunks));
  KV c0 = k_mul(k, chunk, k_i64(k, CHUNK)), end = k_min(k, k_add(k, c0, k_i64(k, CHUNK)), k_i64(k, s->cin));
  KV c = k_for(k, c0, end, 1);
  KV src = k_mul(k, k_add(k, k_mul(k, tap, k_i64(k, s->cin)), c), k_i64(k, s->cout));
  KV dst = k_mul(k, k_add(k, k_mul(k, tap, k_i64(k, panel_rows(s))), c), k_i64(k, m->width));
  KV block = k_for(k, k_i64(k, 0), k_i64(k, m->b.blocks), 1);
  KV lane = k_for(k, k_i64(k, 0), k_i64(k, m->width), k->lanes);
  KV o = k_add(k, k_mul(k, block, k_i64(k, m->width)), lane), at = k_add(k, src, o);
  KV mask = s->cout % m->width ? k_first_lanes(k, k_sub(k, k_i64(k, s->cout), o)) : K_NONE;
  KV v = mask == K_NONE ? k_load(k, 0, at, true) : k_load_masked(k, 0, at, mask);
  KV to = k_add(k, dst, k_mul(k, block, k_i64(k, taps * panel_rows(s) * m->width)));
  k_store(k, 1, k_add(k, to, lane), v);
  k_end(k);
  k_end(k);
  k_end(k);
  return taps * chunks;
}

int wino_panels(Emit *e, const GroupInfo *g, const WinoPlan *pl, const WinoMemory mem[NETC_ISA_COUNT],
                int w) {
  const WinoShape *s = &pl->s;
  if (!in_panels(pl)) return w;
  int64_t most = 0, tasks = 0, taps = s->taps * WINO_TAPS * WINO_TAPS;
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++)
    most = max64(most, mem[isa].b.blocks * taps * panel_rows(s) * mem[isa].width);
  int ws = emit_workspace(e, 4 * most);
  Build b = build_begin(e, g, "pack", "pack:%s:f32:%s:wino", describe(e, g), s->back ? "bwd_d" : "fwd");
  build_arg(&b, w, false);
  build_arg(&b, ws, true);
  EACH_ISA (isa, &b) tasks = max64(tasks, (s->back ? turned_panels : copied_panels)(&b, s, &mem[isa], isa));
  b.kernel.bytes = 2 * weights_bytes(s);
  build_end(&b, tasks);
  return ws;
}

WinoWeights wino_weights_in(const WinoPlan *pl, const WinoMemory *m, KV buf) {
  const WinoShape *s = &pl->s;
  int64_t taps = s->taps * WINO_TAPS * WINO_TAPS;
  if (!in_panels(pl)) return (WinoWeights){buf, s->cin * s->cout, s->cout, m->width, s->cout % m->width != 0};
  return (WinoWeights){buf, panel_rows(s) * m->width, m->width, taps * panel_rows(s) * m->width, false};
}

/* ---- G g G^T ---- */

typedef struct {
  KFn *k;
  const WinoWeights *w;
  KV from, mask; /* element of the first of the nine taps; lanes */
  KV buf, to;    /* where point (0, 0) goes */
  int64_t plane;
  int nx;
  bool round; /* weights, to bf16 */
  bool round_u;
  int half; /* of a pair: 0 the first channel, whose U waits where the pair will be; 1 the second; -1: no pairs */
} Taps;

static KV get_tap(void *from, int i, int j) {
  const Taps *t = from;
  KV at = k_add(t->k, t->from, k_i64(t->k, (i * WINO_TAPS + j) * t->w->tap));
  KV v = t->mask == K_NONE ? k_load(t->k, t->w->buf, at, true) : k_load_masked(t->k, t->w->buf, at, t->mask);
  return t->round ? k_un(t->k, K_bf16, v) : v;
}

static void put_weight(void *to, int i, int j, KV v) {
  const Taps *t = to;
  KFn *k = t->k;
  KV at = k_add(k, t->to, k_i64(k, (i * t->nx + j) * t->plane));
  if (t->half == 1) v = k_bitcast(k, K_F32, k_pair(k, k_load(k, t->buf, at, true), v));
  else if (t->half < 0 && t->round_u) v = k_un(k, K_bf16, v);
  k_store(k, t->buf, at, v);
}

/* The taps of the plane `tap`, channel c of the operand, lanes from `lane` on of the block. */
static Taps taps_at(KFn *k, const WinoPlan *pl, const WinoMemory *m, const WinoWeights *w, KV block, KV tap,
                    KV c, KV lane) {
  KV at = k_add(k, k_mul(k, block, k_i64(k, w->block)), lane);
  at = k_add(k, at, k_mul(k, tap, k_i64(k, WINO_TAPS * WINO_TAPS * w->tap)));
  Taps t = {.k = k, .w = w, .from = k_add(k, at, k_mul(k, c, k_i64(k, w->channel))), .mask = K_NONE};
  KV first = k_add(k, k_mul(k, block, k_i64(k, m->width)), lane);
  if (w->masked) t.mask = k_first_lanes(k, k_sub(k, k_i64(k, pl->s.cout), first));
  t.plane = m->u_plane;
  t.nx = pl->wx->n;
  t.round_u = wino_bf16(pl);
  t.round = pl->s.bf16 && !t.round_u;
  t.half = -1;
  return t;
}

/* A task transforms CHUNK channels of one plane of taps, for one block. */

static int64_t transform_kernel(Build *b, const WinoPlan *pl, const WinoMemory *m, int isa) {
  KFn *k = build_kernel(b, isa);
  const WinoShape *s = &pl->s;
  int64_t chunks = (s->cin + CHUNK - 1) / CHUNK, tasks = m->b.blocks * s->taps * chunks;
  k_if(k, k_lt(k, k_task(k), k_i64(k, tasks)));
  WinoWeights w = wino_weights_in(pl, m, 0);
  KV chunk = k_rem(k, k_task(k), k_i64(k, chunks)), rest = k_div(k, k_task(k), k_i64(k, chunks));
  KV tap = k_rem(k, rest, k_i64(k, s->taps)), block = k_div(k, rest, k_i64(k, s->taps));
  KV c0 = k_mul(k, chunk, k_i64(k, CHUNK));
  int channels = m->pairs ? 2 : 1; /* of a row of U */
  KV c = k_for(k, c0, k_min(k, k_add(k, c0, k_i64(k, CHUNK)), k_i64(k, s->cin)), channels);
  KV lane = k_for(k, k_i64(k, 0), k_i64(k, m->width), k->lanes);
  KV row = k_add(k, k_mul(k, tap, k_i64(k, m->depth)), k_div(k, c, k_i64(k, channels)));
  for (int half = 0; half < channels; half++) {
    Taps t = taps_at(k, pl, m, &w, block, tap, k_add(k, c, k_i64(k, half)), lane);
    t.half = m->pairs ? half : -1;
    t.buf = 1;
    t.to = k_add(k, k_mul(k, block, k_i64(k, m->u_block)), k_add(k, k_mul(k, row, k_i64(k, m->width)), lane));
    WinoEnds ends = {get_tap, &t, put_weight, &t};
    wino_both_sides(k, &pl->wy->g, &pl->wx->g, &ends);
  }
  k_end(k);
  k_end(k);
  k_end(k);
  return tasks;
}

int wino_transformed(Emit *e, const GroupInfo *g, const WinoPlan *pl, const WinoMemory mem[NETC_ISA_COUNT],
                     int w) {
  const WinoShape *s = &pl->s;
  int64_t most = 0, tasks = 0;
  for (int isa = 0; isa < NETC_ISA_COUNT; isa++) most = max64(most, mem[isa].b.blocks * mem[isa].u_block);
  int ws = emit_workspace(e, 4 * most);
  Build b = build_begin(e, g, "pack", "wino_w:%s:f32:%s:%s", describe(e, g), s->back ? "bwd_d" : "fwd",
                        wino_name(e->arena, pl));
  build_arg(&b, w, false);
  build_arg(&b, ws, true);
  EACH_ISA (isa, &b) tasks = max64(tasks, transform_kernel(&b, pl, &mem[isa], isa));
  b.kernel.flops = wino_both_flops(&pl->wy->g, &pl->wx->g) * s->taps * s->cin * s->cout;
  b.kernel.work = 0;
  b.kernel.bytes = weights_bytes(s) + 4 * s->taps * s->cin * s->cout * wino_points(pl);
  build_end(&b, tasks);
  return ws;
}

/* ---- one row of G g G^T ---- */

/* g[row][t] for a row that is known only when the kernel runs. */
static KV coefficient(KFn *k, const WinoMatrix *g, KV row, int t) {
  KV v = k_f32(k, g->a[0][t]);
  for (int i = 1; i < g->rows; i++) v = k_select(k, k_eq(k, row, k_i64(k, i)), k_f32(k, g->a[i][t]), v);
  return k_splat(k, v);
}

/* One row of G g G^T at t, of which G's row is g. */
static void row_of_points(Taps *t, const WinoMatrix *w, const KV *g, KV *out) {
  KFn *k = t->k;
  KV half[WINO_TAPS];
  for (int j = 0; j < WINO_TAPS; j++) {
    half[j] = k_mul(k, g[0], get_tap(t, 0, j));
    for (int i = 1; i < WINO_TAPS; i++) half[j] = k_fma(k, g[i], get_tap(t, i, j), half[j]);
  }
  wino_apply(k, w, half, out);
}

void wino_weights_row(KFn *k, const WinoPlan *pl, const WinoMemory *m, const WinoWeights *from, KV block,
                      KV row, KV u) {
  const WinoShape *s = &pl->s;
  KV g[WINO_TAPS], out[2][WINO_MAX_N];
  int channels = m->pairs ? 2 : 1; /* of a row of U */
  for (int t = 0; t < WINO_TAPS; t++) g[t] = coefficient(k, &pl->wy->g, row, t);
  KV tap = s->taps > 1 ? k_for(k, k_i64(k, 0), k_i64(k, s->taps), 1) : k_i64(k, 0);
  KV c = k_for(k, k_i64(k, 0), k_i64(k, s->cin), channels),
     lane = k_for(k, k_i64(k, 0), k_i64(k, m->width), k->lanes);
  for (int half = 0; half < channels; half++) {
    Taps t = taps_at(k, pl, m, from, block, tap, k_add(k, c, k_i64(k, half)), lane);
    row_of_points(&t, &pl->wx->g, g, out[half]);
  }
  KV line = k_add(k, k_mul(k, tap, k_i64(k, m->depth)), k_div(k, c, k_i64(k, channels)));
  KV to = k_add(k, k_mul(k, line, k_i64(k, m->width)), lane);
  for (int j = 0; j < pl->wx->n; j++) {
    KV v = out[0][j];
    if (m->pairs) v = k_bitcast(k, K_F32, k_pair(k, v, out[1][j]));
    else if (wino_bf16(pl)) v = k_un(k, K_bf16, v);
    k_store(k, u, k_add(k, to, k_i64(k, j * m->u_plane)), v);
  }
  k_end(k);
  k_end(k);
  if (s->taps > 1) k_end(k);
}
