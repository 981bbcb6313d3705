/* ahead.c - the operands of the next box, asked for while the sums of this one are made.
 *
 * A box is packed, or its rows are computed, before anything is multiplied: a core that only then asked for it would
 * wait for memory and multiply nothing meanwhile. Requests are few for every turn of the micro-kernel and evenly spread: more
 * than two dozen at once would hold up the loads after them.
 */
#include "codegen/emit/wgrad/wgrad.h"
#include "ir/ints.h"

static void add_axis(WgradPrefetchSide *s, int64_t extent, int64_t step) {
  s->extent[s->naxes] = extent, s->step[s->naxes++] = step;
  s->lines *= extent;
}

WgradPrefetchSide wgrad_prefetch_side(KFn *k, KV x, const WgradView *v, const int64_t *extent,
                                      int64_t channels, const KV *first, KV channel0, int64_t turns) {
  int64_t line = k->ins[x].type.base == K_BF16 ? 2 * TILE_LINE : TILE_LINE, runs = view_runs(v, channels);
  int64_t of_run = ceil_div(channels / runs, line);
  WgradPrefetchSide s = {.x = x, .line = line, .of_run = of_run, .lines = of_run};
  s.base = view_channel(k, v, channel0);
  int64_t taps[MAX_SPATIAL]; /* runs: the inner axes of taps whole */
  for (int a = v->naxes_taps - 1; a >= 0; runs /= taps[a], a--)
    taps[a] = runs < v->taps[a] ? runs : v->taps[a];
  /* As they lie in memory: rows of x, of the taps one after the other. */
  for (int a = 0; a < v->naxes; a++) {
    s.base = k_add(k, s.base, k_mul(k, first[a], k_i64(k, v->step[a])));
    add_axis(&s, extent[a], v->step[a]);
    if (a > 0 && a <= v->naxes_taps) add_axis(&s, taps[a - 1], v->tap_step[a - 1]);
  }
  /* Lines of a turn: a divisor of those of a run, or those of so many runs that none is left out; or a line in two turns. Where
   * multiply-adds are more than that, what is waited for is little, and a box of more than 280 KB would drive out what is at work. */
  enum { SELDOM = 3, MOST = 280 * 16 };
  int64_t each = ceil_div(s.lines, turns), lines = s.lines;
  while (each < of_run && of_run % each) each++;
  if (each > of_run) each = of_run * ceil_div(each, of_run);
  s.each = each;
  s.every = turns / lines > 1 ? turns / lines : 1;
  if (s.every >= SELDOM || lines > MOST) s.each = 0;
  return s;
}

/* Element of line number `number`, counted over runs and the lines of each. */
static KV line_at(KFn *k, const WgradPrefetchSide *s, KV number) {
  KV lines = k_i64(k, s->of_run), at = k_mul(k, k_rem(k, number, lines), k_i64(k, s->line));
  KV run = k_div(k, number, lines);
  for (int a = s->naxes - 1; a >= 0; a--) {
    KV i = a ? k_rem(k, run, k_i64(k, s->extent[a])) : run;
    at = k_add(k, at, k_mul(k, i, k_i64(k, s->step[a])));
    run = k_div(k, run, k_i64(k, s->extent[a]));
  }
  return k_add(k, s->base, at);
}

void wgrad_prefetch(const void *ctx, KFn *k, KV turn) {
  const WgradPrefetch *d = ctx;
  for (int i = 0; i < 2; i++) {
    const WgradPrefetchSide *s = &d->side[i];
    KV at_turn = k_add(k, d->turn0[i], turn);
    KV first = k_mul(k, k_div(k, at_turn, k_i64(k, s->every)), k_i64(k, s->each));
    if (s->each == 0) continue;
    k_if(k, k_le(k, first, k_i64(k, s->lines - s->each)));
    for (int64_t l = 0; l < s->each; l += s->of_run) {
      KV at = line_at(k, s, k_add(k, first, k_i64(k, l)));
      for (int64_t j = l; j < s->each && j < l + s->of_run; j++)
        k_prefetch(k, s->x, k_add(k, at, k_i64(k, (j - l) * s->line)));
    }
    k_end(k);
  }
}
