/* eval.h - the evaluator: walks the tree and builds the graph. Everything but tensors is known while it runs.
 *
 * Errors: a failing operation reports once and yields V_POISON; whatever meets poison yields poison silently,
 * so evaluation goes on and finds further, independent errors. */
#ifndef NETC_EVAL_H
#define NETC_EVAL_H
#include "frontend/syntax/ast.h"
#include "frontend/frontend.h"
#include "ir/prepare.h"
#include "ir/validate.h"

typedef enum {
  V_POISON, /* the result of something that failed and was reported */
  V_NONE,
  V_NUM,
  V_BOOL,
  V_STR,
  V_LIST,
  V_TENSOR, /* a node of the function being built */
  V_BLOCK,  /* block definition */
  V_NET,    /* net definition */
  V_INST,   /* a network: a net with its configuration and parameters */
  V_BUILTIN,
  V_BATCH,
  V_OPT,
  V_INIT,
  V_MAP,
  V_INTENSITY,
  V_AUGMENT
} ValueKind;

typedef struct Value {
  ValueKind kind;
  union {
    double num; /* V_BOOL: 0 or 1 */
    const char *str;
    const struct List *list;
    int node;
    const Ast *def;
    struct Instance *inst;
    const struct Builtin *fn;
    const struct Batch *batch;
    const struct Optimiser *opt;
    const Init *init;
    const struct Map *map;
    const Intensity *intensity;
    const Augment *augment;
  } u;
} Value;

typedef struct List {
  int n;
  Value v[];
} List;

typedef struct {
  Value key, value;
  const Ast *at; /* NULL: written on the command line */
} Entry;
typedef struct Map {
  int n;
  Entry e[];
} Map;

typedef struct {
  const char *name;
  Value v;
} Binding;
typedef struct {
  Binding *b;
  int n, cap;
} Scope;

/* Where in a network's tree of parameters a call stands: its path and how often each name was used below it.
 */
typedef struct ParamScope {
  const char *path; /* "student.double_conv1" */
  struct Instance *inst;
  struct {
    const char *name;
    int count;
  } * used;
  int nused, capused;
} ParamScope;

/* One call of a block or net, or the body of train, predict, forward. */
typedef struct Frame {
  Scope vars;
  const char *block; /* for messages; NULL at the top level */
  const Loc *caller;
  ParamScope *place; /* NULL outside networks */
  int nograd;        /* depth of nograd { } */
  bool returned;
  Value result;
} Frame;

enum { LOSS_NONE = -1, LOSS_FAILED = -2 }; /* nothing yet; a part of it was reported as an error */

typedef enum { MODE_DEFAULT, MODE_TRAIN, MODE_EVAL } Mode;

typedef struct Instance {
  const char *name; /* NULL until assigned */
  const Ast *def;
  Binding *config; /* value of every parameter behind the ';' */
  int nconfig;
  struct Instance *average_of; /* ema(): the network followed; else NULL */
  double alpha;
  bool buffers;
  int net; /* index into Program.net, -1 before the first call */
  Mode mode;
  bool measured; /* NetInfo.macs is known */
  int updates;   /* optimiser steps in the function being built */
  bool active;   /* a call is going on: networks do not call themselves */
  struct Instance *next;
} Instance;

typedef struct Batch {
  const Stream *stream;
} Batch;

typedef struct Optimiser {
  const struct OptimiserKind *kind;
  Value lr; /* number or tensor of rank 0 */
  double momentum, decay, beta1, beta2, eps;
  bool nesterov;
} Optimiser;

enum {
  MAX_STEPS = 4000000,
  MAX_NODES = 1000000,
  MAX_LIST = 65536,
  MAX_STRING = 65536,
  MAX_DEPTH = 900,
  MAX_CALLS = 64,
  MAX_ARGS = 16
};

typedef struct Eval {
  Arena *arena;
  Diag diag;
  const FrontendOptions *opt;
  Program *prog;
  Fn *fn;         /* function being built, NULL at the top level */
  Scope globals;  /* values of the top level: options, networks */
  Scope defs;     /* blocks and nets: a namespace of their own, so that an option may be called `dybac` too */
  Frame *frame;   /* NULL at the top level */
  Mode mode;      /* what networks without a mode of their own run in */
  int *cur, ncur; /* per variable: the node with its current value in fn, -1 = not read yet */
  int loss;       /* sum of what the update being evaluated minimizes, or one of LOSS_ */
  bool in_update, want_grads;
  Instance *instances;
  bool *used; /* per -D option: an option of this name exists */
  const char *options;
  const char *include[16]; /* files being read, for circular `use` */
  int ninclude;
  const char **done;
  int ndone, capdone;          /* files read */
  const Ast *train;            /* the train block, NULL before it */
  const Ast *validate;         /* behind train: the argument of this name, NULL before it or without it */
  struct Preparation *prepare; /* the statement prepare, NULL before it */
  int64_t sites_max;
  const char *who; /* the builtin that runs, for messages */
  int depth, calls, steps;
  bool stopped; /* a limit was hit: unwind */
} Eval;

