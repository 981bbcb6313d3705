/* plan.c - which contractions go by tensor cores, and in which tiles (tensor_core.h). Both follow from shapes alone. */
#include "codegen/emit/tensor_core/tensor_core.h"
#include "codegen/kir/wgmma.h"
#include "ir/ints.h"

/* Tiles, and how near to the rate of the largest one they come: a large tile multiplies more of what it copies. */
static const struct {
  TcTile t;
  double rate;
} tiles[] = {
    {{128, 128, 2, 4, 16, 0, false, false}, 1},  {{128, 64, 2, 2, 16, 0, false, false}, 0.9},
    {{64, 64, 2, 2, 16, 0, false, false}, 0.75}, {{128, 32, 4, 1, 16, 0, false, false}, 0.7},
    {{64, 32, 2, 1, 16, 0, false, false}, 0.55}, {{128, 16, 4, 1, 16, 0, false, false}, 0.45},
    {{32, 32, 2, 1, 16, 0, false, false}, 0.4},
};

static int stages_that_fit(const TcTile *t) {
  int fit = TC_SHARED / (4 * tc_stage_words(t));
  return fit < TC_MOST_STAGES ? fit : TC_MOST_STAGES;
}

/* As many stages as fit, but no more than there are steps to fill them. */
static TcTile with_stages(TcTile t, int64_t steps) {
  t.stages = stages_that_fit(&t);
  if (steps + 1 < t.stages) t.stages = steps < 1 ? 2 : (int)steps + 1;
  return t;
}

/* ---- conv and conv_dx ---- */

/* What one launch of tiles t does, its summed axes cut into parts of at most part_steps steps (0: not cut). */
typedef struct {
  int64_t blocks, steps; /* steps of all blocks together, */
  int64_t longest;       /* and of the one that has most */
  int64_t parts, sums;   /* parts of the product that has most; elements of all partial sums */
} Load;

static Load load_of(const TcTile *t, const TcProduct *product, int count, int64_t cols, bool bf16,
                    int64_t part_steps) {
  Load l = {0};
  for (int i = 0; i < count; i++) {
    int64_t steps = ceil_div(product[i].depth, tc_depth(t, bf16));
    int64_t parts = tc_parts(steps, part_steps), length = parts ? ceil_div(steps, parts) : 0;
    int64_t blocks = ceil_div(product[i].rows, t->m) * ceil_div(cols, t->n) * parts;
    l.blocks += blocks, l.steps += blocks * length;
    l.sums += product[i].rows * cols * parts;
    if (length > l.longest) l.longest = length;
    if (parts > l.parts) l.parts = parts;
  }
  return l;
}

/* Time in products of two words (tf32; of bf16 a word is two, and takes as long), of which a processor makes 512 a cycle. A
 * processor keeps busy with eight warps, two for each of its schedulers; with two, a step takes half as long
 * again. Parts cost the launch that adds them, the start of each block (its addresses, the first copies, results by way of scratch: half of a
 * launch), and their sums, written and read at 16 bytes a cycle and processor, between what caches and memory do. As all of this is
 * an estimate, they are to be better by a tenth. */
static double time_of(const Machine *m, const TcTile *t, double rate, const Load *l, bool cut) {
  enum { BUSY = 8 };
  int64_t waves = ceil_div(l->blocks, m->processors), warps = waves * tc_warps(t);
  double wait = warps < BUSY ? 1 + (BUSY - (double)warps) / 12 : 1;
  double steps = (double)(waves * l->steps) / (double)l->blocks;
  if (steps < (double)l->longest) steps = (double)l->longest;
  double time = steps * (double)(t->row * t->m * t->n) / rate * wait;
  if (!cut) return time;
  time += (double)m->launch_cost * (1 + (double)waves / 2);
  time += (double)(2 * 4 * l->sums * m->byte_cost) / (double)m->processors;
  return 1.1 * time;
}

int64_t tc_parts(int64_t steps, int64_t part_steps) { return part_steps ? ceil_div(steps, part_steps) : 1; }

