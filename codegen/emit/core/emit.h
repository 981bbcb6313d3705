/* emit.h - graph groups to kernels. Each group (passes/fuse/fuse.h) becomes one or more launches; a launch is a kernel
 * with its buffers. Emitters write KIR once per lane count. Memory is planned after this, over the launches.
 */
#ifndef NETC_EMIT_H
#define NETC_EMIT_H
#include "passes/fuse/fuse.h"
#include "passes/graph/order.h"
#include "passes/memory/storage.h"
#include "codegen/kir/kir.h"
#include "codegen/emit/core/machine.h"

/* A buffer: a materialised graph value, or workspace between the launches of one group. */
typedef struct {
  int node;  /* owning node (Storage.owner), or -1 for workspace */
  bool bf16; /* workspace of bf16 */
  int64_t bytes;
} Buffer;

/* A kernel for every set of the machine: k[i] has the lanes of set i (8, 16, 16 on the host). Identical ones are merged by the module. Where
 * k[NETC_ISA_AVX512_BF16] is NULL the one for AVX-512 serves: build_end drops what has no use for that set. */
typedef struct {
  const char *name; /* descriptor with shapes */
  const char *op;   /* kind, see NetcKernel */
  KFn *k[NETC_ISA_COUNT];
  uint64_t hash[NETC_ISA_COUNT];          /* kir_hash of each, set by build_end */
  int64_t flops, bytes, work, pair_flops; /* see NetcKernel; work < 0 until build_end: the same as flops */
} Kernel;

typedef struct {
  int kernel;
  int node; /* the node it is for: anchor or first result of its group, else its first buffer's; -1 = none */
  int64_t tasks;
  int nargs;
  int arg[NETC_MAX_ARGS]; /* buffers, in the order of the kernel's arguments */
  uint64_t writes;        /* bit i: argument i is written (outputs and workspace) */
  int may_alias
      [NETC_MAX_ARGS]; /* for a written argument i: index of a read argument whose memory it may take over, because
                                 every element is read before, and only by the task that, writes that element; -1 = none */
} Launch;

typedef struct Emit {
  Arena *arena;
  Arena *
      code; /* of the kernels; one that is like an earlier one gives its memory back. Shared as the list is */
  int64_t stream_from; /* bytes from which on a value is too large for the caches to keep */
  int building;        /* kernels begun and not ended */
  const Fn *fn;
  const Machine *machine;
  Storage *storage; /* per node: where it lies */
  Buffer *buffer;
  int nbuffer, capbuffer;
  int *node_buffer; /* per node: its buffer, -1 = none yet */
  Kernel *kernel;
  int nkernel, capkernel; /* shared by all functions of the module: see emit_new */
  Launch *launch;
  int nlaunch, caplaunch;
  uint8_t *mark; /* per node: scratch of whoever is emitting */
  char err[256];
} Emit;

/* An Emit without launches whose kernel list starts as that of `share` (NULL: empty), for the machine of `share` (NULL: the
 * host). launch.c */
Emit *emit_new(Arena *a, const Fn *f, const Emit *share);
/* Emit all groups of f, appending to the kernels of `share` (NULL: a fresh list): afterwards the list of `share` and
 * that of the result are the same. NULL and a message on failure. */
Emit *emit_fn(Arena *a, const Fn *f, Emit *share, char err[256]);
/* The same for a machine, which is that of `share`. */
Emit *emit_fn_on(const Machine *machine, Arena *a, const Fn *f, Emit *share, char err[256]);

