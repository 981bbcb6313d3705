/* tc_plan.c - which contractions go by tensor cores, and in which tiles (tc.h). Both follow from shapes alone. */
#include "tc.h"

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Tiles, and how near to the rate of the largest one they come: a large tile multiplies more of what it copies. */
static const struct {
  TcTile t;
  double rate;
} tiles[] = {
    {{128, 128, 2, 4, 16, 0}, 1},  {{128, 64, 2, 2, 16, 0}, 0.9}, {{64, 64, 2, 2, 16, 0}, 0.75},
    {{128, 32, 4, 1, 16, 0}, 0.7}, {{64, 32, 2, 1, 16, 0}, 0.55}, {{128, 16, 4, 1, 16, 0}, 0.45},
    {{32, 32, 2, 1, 16, 0}, 0.4},
};

enum { MOST_STAGES = 4 };

TcTile tc_tile(const Machine *m, const int64_t *rows, int count, int64_t cols, int64_t depth, bool bf16) {
  TcTile best = {0};
  double least = 0;
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
    const TcTile *t = &tiles[i].t;
    int64_t blocks = 0;
    for (int p = 0; p < count; p++) blocks += ceil_div(rows[p], t->m) * ceil_div(cols, t->n);
    double time = (double)(ceil_div(blocks, m->processors) * t->m * t->n) / tiles[i].rate;
    if (best.m && time >= least) continue;
    best = *t, least = time;
  }
  int64_t steps = ceil_div(depth, tc_depth(&best, bf16)), fit = TC_SHARED / (4 * tc_stage_words(&best));
  best.stages = (int)(fit < MOST_STAGES ? fit : MOST_STAGES);
  if (steps + 1 < best.stages) best.stages = steps < 1 ? 2 : (int)steps + 1;
  return best;
}

/* Offsets of elements are 32 bits in these kernels, with room for what taps add. */
static bool small_enough(Type t) { return type_count(t) < (int64_t)1 << 30; }

/* An operand can be copied as it lies in memory: it has the type that is multiplied, and its pixels are apart by whole
 * words. */
static bool copied_as_is(const Node *x, bool bf16) {
  return x->type.dt == (bf16 ? BF16 : F32) && small_enough(x->type) && (!bf16 || x->type.dim[1] % 2 == 0);
}

bool tc_takes(const Emit *e, const Node *nd, const ConvShape *s) {
  enum { MOST_TAPS = 31 }; /* bits of a word, but one */
  const Fn *f = e->fn;
  if (!e->machine->simt || conv_taps(s) > MOST_TAPS || (!s->narrow && !f->prog->tf32)) return false;
  if (nd->op == OP_conv_dw) return false;
  return s->cout > 1 && copied_as_is(&f->node[nd->in[0]], s->narrow) && small_enough(nd->type);
}
