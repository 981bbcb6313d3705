/* launch.c - what every family of data movement begins and ends its launch with (move.h). */
#include "codegen/emit/move/move.h"

Build move_begin(const Move *m, const char *detail) {
  char dims[96];
  Build b =
      build_begin(m->e, m->g, "move", "%s:%s%s%s:%s", op_info[m->y->op].name, dims_text(m->x->type, dims),
                  detail[0] ? "_" : "", detail, m->x->type.dt == I32 ? "i32" : "f32");
  args_of_group(&b);
  build_nontemporal(&b);
  b.kernel.bytes = group_bytes(m->e, m->g);
  return b;
}

bool move_end_box(const Move *m, Build *b, const Box *box, bool vec, VisitBody *body, void *ctx,
                  int64_t flops_per_element) {
  EACH_ISA (isa, b) {
    KFn *k = build_kernel(b, isa);
    visit(k, box, k_task(k), vec, body, ctx);
  }
  b->kernel.flops = flops_per_element;
  for (int a = 0; a < box->rank; a++) b->kernel.flops *= box->extent[a];
  build_end(b, visit_tasks(box));
  return !m->e->err[0];
}

bool move_end(const Move *m, Build *b, const Node *over, bool vec, VisitBody *body, void *ctx,
              int64_t flops_per_element) {
  Box box = node_box(b->e, over);
  return move_end_box(m, b, &box, vec, body, ctx, flops_per_element);
}