/* ---- for emitters ---- */
int emit_buffer(Emit *e, int node);                 /* buffer of a materialised value: that of its owner */
int emit_workspace(Emit *e, int64_t bytes);         /* elements are f32 for the kernel */
int emit_bf16_workspace(Emit *e, int64_t elements); /* bf16 */
/* Begin a launch: kernel arguments are declared in order with emit_arg, for every instruction set the same. */
typedef struct {
  Emit *e;
  const GroupInfo *g;
  Launch launch;
  Kernel kernel;
  bool stream;
  ArenaMark before; /* of Emit.code, */
  int kernels;      /* and Emit.nkernel, when its first kernel was begun */
} Build;
/* The name is the descriptor; a hash of the code is appended when it ends in ':' or when other code has that name. */
Build build_begin(Emit *e, const GroupInfo *g, const char *op, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Declares buffer `buf` as an argument, the next one if it is none yet; returns its number. A launch may read one value
 * and write another that lie in the same buffer. */
int build_arg(Build *b, int buf, bool written);
/* Number of the argument that is buffer `buf`, -1 = none. */
int build_find_arg(const Build *b, int buf);
/* Registers the kernel (merging it with an equal one) and appends the launch. */
void build_end(Build *b, int64_t tasks);
/* What the launch writes, it writes once, by whole vectors where it can: values too large for the caches go past them. Before
 * build_kernel. */
void build_nontemporal(Build *b);
/* Emission runs once per set that is wanted (Machine.kernels), of those that may have code of their own for this launch
 * (with bf16 among its arguments, or operands to be rounded, all of them):
 *   EACH_ISA(isa, &b) { KFn *k = build_kernel(&b, isa); .. }
 * build_set: the first one from `from` on. build_kernel declares the arguments in k: argument i is KV i (k_arg was
 * called for each). */
#define EACH_ISA(isa, b) for (int isa = build_set(b, 0); isa < NETC_ISA_COUNT; isa = build_set(b, isa + 1))
int build_set(const Build *b, int from);
KFn *build_kernel(Build *b, int isa);
/* The same launch's kernel for GPUs of compute capability 9.0 (KFn.sm90), after that for all. */
KFn *build_sm90(Build *b);

/* One emitter per group kind; each appends its launches to e. false with e->err set on failure. Of those of
 * codegen/emit/choose.c every algorithm has an emitter of its own, in its folder. */
bool emit_map(Emit *e, const GroupInfo *g);       /* G_MAP: codegen/emit/map/map.c */
bool emit_conv(Emit *e, const GroupInfo *g);      /* G_CONV: codegen/emit/choose.c */
bool emit_wgrad(Emit *e, const GroupInfo *g);     /* G_WGRAD, both plain and DyBAC: codegen/emit/choose.c */
bool emit_depthwise(Emit *e, const GroupInfo *g); /* G_DEPTHWISE: codegen/emit/depthwise/depthwise.c */
bool emit_depthwise_wgrad(Emit *e,
                          const GroupInfo *g); /* G_DEPTHWISE_WGRAD: codegen/emit/depthwise/wgrad.c */
bool emit_dybac(Emit *e, const GroupInfo *g);  /* G_DYBAC: codegen/emit/choose.c */
bool emit_matmul(Emit *e, const GroupInfo *g); /* G_MATMUL: codegen/emit/matmul.c */
bool emit_move(Emit *e, const GroupInfo *g);   /* G_MOVE: codegen/emit/move/move.c */

/* ---- expressions (expr.c): elementwise nodes of a group at one place of the domain ---- */
/* A place in a channels-last (or weight-order, or flat) domain: `lanes` neighbours along the innermost axis in memory (vec) or one
 * element. coord[axis] is the i64 coordinate of each logical axis (of lane 0 for the vector axis). */
typedef struct {
  bool vec;
  int vec_axis; /* logical axis the lanes run along (the innermost of the order) */
  KV mask;      /* K_NONE: all lanes valid */
  KV coord[MAX_RANK];
  Type domain;
  const uint8_t *order;
} Coord;
typedef struct Expr Expr;
/* `given`: the group's anchor, whose value the caller has computed (a KV at this place), or -1. */
Expr *expr_new(Emit *e, const GroupInfo *g, Build *b, KFn *k);
void expr_at(Expr *x, const Coord *p);   /* forget values, go to a place */
void expr_give(Expr *x, int node, KV v); /* value of a node at this place is already known */
KV expr_value(Expr *x,
              int node); /* computes node here: loads operands that are arguments, recurses into the group */
void expr_store(Expr *x, int node, KV v); /* stores a materialised node at this place */
/* Epilogue of contractions: anchor's value v at this place -> every materialised result of the group is stored. */
void expr_epilogue(Expr *x, const GroupInfo *g, KV v);
/* Prefetches what the group reads at this place of arrays that are as large as its result, and too large for the caches. */
void expr_prefetch(const Expr *x, const GroupInfo *g);
#endif
