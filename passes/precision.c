/* precision.c - pass `precision`: which stored values are bf16, when the program asks for that (Program.storage).
 *
 * It runs last, when groups say what is stored at all: only what goes through memory is rounded. Images, in the sense of
 * activations and their gradients, are followed from the inputs and convolutions through elementwise nodes and movement;
 * reductions, gradients of weights and products of matrices are none, so nothing that is computed of variables, of
 * statistics or of losses becomes bf16. Of the images those stay f32 that are narrow (logits, probabilities and their
 * gradients, gates, what the host feeds), small, read as weights, or a result of the function.
 *
 * Contractions of bf16 images have their other operand rounded, too (Attrs.bf16): see bf16_pays.
 */
#include "passes/fuse/fuse.h"
#include "passes/passes.h"
#include <string.h>

/* Fewer elements than this save nothing worth a rounding. */
enum { SMALL = 4096 };

bool precision_allows(Op op) {
  switch (op) {
  case OP_conv_dw: /* sums rest in memory while they grow */
  case OP_dwconv_dw:
  case OP_matmul: /* attention, linear heads: what follows is a loss, or weights */
  case OP_inner: return false;
  default: return op_info[op].cls == CON || op_info[op].cls == EW || op_info[op].cls == MOVE;
  }
}

static bool *images(const Fn *f) {
  bool *image = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  for (int i = 0; i < f->n; i++) {
    const Node *n = &f->node[i];
    OpClass cls = op_info[n->op].cls;
    image[i] = (n->op == OP_input && n->type.rank >= 3) || (cls == CON && precision_allows(n->op));
    for (int k = 0; k < n->nin && (cls == EW || cls == MOVE); k++) image[i] |= image[n->in[k]];
  }
  return image;
}

static bool is_weight_operand(Op op, int k) {
  switch (op) {
  case OP_conv:
  case OP_conv_dx:
  case OP_dwconv:
  case OP_dwconv_dx: return k == 1;
  case OP_matmul:
  case OP_inner: return true;
  default: return false;
  }
}

/* Values that must be f32 for the sake of who reads them. */
static bool *needed_whole(const Fn *f) {
  bool *whole = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  for (int i = 0; i < f->n; i++)
    for (int k = 0; k < f->node[i].nin; k++)
      if (is_weight_operand(f->node[i].op, k)) whole[value_source(f, f->node[i].in[k])] = true;
  for (int i = 0; i < f->nstore; i++) whole[value_source(f, f->store[i].node)] = true;
  for (int i = 0; i < f->nout; i++) whole[value_source(f, f->out[i].node)] = true;
  return whole;
}

static bool is_wgmma(const Program *p, Type t) {
  return t.dt == F32 && t.rank >= 3 && t.dim[1] > MAP_UNROLL_C && t.dim[1] != p->classes &&
         type_count(t) >= SMALL;
}

/* Is operand k of contraction n read as bf16 anyway: stored so, or made by its own group (DyBAC's depthwise result)? */
static bool reads_bf16(const Fn *f, const Node *n, int k) {
  const Node *x = &f->node[value_source(f, n->in[k])];
  return x->type.dt == BF16 || (x->op == OP_dwconv && x->group == n->group);
}

/* THE choice of how a contraction is computed: on operands rounded to bf16, whose products are exact and which some
 * processors multiply in pairs, or on what its operands are, in f32. Taken where the images are bf16 in memory: then it costs
 * the weights' rounding, and images are read as they lie. */
static bool bf16_pays(const Fn *f, const Node *n) {
  if (n->op == OP_conv || n->op == OP_conv_dx) return reads_bf16(f, n, 0);
  return n->op == OP_conv_dw && reads_bf16(f, n, 0) && reads_bf16(f, n, 1);
}

void precision_set(Fn *f, const bool *bf16) {
  int *source = arena_alloc(f->prog->arena, ((size_t)f->n + 1) * sizeof *source);
  for (int i = 0; i < f->n; i++) source[i] = value_source(f, i); /* all before the first changes its type */
  for (int i = 0; i < f->n; i++)
    if (bf16[source[i]]) f->node[i].type.dt = BF16;
  for (int i = 0; i < f->n; i++)
    if (op_info[f->node[i].op].attrs & A_BF16) f->node[i].at.bf16 = bf16_pays(f, &f->node[i]);
}

Fn *pass_precision(Fn *f, char err[IR_ERR]) {
  (void)err;
  if (f->prog->storage != BF16) return f;
  Fn *to = fn_like(f);
  *to = *f;
  to->node = arena_alloc(f->prog->arena, (size_t)f->n * sizeof *f->node + 1);
  to->cap = f->n;
  memcpy(to->node, f->node, (size_t)f->n * sizeof *f->node);
  const bool *image = images(f), *whole = needed_whole(f);
  bool *bf16 = arena_alloc(f->prog->arena, (size_t)f->n + 1);
  const GroupInfo *g = group_values(f);
  for (int i = 0; i < f->ngroup; i++)
    for (int o = 0; o < g[i].nout; o++) {
      int v = g[i].out[o];
      bf16[v] =
          image[v] && !whole[v] && precision_allows(f->node[v].op) && is_wgmma(f->prog, f->node[v].type);
    }
  precision_set(to, bf16);
  return to;
}
