/* module.h - the parts of codegen_run: emitted functions with their places in memory, object code, tables,
 * linking. */
#ifndef NETC_MODULE_H
#define NETC_MODULE_H
#include <llvm-c/Types.h>
#include "codegen/util/bytes.h"
#include "codegen/codegen.h"
#include "codegen/emit/core/emit.h"

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

/* Code that is compiled once, however many kernels it is the code of. */
typedef struct {
  const KFn *k; /* of a GPU: prepared */
  NetcIsa isa;
  Bytes text; /* kir_code */
  Hash hash;  /* of text */
  bool cached;
  Bytes object;
} Code;

/* A kernel that makes field `field` of stream `stream`. */
typedef struct {
  int stream, field, kernel;
  int64_t tasks;
} Fill;

typedef struct {
  Arena *arena;
  const Program *prog;
  const Machine *machine;
  const CodegenOptions *opt;
  int64_t *var_offset, var_bytes, arena_bytes;
  FnPlan *fn; /* one per function of the program */
  const Kernel *kernel;
  int nkernel;
  unsigned isas;
  Code *code; /* codes.c */
  int ncode, capcode;
  int *code_of[NETC_ISA_COUNT]; /* per kernel: index into code */
  Fill *fill;                   /* of a GPU */
  int nfill, capfill;
  uint64_t **param; /* of a GPU, per kernel: the words of its code's parameters */
} Module;

/* The first training function: the one whose batch the streams are. NULL when there is none. */
const FnPlan *module_training(const Module *m);

/* memory.c: stores in place or copied, lifetimes, offsets. */
void module_place_vars(Module *m);
bool plan_fn(Module *m, FnPlan *p, char err[IR_ERR]);

/* codes.c: what there is to compile. A module without bf16 is one for AVX-512; of a kernel that has no code
 * of its own for a set, that set takes the one for AVX-512. */
void module_drop_unused_set(Module *m);
NetcIsa module_kernel_set(const Module *m, int kernel, int isa);
void module_codes(Module *m);
void module_free_codes(Module *m);
const char *code_symbol(char out[64], const Code *c);

/* compile.c: object code for all of it, or PTX texts ended by a 0, in parallel. */
bool compile_codes(Module *m, char err[IR_ERR]);

/* device_batch.c: kernels that take batches from images on the device, for the streams that can have them.
 * After all functions are emitted; their kernels join the module's. */
bool emit_fills(Module *m, char err[IR_ERR]);

/* ptx_texts.c: PTX of several codes as one text each, for a driver to compile side by side. */
typedef struct {
  int n;
  Bytes *text; /* ended by a 0 */
  NetcSm *family;
  Bytes *newest; /* the same codes for sm_90a, where they have such a form; else empty */
  int *of;       /* per code */
} DeviceTexts;
DeviceTexts device_texts(const Module *m);
void device_texts_free(DeviceTexts *t);

/* tables.c: the module's tables and its query function as one more object file; device: NULL or what a GPU
 * runs. */
bool compile_tables(const Module *m, const Module *device, Bytes *object, char err[IR_ERR]);

/* link.c: the objects, in this order, to the shared object opt->output. */
bool link_module(const Bytes *const *object, int n, const CodegenOptions *opt, char err[IR_ERR]);

/* describe.c: --emit=kernels, --emit=plan; explain.c: --explain */
void describe_kernels(const Module *m);
void describe_plan(const Module *m);
void describe_costs(const Module *m);
#endif