/* ---- eval.c ---- */
Value eval_expr(Eval *c, const Ast *n);
void eval_exec(Eval *c, const Ast *n);
void eval_exec_list(Eval *c, const Ast *list);
/* The map that n writes; `of` evaluates its values. */
Value eval_map(Eval *c, const Ast *n, Value (*of)(Eval *c, const Ast *n));

/* ---- state.c ---- */
const Loc *eval_loc(Eval *c, const Ast *n); /* the full location: file position, block and callers */
/* Both report an error at n: eval_error is false, eval_fail the value that silences what follows from it. */
bool eval_error(Eval *c, const Ast *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
Value eval_fail(Eval *c, const Ast *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
Value *scope_find(Scope *s, const char *name);
void scope_set(Eval *c, Scope *s, const char *name, Value v);
void eval_assign(Eval *c, const Ast *at, const char *name, Value v);
/* A value made within nograd: no gradient flows through it. */
Value stopped_value(Eval *c, const Ast *at, Value v);
bool eval_charge(Eval *c, const Ast *at, int steps); /* false once the budget is spent */

/* ---- suggest.c ---- */
const char *suggest_name(Eval *c, const char *name); /* "; did you mean `relu`?", or "" */

/* ---- value.c ---- */
Value v_num(double x);
Value v_bool(bool on);
Value v_str(const char *s);
Value v_none(void);
Value v_poison(void);
Value v_list(Eval *c, int n, const Value *v);
const char *kind_str(Value v);           /* "a number" */
const char *value_str(Eval *c, Value v); /* in the language's syntax */
bool value_equal(Eval *c, const Ast *at, Value a, Value b);
/* A shape as text for messages: [4,1,256,256]. */
Value shape_list(Eval *c, Type t);

/* ---- operators.c ---- */
Value value_unary(Eval *c, const Ast *at, Oper op, Value a);
Value value_binary(Eval *c, const Ast *at, Oper op, Value a, Value b);
Value index_value(Eval *c, const Ast *at, Value v);
bool eval_truth(Eval *c, const Ast *at, Value v, bool *ok);
/* Wraps what a builder returned: reports f->err when it is -1. */
Value eval_node(Eval *c, const Ast *at, int node);
Type value_type(Eval *c, Value v); /* of a tensor */
/* The value as an f32 node: numbers become constants of rank 0, integers are cast; -1 after reporting. */
int value_f32(Eval *c, const Ast *at, const char *what, Value v);
/* Elementwise two-operand node over tensors and numbers, with the casts that needs. */
Value eval_elementwise(Eval *c, const Ast *at, Op op, Value a, Value b);

/* ---- call.c ---- */
typedef struct {
  const char *name;
  Value v;
  const Ast *at;
} Arg;
Value eval_call(Eval *c, const Ast *n);
/* Binds arguments to parameters in `to`: defaults are evaluated there. false after reporting. */
bool bind_params(Eval *c, const Ast *at, const char *callee, const Ast *params, Arg *arg, int narg,
                 Frame *to);

/* ---- builtin tables ---- */
typedef struct Builtin {
  const char *name;
  const char
      *params; /* names; '?' behind one that may be left out, '*' first: any number of values as one list */
  bool scoped; /* owns parameters: takes name = ".." and a place in the network */
  Value (*run)(Eval *c, const Ast *at, Value *arg);
} Builtin;
extern const Builtin builtins_basic[], builtins_tensor[], builtins_layer[], builtins_train[],
    builtins_prepare[], builtins_augment[];    /* end with name NULL */
const Builtin *find_builtin(const char *name); /* builtin_table.c */

/* ---- args.c ---- */
/* Arguments of builtins: each reports at `at` and returns false when the value does not fit. */
bool arg_num(Eval *c, const Ast *at, const char *what, Value v, double *out);
bool arg_int(Eval *c, const Ast *at, const char *what, Value v, int64_t lo, int64_t hi, int64_t *out);
bool arg_bool(Eval *c, const Ast *at, const char *what, Value v, bool *out);
bool arg_str(Eval *c, const Ast *at, const char *what, Value v, const char **out);
bool arg_tensor(Eval *c, const Ast *at, const char *what, Value v, int *out); /* f32; i32 is cast */
/* x is no i32 tensor; `remedy` ends the message. For what would take class numbers for quantities. */
bool not_labels(Eval *c, const Ast *at, Value x, const char *remedy);
/* One number for all n spatial axes, or a list of n. */
bool arg_spatial(Eval *c, const Ast *at, const char *what, Value v, int n, int64_t lo, int64_t *out);
/* Stride and padding of windows over n spatial axes; without pad 0. */
bool arg_geom(Eval *c, const Ast *at, Value stride, Value pad, int n, ConvGeom *geom);
bool arg_axes(Eval *c, const Ast *at, Value v, Type t, unsigned *axes);
bool arg_axis(Eval *c, const Ast *at, Value v, Type t, int *axis);
bool arg_shape(Eval *c, const Ast *at, const char *what, Value v, DType dt, Type *out);
bool arg_given(Value v); /* the argument was given */

/* ---- network.c ---- */
Value make_instance(Eval *c, const Ast *at, const Ast *def, Arg *arg, int narg);
Value call_instance(Eval *c, const Ast *at, Instance *inst, Arg *arg, int narg);
ParamScope *param_scope_child(Eval *c, const char *callee, const char *name);
bool inst_training(const Eval *c, const Instance *inst); /* the mode a call of inst runs in now */
/* The current value of the parameter PATH.name; made at its first use. -1 after reporting. */
int net_parameter(Eval *c, const Ast *at, const ParamScope *p, const char *name, Type t, Init init,
                  Role role);
void buffer_set(Eval *c, const ParamScope *p, const char *name, int node);
int var_read(Eval *c, int var);
void var_write(Eval *c, int var, int node);
int find_or_add_var(Eval *c, Var v);
void eval_begin_fn(Eval *c, Fn *f);
void eval_end_fn(Eval *c); /* stores, when it is a training function */

/* ---- update.c ---- */
void exec_update(Eval *c, const Ast *n);
void exec_minimize(Eval *c, const Ast *n);
void eval_log(Eval *c, const Ast *n, const char *name, Value v);

/* ---- program.c ---- */
void exec_batch(Eval *c, const Ast *n);
/* Options that every file has, declared or not: what `name` may be, as text ("f32 or bf16"), or NULL when it
 * is none. */
const char *common_option(const char *name);
/* Sets one of them. *shown, where not NULL: the value as NetcModule.options shows it. false: the text is none
 * of its values. */
bool set_common_option(Program *p, const char *name, const char *text, const char **shown);
void exec_option(Eval *c, const Ast *n);
void exec_train(Eval *c, const Ast *n);
void exec_predict(Eval *c, const Ast *n);

/* ---- validate.c ---- */
/* What stands in parentheses behind the name of train. */
void exec_validation(Eval *c, const Ast *train);
/* There is something to validate, as the whole file says. */
void check_validation(Eval *c);

/* ---- prepare.c, prepare_labels.c, prepare_regions.c ---- */
void exec_prepare(Eval *c, const Ast *n);
/* What the statement prepare says against the images and classes that the rest of the file has. */
void check_prepare(Eval *c);
/* The names of its settings, by number; NULL behind the last. */
const char *prepare_setting(int i);
/* The setting `labels`. */
bool set_labels(Eval *c, const Ast *at, Value v, Prepare *p);
/* The setting `regions`, behind `labels`. */
bool set_regions(Eval *c, const Ast *at, Value v, Prepare *p);

/* ---- augment.c ---- */
Value plain_augment(Eval *c, const char *word); /* as ir/augment.def says, nothing given */
/* The argument augment of a batch, or strong: a list of augmentations; `at` is the argument. */
bool arg_augments(Eval *c, const Ast *at, Value v, bool strong, const Augment **out, int *n);
bool arg_foreground(Eval *c, const Ast *at, Value v, double *out);
/* The batch's arguments go with its fields. */
bool check_views(Eval *c, const Ast *at, const Stream *s);

/* ---- use.c ---- */
/* Reads, parses and runs the definitions and statements of a file. */
void use_file(Eval *c, const Ast *at, const char *path);
void run_source(Eval *c, const Source *src);
#endif
