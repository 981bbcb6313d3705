/* move.h - the families of data movement; move.c picks. Each declares a kernel for one node and appends
 * it. */
#ifndef NETC_MOVE_H
#define NETC_MOVE_H
#include "codegen/emit/core/box.h"

typedef struct {
  Emit *e;
  const GroupInfo *g;
  const Node *y; /* the node */
  const Node *x; /* its first operand */
} Move;

bool move_boxes(const Move *m);  /* boxes.c: reshape, concat, slice, pad, upsample */
bool move_pool(const Move *m);   /* pool.c: sumpool, maxpool, maxpool_dx */
bool move_resize(const Move *m); /* resize.c: resize, resize_dx */
bool move_orient(const Move *m); /* index.c */
bool move_arg(const Move *m);    /* index.c: argmax, argmin */

/* ---- launch.c ---- */
/* "upsample:n4_c64_h16_w16:f32" (f32 or i32, of the operand). */
Build move_begin(const Move *m, const char *detail);
/* Emits the kernel: `body` at every place of node `over`. */
bool move_end(const Move *m, Build *b, const Node *over, bool vec, VisitBody *body, void *ctx,
              int64_t flops_per_element);
/* The same at every place of a box that the body knows how to read. */
bool move_end_box(const Move *m, Build *b, const Box *box, bool vec, VisitBody *body, void *ctx,
                  int64_t flops_per_element);
#endif
