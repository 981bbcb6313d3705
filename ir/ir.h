/* ir.h - the graph IR: what netc knows of a network and of its training step.
 *
 * A Program holds variables (parameters, running statistics, optimiser state) and functions. A function is a
 * list of nodes in program order; a node is one op of ops.def with one result; its id is its index, and
 * operands have smaller ids. Functions are pure: they read variables as they were at the start, and `stores`
 * say which values the variables take at the end. Order is therefore free except for data flow, and a pass
 * may drop, merge or move nodes; passes build a new node list instead of editing in place.
 *
 *   Fn *f = fn_new(prog, "double", FN_FORWARD);
 *   int x = ir_input(f, "x", type_f32(4, 1, 1, 8, 8));
 *   int y = ir_add(f, x, x);              // shape inferred; -1 and an error in f->err if the shapes disagree
 *   fn_output(f, "y", y);
 *
 * Text form: ir_print() writes what ir_parse() reads (docs/ir.md). */
#ifndef NETC_IR_H
#define NETC_IR_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "ir/augment.h"
#include "ir/err.h"
#include "ir/mem.h"

enum { MAX_RANK = 6, MAX_IN = 8, MAX_SPATIAL = 3 };

/* BF16 says how a value is stored: the op's f32 result is rounded to the nearest bf16 (ties to even), and
 * that is what every reader sees, widened to f32 again. Arithmetic is f32 throughout. Pass `precision` alone
 * makes such nodes. */
typedef enum { F32, I32, BF16 } DType;

/* A shape and element type. Rank 0 is a scalar. Extents are >= 1. */
typedef struct {
  DType dt;
  int rank;
  int64_t dim[MAX_RANK];
} Type;

typedef enum {
#define OP(name, ...) OP_##name,
#include "ir/ops.def"
  OP_COUNT
} Op;

typedef enum { LEAF, EW, RED, COMP, CON, MOVE, META } OpClass;

/* Which fields of Attrs an op uses. */
enum {
  A_VALUE = 1,
  A_SYM = 2,
  A_AXIS = 4,
  A_AXES = 8,
  A_STRIDE = 16,
  A_PAD = 32,
  A_SIZE = 64,
  A_RANGE = 128,
  A_MODE = 256,
  A_SITE = 512,
  A_BF16 = 1024
};

/* How the windows of a convolution or a pool lie on an image: window i begins at element stride*i - pad. One
 * entry per spatial axis, zero beyond. All that concerns windows is handed this struct whole, from the
 * language to the kernels. Dilation and groups belong here, too; need_windows() in shape.c is where what no
 * kernel can do is refused. */
typedef struct {
  int64_t stride[MAX_SPATIAL], pad[MAX_SPATIAL];
} ConvGeom;
extern const ConvGeom geom_unit; /* stride 1, no padding; along every axis */
/* One tap (k: taps along n axes), stride 1, no padding: a pixel is made of the one in the same place. */
bool geom_is_pointwise(const ConvGeom *g, const int64_t *k, int n);

/* Attributes of a node; fields an op does not use are zero. Spatial lists have one entry per spatial axis. */
typedef struct {
  double value;
  const char *sym;
  int axis;
  unsigned axes; /* bit i: axis i */
  ConvGeom geom; /* upsample and sumpool use its strides alone: the factors */
  int64_t size[MAX_SPATIAL];
  int64_t lo, hi;
  int mode;
  int64_t site;
  int bf16; /* contractions: 1 = operands are rounded to bf16 first; pass `precision` decides it */
} Attrs;

/* Where a node comes from: a place in a .net file, and the call that led there (the chain of blocks). */
typedef struct Loc {
  const char *file;
  int line, col;
  const char *block;        /* name of the block or net this place lies in, or NULL */
  const struct Loc *caller; /* place that called that block, or NULL */
} Loc;

typedef struct {
  Op op;
  Type type;
  int nin;
  int in[MAX_IN];
  Attrs at;
  const Loc *loc; /* may be NULL */
  uint8_t order
      [MAX_RANK]; /* memory order of the axes, outermost first; pass `layout` sets it, until then 0,1,2.. */
  int group;      /* kernel this node belongs to, set by pass `fuse`; -1 = none */
} Node;

/* How a variable starts. The value of element i (row-major) depends on (seed, variable's name, i) only. */
typedef enum { INIT_CONST, INIT_UNIFORM, INIT_NORMAL, INIT_COPY } InitKind;
typedef struct {
  InitKind kind;
  double a, b;      /* CONST: value a. UNIFORM: [a,b). NORMAL: mean a, standard deviation b */
  const char *from; /* COPY: the variable copied after all others are set (EMA networks) */
} Init;

typedef enum {
  ROLE_PARAM,
  ROLE_BUFFER,
  ROLE_EMA,
  ROLE_OPTIM
} Role; /* learnt; running statistics; averaged copy; optimiser state */

typedef struct {
  const char *name; /* path with dots, the key in checkpoints: student.down1.conv1.weight */
  Type type;
  Init init;
  Role role;
  int net; /* index into Program.net, -1 = none */
  uint8_t order[MAX_RANK];
} Var;

