/* row.h - one row of a depthwise convolution, or of its adjoint in x: the part depthwise.c and codegen/emit/dybac/direct.c
 * share.
 *
 * A row is the innermost spatial axis of the result at one place of the others. It is cut into tiles of a few
 * pixels whose accumulators stay in registers; the row of each kernel tap is read once per tile, every loaded
 * pixel feeds all the accumulators it belongs to. Tiles that touch the border are written out for their place
 * with the taps outside left out; the tiles between are one loop. The other axes of the kernel are loops with
 * exact bounds.
 */
#ifndef NETC_DW_ROW_H
#define NETC_DW_ROW_H
#include "codegen/emit/core/box.h"

enum { DW_MAX_STRIDE = 16, DW_MAX_SIZE = 64 };

typedef struct {
  bool dx; /* adjoint: `in` is the extent of dy, `out` that of x */
  int ns;  /* spatial axes */
  int64_t channels;
  int64_t size[MAX_SPATIAL], stride[MAX_SPATIAL], pad[MAX_SPATIAL], in[MAX_SPATIAL], out[MAX_SPATIAL];
  int64_t xs[MAX_RANK], ws[MAX_RANK],
      ss[MAX_RANK]; /* memory strides of source, kernels, gate: n, c, spatial */
  bool vec;         /* lanes along channels */
  int x, w, s;      /* nodes: source, kernels, spatial gate or -1 */
} DwShape;

typedef struct {
  const DwShape *shape;
  KV x, w, s;               /* buffers; s may be K_NONE */
  KV n, outer[MAX_SPATIAL]; /* place of the row: sample, spatial axes but the last */
  KV channel0;              /* first channel of the slice that is worked on (dw_slice), */
  int64_t channels;         /* and how many */
  bool prefetch;            /* ask for the source row that the next row reads first */
} DwRow;

/* A result of the row. */
typedef struct {
  KV pixel, channel; /* i64; channel of lane 0 */
  bool vec;
  KV mask;
} DwAt;
typedef void DwSink(void *ctx, KFn *k, const DwAt *at, KV v);

/* Shape of a dwconv or dwconv_dx node of the group, looking through a gate on its first operand. */
DwShape dw_shape(const Emit *e, const GroupInfo *g, int node);
/* false and a message when an axis is beyond the limits above. */
bool dw_supported(Emit *e, const DwShape *d);
bool in_group(const GroupInfo *g, int node);
/* mul x s(N,1,S) of the group at `node`: its two operands; else x = node, s = -1. */
void dw_gate(const Fn *f, const GroupInfo *g, int node, int *x, int *s);
/* Results number lo..hi-1 of the row (compile time), all channels. */
void dw_row(KFn *k, const DwRow *r, int64_t lo, int64_t hi, DwSink *sink, void *ctx);

/* Does every tap along the row of results lo..hi-1 meet the source? Such results, `count` from lo (run time) on,
 * all channels. */
bool dw_row_is_inside(const DwShape *d, int64_t lo, int64_t hi);
void dw_row_inside(KFn *k, const DwRow *r, KV lo, int64_t count, DwSink *sink, void *ctx);

/* Kernel taps along one axis that meet the source from result coordinate `o`: the first, the end, and for
 * taps in steps of tap_step the source coordinate of a tap. */
KV tap_first(KFn *k, const DwShape *d, int axis, KV o);
KV tap_end(KFn *k, const DwShape *d, int axis, KV o);
int64_t tap_step(const DwShape *d, int axis);
KV tap_source(KFn *k, const DwShape *d, int axis, KV o, KV tap);

/* Rows are the places of a result's spatial axes but the last, of all samples, in order. */
int64_t rows_of(const DwShape *d);
void row_place(KFn *k, const DwShape *d, KV row, DwRow *r);

/* Channel loops: the body runs for every vector of channels, the last one masked (or for every channel). */
typedef void ChannelBody(void *ctx, KFn *k, KV channel, KV mask);
void each_channel(KFn *k, KV channel0, int64_t channels, bool vec, ChannelBody *body, void *ctx);
/* Channels that are worked on together, all rows of a task long, before the next ones: as many as let the second-level cache
 * hold, of all rows that a row and its successor share, these channels. It divides the number of channels. */
int64_t dw_slice(const DwShape *d);
/* Begins the loop over slices, if there are several; sets channel0 to the first channel. dw_slices_end closes it. */
void dw_slices(KFn *k, const DwShape *d, KV *channel0);
void dw_slices_end(KFn *k, const DwShape *d);
/* Tiles of `tile` pixels from lo to hi: `fits` says whether a tile at a compile-time place needs no border
 * checks; such tiles become one loop. body(base, at): `base` is the place as a value, `at` the same at
 * compile time or -1 in the loop. */
typedef void TileBody(void *ctx, KFn *k, KV base, int64_t at, int count);
void each_tile(KFn *k, int64_t lo, int64_t hi, int tile, bool (*fits)(const DwShape *, int64_t at, int count),
               const DwShape *d, TileBody *body, void *ctx);
#endif
