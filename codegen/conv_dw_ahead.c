/* conv_dw_ahead.c - the operands of the next box, asked for while the sums of this one are made.
 *
 * A box is packed, or its rows are computed, before anything is multiplied: a core that only then asked for it would
 * wait for memory and multiply nothing meanwhile. Requests are few for every turn of the micro-kernel and evenly spread: more
 * than two dozen at once would hold up the loads after them.
 */
#include "conv_dw.h"

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

DwAheadSide dw_ahead_side(KFn *k, KV x, int naxes, const int64_t *tensor, const int64_t *extent,
                          int64_t channels, int64_t stride, const KV *first, KV channel0, int64_t turns) {
  DwAheadSide s = {.x = x, .naxes = naxes, .channels = channels, .stride = stride};
  int64_t line = k->ins[x].type.base == K_BF16 ? 2 * TILE_LINE : TILE_LINE, lines = ceil_div(channels, line);
  s.base = k_i64(k, 0);
  for (int a = 0; a < naxes; a++) {
    s.extent[a] = extent[a], s.tensor[a] = tensor[a];
    s.base = k_add(k, k_mul(k, s.base, k_i64(k, tensor[a])), first[a]);
    lines *= extent[a];
  }
  s.base = k_add(k, k_mul(k, s.base, k_i64(k, stride)), channel0);
  /* Lines of a turn: a divisor of those of a pixel, or those of so many pixels that none is left out; or a line in two turns. Where
   * multiply-adds are more than that, what is waited for is little, and a box of more than 280 KB would drive out what is at work. */
  enum { SELDOM = 3, MOST = 280 * 16 };
  int64_t of_pixel = ceil_div(channels, line), each = ceil_div(lines, turns);
  while (each < of_pixel && of_pixel % each) each++;
  if (each > of_pixel) each = of_pixel * ceil_div(each, of_pixel);
  s.line = line, s.of_pixel = of_pixel, s.each = each, s.lines = lines;
  s.every = turns / lines > 1 ? turns / lines : 1;
  if (s.every >= SELDOM || lines > MOST) s.each = 0;
  return s;
}

/* Element of line number `number`, counted over pixels and the lines of each. */
static KV line_at(KFn *k, const DwAheadSide *s, KV number) {
  KV lines = k_i64(k, s->of_pixel), at = k_mul(k, k_rem(k, number, lines), k_i64(k, s->line));
  KV pixel = k_div(k, number, lines);
  int64_t step = s->stride;
  for (int a = s->naxes - 1; a >= 0; step *= s->tensor[a], a--) {
    KV i = a ? k_rem(k, pixel, k_i64(k, s->extent[a])) : pixel;
    at = k_add(k, at, k_mul(k, i, k_i64(k, step)));
    pixel = k_div(k, pixel, k_i64(k, s->extent[a]));
  }
  return k_add(k, s->base, at);
}

void dw_ahead_ask(const void *ctx, KFn *k, KV turn) {
  const DwAhead *d = ctx;
  turn = k_add(k, d->turn0, turn);
  for (int i = 0; i < 2; i++) {
    const DwAheadSide *s = &d->side[i];
    KV first = k_mul(k, k_div(k, turn, k_i64(k, s->every)), k_i64(k, s->each));
    first = k_min(k, first, k_i64(k, s->lines - s->each));
    for (int64_t l = 0; l < s->each; l += s->of_pixel) {
      KV at = line_at(k, s, k_add(k, first, k_i64(k, l)));
      for (int64_t j = l; j < s->each && j < l + s->of_pixel; j++)
        k_prefetch(k, s->x, k_add(k, at, k_i64(k, (j - l) * s->line)));
    }
  }
}