typedef struct {
  const char *name;
  int64_t macs; /* multiply-adds of one forward pass of one sample; 0 = never called */
} NetInfo;

/* A batch the host feeds: fields named STREAM.FIELD are inputs of the training function. */
typedef enum {
#define FIELD(name, word, type, element, content, maker, draw) FIELD_##name,
#include "ir/fields.def"
#undef FIELD
  FIELD_KINDS
} FieldKind;
typedef struct {
  const char *word, *type; /* in the text form; in the language */
  DType element;
  bool mask;      /* made of the image's mask: one channel, or */
  bool regions;   /* a channel for each region that `prepare` names */
  bool by_device; /* a device can make it */
} FieldInfo;
extern const FieldInfo field_info[FIELD_KINDS]; /* fields.def */
typedef struct {
  const char *name;
  FieldKind kind;
  Type type; /* IMAGE, STRONG f32 (N,C,S); LABEL i32 (N,1,S); SDF f32 (N,1,S), a signed distance map;
                REGIONS f32 (N,R,S) */
} Field;
typedef enum { SRC_LABELED, SRC_UNLABELED, SRC_ALL } StreamSource;
typedef struct {
  const char *name;
  StreamSource source;
  const Augment *augment; /* of all fields; naugment of them */
  const Augment *strong;  /* of fields of kind STRONG, behind those; nstrong of them */
  int naugment, nstrong;
  double foreground; /* fraction of the samples that is taken around foreground */
  int nfield;
  Field field[4];
} Stream;

typedef enum { FN_TRAIN, FN_PREDICT, FN_FORWARD } FnKind;

typedef struct {
  int var, node;
} Store; /* variable takes node's value at the end */
typedef struct {
  const char *name;
  int node;
} Output; /* result of the function; in a training function: a value to log */

/* A kernel-to-be: nodes with the same `group`. Pass `fuse` fills the list (passes/fuse/fuse.h says what kinds
 * mean). */
typedef struct {
  int kind;
  int anchor;
} Group;

typedef struct Program Program;
typedef struct Fn {
  const char *name;
  FnKind kind;
  Program *prog;
  Node *node;
  int n, cap;
  Store *store;
  int nstore, capstore;
  Output *out;
  int nout, capout;
  Group *group;
  int ngroup, capgroup;
  const Loc *loc;   /* given to nodes built from here on */
  char err[IR_ERR]; /* message of the last failed build */
} Fn;

struct Program {
  Arena *arena;
  const char *source; /* path of the .net file */
  Var *var;
  int nvar, capvar;
  int *var_slot; /* variables by hash of their names: number + 1, 0 = free; at least half are free */
  size_t var_slots;
  NetInfo *net;
  int nnet, capnet;
  Stream *stream;
  int nstream, capstream;
  Fn **fn;
  int nfn, capfn;
  DType storage; /* of large activations and their gradients: F32, or BF16 (pass `precision`) */
  bool winograd; /* convolutions may take Winograd's way, where it is faster; true unless said otherwise */
  /* contractions of f32 may multiply tf32, on machines that are fast at that; true unless said otherwise */
  bool tf32;
  int64_t classes;                     /* of the labels; 0 = unknown */
  int64_t epoch_iterations;            /* 0: the length of the labelled set */
  int64_t max_iterations;              /* default of netrun train */
  int64_t sites;                       /* random sites handed out so far */
  const struct Prepare *prepare;       /* how images become arrays (prepare.h); NULL: the file does not say */
  const struct Validation *validation; /* how runs validate (validate.h); NULL: the file does not say */
};

/* ---- op table (ir.c) ---- */
typedef struct {
  const char *name;
  int min_in, max_in;
  unsigned attrs;
  OpClass cls;
  int cost; /* arithmetic per element, in additions */
  const char *form, *meaning;
} OpInfo;
extern const OpInfo op_info[OP_COUNT];
int op_by_name(const char *name);   /* -1 = no such op */
void ops_print_markdown(FILE *out); /* docs/ops.md (opdoc.c) */

/* ---- types (ir.c) ---- */
Type type_f32(int rank, ...); /* extents as int */
Type type_i32(int rank, ...);
Type type_scalar(void);     /* f32 of rank 0 */
int64_t type_count(Type t); /* number of elements */
int64_t type_bytes(Type t);
Type type_widened(Type t); /* what arithmetic sees: BF16 becomes F32 */
bool type_eq(Type a, Type b);
bool shape_eq(Type a, Type b);
bool type_valid(Type t);                    /* rank and extents in range, at most 2^40 elements */
const char *type_str(Type t, char buf[96]); /* f32[4,1,256,256] */

/* ---- programs and functions (ir.c) ---- */
Program *prog_new(Arena *a);
int prog_var(Program *p, Var v);                       /* index; names are unique, a second one returns -1 */
int prog_find_var(const Program *p, const char *name); /* -1 = none */
int prog_net(Program *p, const char *name);            /* finds or adds */
Fn *fn_new(Program *p, const char *name, FnKind kind);
Fn *prog_find_fn(const Program *p, const char *name);
void fn_store(Fn *f, int var, int node);
void fn_output(Fn *f, const char *name, int node);
Fn *fn_like(const Fn *f); /* empty function of the same name, kind and program, for a rewriting pass */
bool node_is_pointwise(const Fn *f, const Node *n); /* n is a convolution or an adjoint of one */
/* Multiply-adds of node n (contractions only, else 0). */
int64_t node_macs(const Fn *f, const Node *n);
/* Those of them that do not multiply padding. */
int64_t node_macs_inside(const Fn *f, const Node *n);

