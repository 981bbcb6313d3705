/* wgrad.h - what the files of the weight gradients share: a box of pixels, its operands in panels, and the
 * recomputed input of DyBAC's pointwise weight gradient: x = dwconv(x0 [* s(N,1,S)], w(N,C,K)). */
#ifndef NETC_WGRAD_H
#define NETC_WGRAD_H
#include "codegen/emit/conv/geometry.h"

enum { MAX_AXES = MAX_SPATIAL + 1 };

/* ---- view.c: an operand in memory ----
 * Pixel i lies at the sum of i[a] * step[a]; its channels in runs of `run` neighbours each. Run number r of a pixel lies further on by
 * what its digits say, of base taps[] and worth tap_step[], the last one changing fastest. Usually there is one run. */
typedef struct {
  int naxes, naxes_taps;
  int64_t step[MAX_AXES], run;
  int64_t taps[MAX_SPATIAL], tap_step[MAX_SPATIAL];
} WgradView;
WgradView view_of(int naxes, const int64_t *extent, int64_t channels); /* one after the other */
/* Is x met at most once, window by window? */
bool windows_apart(const ConvShape *s);
/* x of such a convolution; makes it a pointwise one of the windows, with as many channels as one has taps times channels. */
WgradView view_windows(ConvShape *s);
int64_t view_runs(const WgradView *v, int64_t channels); /* that these are: whole runs, or within one */
int64_t view_run_at(const WgradView *v, int64_t run);    /* elements from a pixel to a run of it */
KV view_channel(KFn *k, const WgradView *v, KV channel); /* .. to a channel */

/* ---- plan.c ---- */
/* Where the operands of a box are read. */
typedef enum {
  DIRECT, /* in place */
  PACKED, /* both from panels */
  TAPS, /* dy in place; x from a copy with zeros outside; a row of the tile for every tap and channel: first layers */
  COMPUTED, /* both from panels; x is a dwconv of the group */
} WgradSource;

/* For an instruction set. On the host a box of 256 pixels keeps a panel of dy and one of x in the first-level cache, all of
 * the packed x in half of a small second-level one. Axes: n, then the spatial ones. With TAPS the convolution is one of a single tap
 * with as many channels as x has taps times channels. */
typedef struct {
  const Machine *machine;
  ConvShape s;
  WgradSource source;
  bool pairs; /* panels hold pairs of pixels */
  int naxes;
  int64_t cin;
  int64_t extent[MAX_AXES], in[MAX_AXES], k[MAX_AXES], stride[MAX_AXES], pad[MAX_AXES];
  int64_t pixels;                               /* that a box should have; */
  bool thin;                                    /* and any slice, however thin */
  int64_t box[MAX_AXES], span[MAX_AXES], boxes; /* span: pixels of x that a box meets; of pairs: entries */
  WgradView x;                   /* unless TAPS or COMPUTED; with windows apart s is the pointwise one */
  int64_t slice_cin, slices_cin; /* channels of x of a task: whole runs of x, or parts of one */
  int64_t run_cin; /* of which tiles are cut: all of a slice, or a run where x is read in place */
  ConvBlock b;     /* b.pixels: channels of x in a tile */
  int64_t slices_cout, slice_blocks, parts;
  bool pointwise; /* of stride 1: pixels of both are the same */
  bool prefetch;  /* ask for the next box meanwhile */
  bool merged;    /* panels of both have the same pixels, one after the other: no rows */
} WgradPlan;
/* `recompute`: x is a dwconv of the group; macs: multiply-adds of the whole. */
WgradPlan wgrad_plan(const Machine *m, const ConvShape *s, bool recompute, int64_t macs, int isa);

/* The pixels lo <= i < hi of the result, axes n and then the spatial ones. */
typedef struct {
  int naxes;
  KV lo[MAX_AXES], hi[MAX_AXES];
} WgradBox;

/* Pixels of a box with their channels cut into panels of `width`: z[panel][pixel][width], a pixel's number is
 * row-major in `extent`. All of a panel's pixels are neighbours, so however many channels the tensor has, walking
 * over pixels meets every set of the cache and every byte of a line. `size`: elements from a panel to the next,
 * an odd number of lines, so that the panels that a pixel is written to do not share a set either. */
typedef struct {
  int naxes;
  int64_t extent[MAX_AXES], channels, width, panels, size;
  bool round; /* what is computed into them is rounded to bf16 */
  KV z;
} Panels;