TcTile tc_tile(const Machine *m, const TcProduct *product, int count, int64_t cols, bool bf16,
               int64_t *part_steps) {
  TcTile best = {0};
  double least = 0;
  int64_t longest = 0;
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
    const TcTile *t = &tiles[i].t;
    Load whole = load_of(t, product, count, cols, bf16, 0);
    for (int64_t parts = 1, steps = 0; parts <= TC_MOST_PARTS; parts++) {
      steps = parts > 1 ? ceil_div(whole.longest, parts) : 0;
      Load l = load_of(t, product, count, cols, bf16, steps);
      if (parts > 1 && (steps < m->part_steps || 4 * l.sums > m->parts_bytes)) break;
      if (l.parts < parts) continue; /* steps are no multiple: fewer parts are as long */
      double time = time_of(m, t, tiles[i].rate, &l, steps > 0);
      if (best.m && time >= least) continue;
      best = *t, least = time, *part_steps = steps, longest = l.longest;
    }
  }
  return with_stages(best, longest);
}

/* ---- conv_dw ---- */

/* Parts keep all processors busy, whatever the tile, if there are steps enough for them; each costs its sums' way through
 * memory, which is as much as some steps. */
TcTile tc_tile_turned(const Machine *m, int64_t rows, int64_t cols, int64_t depth, bool bf16) {
  enum { LEAST_STAGES = 3, PART_STEPS = 8 };
  TcTile best = {0};
  double least = 0;
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
    TcTile t = tiles[i].t;
    t.turned = true;
    if (stages_that_fit(&t) < LEAST_STAGES) continue;
    int64_t blocks = ceil_div(rows, t.m) * ceil_div(cols, t.n), steps = ceil_div(depth, tc_depth(&t, bf16));
    int64_t parts = ceil_div(2 * m->processors, blocks), most = steps / PART_STEPS;
    parts = parts < most ? parts : most > 1 ? most : 1;
    int64_t waves = ceil_div(blocks * parts, m->processors);
    double time = (double)(waves * (ceil_div(steps, parts) + PART_STEPS) * t.m * t.n) / tiles[i].rate;
    if (best.m && time >= least) continue;
    best = t, least = time;
  }
  return with_stages(best, ceil_div(depth, tc_depth(&best, bf16)));
}

/* Rows of 128 bytes, three stages of them: at most 96 KB, of which two blocks find room on a processor, as many as have registers
 * there. Short sums are left with more stages of shorter rows. */
bool tc_wide(const TcTile *t, int64_t steps, TcTile *wide) {
  enum { STAGES = 3 };
  *wide = *t;
  wide->wide = true, wide->warps_m = tc_warps(t), wide->warps_n = 1;
  if (tc_warps(t) % WGMMA_WARPS || t->m % (tc_warps(t) * 16)) return false;
  if (steps >= 2 * (STAGES - 1)) wide->row = 2 * t->row, wide->stages = STAGES;
  return true;
}

/* Offsets of elements are 32 bits in these kernels, with room for what taps add. */
static bool small_enough(Type t) { return type_count(t) < (int64_t)1 << 30; }

/* An operand can be copied as it lies in memory: it has the type that is multiplied, and its pixels are apart by whole
 * words. */
static bool copied_as_is(const Node *x, bool bf16) {
  return x->type.dt == (bf16 ? BF16 : F32) && small_enough(x->type) && (!bf16 || x->type.dim[1] % 2 == 0);
}

bool tc_takes(const Emit *e, const Node *nd, const ConvShape *s) {
  const Fn *f = e->fn;
  if (!e->machine->simt || conv_taps(s) > TC_MOST_TAPS || (!s->bf16 && !f->prog->tf32)) return false;
  if (nd->op == OP_conv_dw)
    return copied_as_is(&f->node[nd->in[0]], s->bf16) && copied_as_is(&f->node[nd->in[1]], s->bf16) &&
           small_enough(nd->type);
  return s->cout > 1 && copied_as_is(&f->node[nd->in[0]], s->bf16) && small_enough(nd->type);
}
