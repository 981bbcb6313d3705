/* moments.c - pass `moments`: mean and variance of large values by reading them once.
 *
 * Batch normalisation asks for m = sum(x)/n and then for sum((x - m)^2): the second sum waits for the first,
 * and x passes through memory twice. With any s in place of m,
 *
 *   m = s + S/n,   sum((x - m)^2) = Q - S^2/n,   S = sum(x - s),   Q = sum((x - s)^2),
 *
 * and both sums are one sweep. Digits are lost where S^2/n = n (m - s)^2 is much larger than the difference.
 * So s is the mean over a part of x: of a share p of its elements, for which (m - s)^2 <= var * (1 - p) / p
 * whatever x holds (the part's deviation alone makes that much variance). With p >= 1/PART at most PART times
 * the rounding of the sums is left, below 1e-5 of the variance, and next to nothing where the part is like
 * the rest. */
#include "passes/passes.h"
#include "passes/graph/rewrite.h"
#include <math.h>
#include <string.h>

enum { PART = 64, LARGE = 1 << 20, CHANNELS = 8 };

/* Per mean node of the old function: the new node that holds sum((x - mean)^2). */
typedef struct {
  Rewrite r;
  bool *live;
  int *centred;
} Moments;

static bool is_const(const Fn *f, int i, double v) {
  return f->node[i].op == OP_const && fabs(f->node[i].at.value - v) <= 1e-6 * fabs(v);
}

static int64_t summed(const Fn *f, int sum) {
  return type_count(f->node[f->node[sum].in[0]].type) / type_count(f->node[sum].type);
}

/* mean = sum(x) * (1/n): x, or -1. */
static int operand_of_mean(const Fn *f, int i) {
  const Node *n = &f->node[i];
  if (n->op != OP_mul || f->node[n->in[0]].op != OP_sum) return -1;
  return is_const(f, n->in[1], 1.0 / (double)summed(f, n->in[0])) ? f->node[n->in[0]].in[0] : -1;
}

/* sum((x - mean)^2) over the axes of the mean: the mean, or -1. */
static int mean_of_centred(const Fn *f, int i) {
  const Node *n = &f->node[i];
  if (n->op != OP_sum) return -1;
  const Node *square = &f->node[n->in[0]];
  if (square->op != OP_mul || square->in[0] != square->in[1]) return -1;
  const Node *d = &f->node[square->in[0]];
  if (d->op != OP_sub || operand_of_mean(f, d->in[1]) != d->in[0]) return -1;
  return f->node[f->node[d->in[1]].in[0]].at.axes == n->at.axes ? d->in[1] : -1;
}

/* A contraction's result, perhaps with its bias: it lies in memory anyway, so that a part of it can be read
 * there. */
static bool from_contraction(const Fn *f, int x) {
  const Node *n = &f->node[x];
  if (op_info[n->op].cls == CON) return true;
  return op_info[n->op].cls == EW && n->nin == 2 && op_info[f->node[n->in[0]].op].cls == CON &&
         shape_eq(f->node[n->in[0]].type, n->type);
}

static bool worth_it(const Fn *f, int x, unsigned axes) {
  Type t = f->node[x].type;
  return t.rank >= 3 && type_bytes(t) >= LARGE && t.dim[1] >= CHANNELS && !(axes & 2) && axes & 1 &&
         axes & 4 && from_contraction(f, x);
}

/* Mean over rows in the middle of the first sample(s): at least 1 / PART of what is summed over. */
static int part_mean(Fn *f, int x, unsigned axes) {
  Type t = f->node[x].type;
  int64_t samples = (t.dim[0] + PART - 1) / PART, share = PART * samples / t.dim[0],
          rows = share > t.dim[2] ? 1 : (t.dim[2] + share - 1) / share, first = (t.dim[2] - rows) / 2;
  int part = ir_slice(f, ir_slice(f, x, 0, 0, samples), 2, first, first + rows);
  return part < 0 ? -1 : ir_mean(f, part, axes);
}

/* Writes mean and centred sum of squares for old node `mean`. */
static void write_moments(Moments *m, int mean) {
  const Fn *f = m->r.from;
  Fn *to = m->r.to;
  int old_sum = f->node[mean].in[0], x = m->r.map[f->node[old_sum].in[0]];
  unsigned axes = f->node[old_sum].at.axes;
  double share = 1.0 / (double)summed(f, old_sum);
  int s = part_mean(to, x, axes), d = ir_sub(to, x, s);
  int sum = ir_sum(to, d, axes), squares = ir_sum(to, ir_mul(to, d, d), axes), off = ir_scale(to, sum, share);
  m->r.map[mean] = ir_add(to, s, off);
  int centred = ir_sub(to, squares, ir_mul(to, sum, off));
  m->centred[mean] =
      ir_binary(to, OP_max, centred, ir_const(to, 0)); /* rounding may leave less than nothing */
}

Fn *pass_moments(Fn *f, char err[IR_ERR]) {
  Moments m = {.r = rewrite_begin(f), .live = live_nodes(f)};
  m.centred = arena_alloc(f->prog->arena, ((size_t)f->n + 1) * sizeof *m.centred);
  memset(m.centred, -1, (size_t)f->n * sizeof *m.centred);
  bool *wanted =
      arena_alloc(f->prog->arena, (size_t)f->n + 1); /* means whose centred sum is asked for, too */
  for (int i = 0; i < f->n; i++) {
    int mean = m.live[i] ? mean_of_centred(f, i) : -1;
    if (mean >= 0 && worth_it(f, operand_of_mean(f, mean), f->node[i].at.axes)) wanted[mean] = true;
  }
  for (int i = 0; i < f->n && !m.r.to->err[0]; i++) {
    int mean = mean_of_centred(f, i);
    m.r.to->loc = f->node[i].loc;
    if (wanted[i]) write_moments(&m, i);
    else if (mean >= 0 && wanted[mean]) m.r.map[i] = m.centred[mean];
    else m.r.map[i] = rewrite_copy(&m.r, i);
  }
  return rewrite_end(&m.r, err);
}