Panels panels_of(int naxes, const int64_t *extent, int64_t channels, int64_t width, int lanes);
int64_t panels_elements(const Panels *p);
/* What takes one run of a pixel's channels: all of the panels, or a piece of the only one. */
Panels panels_of_run(const Panels *p, const WgradView *v);
KV box_pixels(KFn *k, const WgradBox *box);
/* What a task of the plan packs: its slice of x; `channels` of dy, of width those of a block at most. */
Panels wgrad_x_panels(const WgradPlan *p, int lanes);
Panels wgrad_dy_panels(const WgradPlan *p, int64_t channels, int64_t width, int lanes);
int64_t dw_block_width(const WgradPlan *p);
/* Copies channels channel0 .. of the pixels first <= i < end (per axis) of x, which lies as view v says. A pixel goes to place
 * i - first of p->extent, or, `merged`, of the extents end - first. Several runs of channels need a single panel. */
void panels_fill(KFn *k, const Panels *p, KV x, const WgradView *v, KV channel0, const KV *first,
                 const KV *end, bool merged);

/* ---- taps.c: pixels of x that the taps of a box reach, zeros outside of x: z[extent][cin] ---- */
typedef struct {
  int naxes;
  int64_t extent[MAX_AXES], cin, elements;
  KV z;
} WgradTaps;
WgradTaps wgrad_taps_of(const ConvShape *s, const int64_t *box, int lanes);
/* From the element that the first tap of channel 0 meets to that of row number `row`, tap * cin + channel. */
int64_t wgrad_taps_row(const WgradTaps *t, const ConvShape *s, int64_t row);
void wgrad_taps_fill(KFn *k, const WgradTaps *t, KV x, const ConvShape *s, const WgradBox *box);

/* ---- pairs.c: panels of i32 whose entries along a row are pairs of pixels: entry i holds the pixels start + step * i
 * and `apart` further; zeros where they are not among first <= . < end. */
typedef struct {
  KV start, entries; /* start <= first */
  int64_t step, apart;
} WgradPairs;
/* As panels_fill, with the places along the last axis being entries. */
void panels_fill_pairs(KFn *k, const Panels *p, KV x, const WgradView *v, KV channel0, const KV *first,
                       const KV *end, const WgradPairs *r, bool merged);

/* ---- ahead.c: asks for the next box ----
 * An operand of it: `channels` channels of a box of `extent` pixels from `first` on; lines of the cache are numbered over pixels, their
 * runs of channels and the channels of each run. */
typedef struct {
  KV x, base; /* buffer; element where the box starts */
  int naxes;  /* of pixels, and of runs of channels */
  int64_t extent[MAX_AXES + MAX_SPATIAL], step[MAX_AXES + MAX_SPATIAL];
  int64_t line, of_run, lines; /* elements of a line; lines of a run; of the box */
  int64_t each, every;         /* lines that are asked for in every so many turns */
} WgradPrefetchSide;
typedef struct {
  WgradPrefetchSide side[2];
  KV turn0[2]; /* turns before those of the tile at work: of this box; of this block of dy */
} WgradPrefetch;
/* `turns`: of the micro-kernel in a box, among which the requests are divided. */
WgradPrefetchSide wgrad_prefetch_side(KFn *k, KV x, const WgradView *v, const int64_t *extent,
                                      int64_t channels, const KV *first, KV channel0, int64_t turns);
/* A TileAsk; ctx: WgradPrefetch. */
void wgrad_prefetch(const void *ctx, KFn *k, KV turn);

enum { WGRAD_INPUT_TILE = 8 }; /* pixels that wgrad_input_box computes at once */
typedef struct {
  ConvShape s;                   /* cin: the channels; cout unused */
  int x_node, w_node, gate_node; /* gate -1: none */
  KV x, w, gate;                 /* arguments */
} WgradInput;

/* Is the first operand of the group's conv_dw a dwconv of the group? Sets e->err when it is, but of a kind
 * that is not supported: the convolution must be 1x1, of stride 1. */
bool wgrad_input_match(Emit *e, const GroupInfo *g, const ConvShape *conv, WgradInput *in);
void wgrad_input_args(Build *b, WgradInput *in);
int64_t wgrad_input_flops(const WgradInput *in);
/* Code that fills the panels (merged; width a multiple of the lanes) with the box's pixels of channels cin0 and
 * following; `pairs`: with pairs of neighbours along the row. Along the row, boxes start at multiples of WGRAD_INPUT_TILE. */
void wgrad_input_box(KFn *k, const WgradInput *in, const Panels *p, const WgradBox *box, KV cin0, bool pairs);

/* ---- direct.c ---- */
/* G_WGRAD by these loops, for every shape and machine; input: what x is recomputed from, NULL where x is there. */
bool wgrad_direct(Emit *e, const GroupInfo *g, const ConvShape *s, WgradInput *input);
#endif
