/* module.h - the parts of codegen_run: emitted functions with their places in memory, object code, tables,
 * linking. */
#ifndef NETC_MODULE_H
#define NETC_MODULE_H
#include <llvm-c/Types.h>
#include "codegen.h"
#include "emit.h"

/* An argument of a function. A batch field that the function does not read is one too: the host fills it. */
typedef struct {
  const char *name;
  Type type;
  const uint8_t *order;
  int buffer;
} Input;

/* A function, emitted and placed. Offsets are bytes from the start of the arena. */
typedef struct {
  const Fn *fn;
  Emit *e;
  int64_t *offset;   /* per buffer of e */
  bool *fixed;       /* per buffer: lies among the variables */
  int *first, *last; /* per buffer: launches; last == nlaunch: until the end; first > last: never used */
  Input *input;
  int ninput, capinput;
  int *output;         /* buffer of every output */
  int64_t temporaries; /* bytes behind the variables */
  int64_t lower_bound; /* no plan of these lifetimes needs less */
  int64_t scratch;     /* bytes on the stack of each thread, at most */
} FnPlan;

typedef struct {
  Arena *arena;
  const Program *prog;
  const CodegenOptions *opt;
  int64_t *var_offset, var_bytes, arena_bytes;
  FnPlan *fn; /* one per function of the program */
  const Kernel *kernel;
  int nkernel;
  unsigned isas;
} Module;

/* memory.c: stores in place or copied, lifetimes, offsets. */
void module_place_vars(Module *m);
bool plan_fn(Module *m, FnPlan *p, char err[512]);

/* object.c: all kernels for all sets, in parallel. Object files DIR/0.o, 1.o ..; *nobjects how many. */
bool compile_kernels(const Module *m, const char *dir, int *nobjects, char err[512]);
const char *kernel_symbol(char out[48], int kernel, int isa);

/* tables.c: the module's tables and its query function as one more object file. */
bool compile_tables(const Module *m, const char *path, char err[512]);

/* link.c */
bool link_module(const char *dir, int nobjects, const char *output, char err[512]);
bool temporary_dir(char out[256], char err[512]);
void remove_dir(const char *dir, int nobjects);

/* describe.c: --emit=kernels, --emit=plan; explain.c: --explain */
void describe_kernels(const Module *m);
void describe_plan(const Module *m);
void describe_costs(const Module *m);
#endif
