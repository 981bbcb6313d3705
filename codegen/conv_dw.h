/* conv_dw.h - the recomputed input of DyBAC's pointwise weight gradient: x = dwconv(x0 [* s(N,1,S)],
 * w(N,C,K)). */
#ifndef NETC_CONV_DW_H
#define NETC_CONV_DW_H
#include "conv_geom.h"

typedef struct {
  ConvShape s;                   /* cin: the channels; cout unused */
  int x_node, w_node, gate_node; /* gate -1: none */
  KV x, w, gate;                 /* arguments */
} DwInput;

/* Is the first operand of the group's conv_dw a dwconv of the group? Sets e->err when it is, but of a kind
 * that is not supported: the convolution must be 1x1, of stride 1. */
bool dw_input_match(Emit *e, const GroupInfo *g, const ConvShape *conv, DwInput *in);
void dw_input_args(Build *b, DwInput *in);
int64_t dw_input_flops(const DwInput *in);
/* Code that fills z[n][outer axes][row pixel][channel] (extents box, row, channels) with rows lo <= i < hi of
 * every outer axis (n first) and channels cin0 .. cin0 + channels - 1. */
void dw_input_box(KFn *k, const DwInput *in, KV z, const KV *lo, const KV *hi, const int64_t *box, KV cin0,
                  int64_t channels);
#endif
