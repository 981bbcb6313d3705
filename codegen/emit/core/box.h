/* box.h - the loop nest of kernels that visit every element of a box: the last axis of extent > 1 runs
 * along the lanes, the axes before it are split over tasks so that a task visits about `chunk` elements. */
#ifndef NETC_VISIT_H
#define NETC_VISIT_H
#include "codegen/emit/core/emit.h"

enum { VISIT_RANK = 12 };

typedef struct {
  int rank;
  int64_t chunk; /* Machine.task_visits */
  int64_t extent[VISIT_RANK];
} Box;

/* Where the body stands: `at` has one i64 coordinate per axis of the box, of lane 0 along the lane axis. */
typedef struct {
  KV at[VISIT_RANK];
  bool vec;
  KV mask; /* K_NONE: all lanes valid */
} Spot;
typedef void VisitBody(void *ctx, KFn *k, const Spot *s);

int visit_lane_axis(const Box *b); /* the axis the lanes run along */
int64_t visit_tasks(const Box *b);
/* The part of the box that is task number `task` (i64); vec false: one element at a time. */
void visit(KFn *k, const Box *b, KV task, bool vec, VisitBody *body, void *ctx);

/* Elements off, off + stride, .. of a buffer, one per lane (or one element). */
KV load_lanes(KFn *k, KV buf, KV off, int64_t stride, bool vec, KV mask);
void store_lanes(KFn *k, KV buf, KV off, int64_t stride, KV v, bool vec, KV mask);

/* Memory strides of a node's axes; the box of its memory, outermost axis first; coordinates by logical axis.
 */
void node_strides(const Node *n, int64_t stride[MAX_RANK]);
/* The same for a value that may lie inside of another (Storage); returns the element it starts at. */
int64_t value_strides(const Emit *e, int node, int64_t stride[MAX_RANK]);
Box node_box(const Emit *e, const Node *n);
void node_coords(const Node *n, const Spot *s, KV coord[MAX_RANK]);
/* sum of coord * stride */
KV offset_of(KFn *k, int rank, const KV *coord, const int64_t *stride);
/* true when neighbours along axis 1 are neighbours in memory and there are at least two. */
bool channels_inner(const Node *n);

/* Arguments of a launch: first what the group reads, then what it writes. */
void args_of_group(Build *b);
int arg_of(const Build *b, int node); /* argument holding a value, -1 = none */
int64_t value_bytes(const Emit *e, int node);
/* Least traffic of a group: everything it reads and writes, once. */
int64_t group_bytes(const Emit *e, const GroupInfo *g);
KBase base_of(Type t);
/* "n4_c64_h256_w256": extents of an activation for descriptors. */
const char *dims_text(Type t, char buf[96]);
/* "k3_s1_p1", extents joined by x where they differ between axes; "k3" where geom is NULL. */
const char *window_text(int ns, const int64_t *size, const ConvGeom *geom, char buf[96]);
#endif
