/* move.c - G_MOVE: data movement, by family. Lanes run along the innermost axis of the result, which for
 * images is the channels, so that most of these are runs of whole vectors from one place to another. */
#include "codegen/emit/move/move.h"

bool emit_move(Emit *e, const GroupInfo *g) {
  const Node *y = &e->fn->node[g->anchor];
  Move m = {e, g, y, &e->fn->node[y->in[0]]};
  switch (y->op) {
  case OP_reshape:
  case OP_concat:
  case OP_slice:
  case OP_pad:
  case OP_upsample: return move_boxes(&m);
  case OP_sumpool:
  case OP_maxpool:
  case OP_maxpool_dx: return move_pool(&m);
  case OP_resize:
  case OP_resize_dx: return move_resize(&m);
  case OP_orient: return move_orient(&m);
  case OP_argmax:
  case OP_argmin: return move_arg(&m);
  default:
    ir_error(e->err, "node %d: %s does not move data; the fusion pass must not make it a G_MOVE group",
             g->anchor, op_info[y->op].name);
    return false;
  }
}