/* ---- building (build.c): each appends a node and returns its id, or -1 with f->err set ---- */
/* The general form: shape inferred; `type` is needed by ops whose shape rule is `given`, cast, reshape,
 * broadcast. */
int ir_node(Fn *f, Op op, int nin, const int *in, const Attrs *at, const Type *type);
/* Append a copy of node `n` (with attributes, loc, order, type) whose operands are given. */
int ir_clone(Fn *f, const Node *n, const int *in);

int ir_const(Fn *f, double v);
int ir_splat(Fn *f, double v, Type t);
int ir_var(Fn *f, int var);
int ir_input(Fn *f, const char *name, Type t); /* the same name again gives the same node */
int ir_iota(Fn *f, int axis, Type t);
int ir_rand(Fn *f, int mode, int64_t site, Type t);
int ir_unary(Fn *f, Op op, int x);
int ir_binary(Fn *f, Op op, int a, int b);
int ir_add(Fn *f, int a, int b);
int ir_sub(Fn *f, int a, int b);
int ir_mul(Fn *f, int a, int b);
int ir_div(Fn *f, int a, int b);
int ir_scale(Fn *f, int x, double k); /* x * k */
int ir_select(Fn *f, int m, int a, int b);
int ir_leaky(Fn *f, int x, double slope);
int ir_powc(Fn *f, int x, double e);
int ir_cast(Fn *f, int x, DType dt);
int ir_sum(Fn *f, int x, unsigned axes);
int ir_reduce(Fn *f, Op op, int x, unsigned axes);
int ir_argreduce(Fn *f, Op op, int x, int axis);
int ir_softmax(Fn *f, Op op, int x, int axis); /* OP_softmax or OP_log_softmax */
int ir_batchnorm(Fn *f, int x, int gamma, int beta, int mean, int var, double eps);
int ir_conv(Fn *f, int x, int w, const ConvGeom *geom);
/* conv_dx, conv_dw and the dwconv_ ones; size: one entry per spatial axis */
int ir_conv_grad(Fn *f, Op op, int a, int b, const ConvGeom *geom, const int64_t *size);
int ir_dwconv(Fn *f, int x, int w, const ConvGeom *geom);
int ir_matmul(Fn *f, int a, int b, bool trans_a);
int ir_inner(Fn *f, int a, int b);
int ir_reshape(Fn *f, int x, Type t);
int ir_broadcast(Fn *f, int x, Type t);
int ir_concat(Fn *f, int n, const int *x, int axis);
int ir_slice(Fn *f, int x, int axis, int64_t lo, int64_t hi);
int ir_pad(Fn *f, int x, int axis, int64_t lo, int64_t hi);
int ir_upsample(Fn *f, int x, const int64_t *factor);
int ir_sumpool(Fn *f, int x, const int64_t *factor);
int ir_maxpool(Fn *f, int x, const int64_t *size, const ConvGeom *geom);
int ir_maxpool_dx(Fn *f, int x, int dy, const Attrs *at);
int ir_resize(Fn *f, Op op, int x, const int64_t *size, int mode); /* OP_resize or OP_resize_dx */
int ir_orient(Fn *f, int x, int code, int mode);
int ir_grad(Fn *f, int loss, int w);
/* Conveniences built from the above. */
int ir_mean(Fn *f, int x, unsigned axes);
/* v(C) or (N,C) with one number per channel, or per sample and channel, in a shape that broadcasts to x's. */
int ir_per_channel(Fn *f, int v, int x);
int ir_sum_to(Fn *f, int x, Type t); /* adjoint of broadcasting: sums x down to shape t */
unsigned all_axes(Type t);
unsigned spatial_axes(Type t); /* axes 2.. */

/* ---- shape rules (shape.c) ---- */
/* Fill *out for the op applied to operands of types in[]; `given` is the wanted type where the rule needs
 * one. On failure false, and a sentence with both shapes in err. */
bool infer_type(Op op, int nin, const Type *in, const Attrs *at, const Type *given, Type *out,
                char err[IR_ERR]);

/* ---- text (print.c, parse.c) ---- */
void ir_print(FILE *out, const Program *p);
void fn_print(FILE *out, const Fn *f);
/* NULL and a message "LINE:COL: ..." in err when the text is wrong. Never crashes on any input. */
Program *ir_parse(Arena *a, const char *text, char err[IR_ERR]);

/* ---- verifier (verify.c): operands defined before use, arity, types as inferred, stores of the variable's
 * type, names known. false and a message naming function and node. ---- */
bool ir_verify(const Program *p, char err[IR_ERR]);
bool fn_verify(const Fn *f, char err[IR_ERR]);

#endif
