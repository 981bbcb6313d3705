/* kir.h - the kernel level: between the graph and LLVM. A kernel is a structured program over scalars and vectors of
 * `lanes` elements: loops, loads, stores, arithmetic, the number of the block it works for (`task`) and of the
 * thread within it, block-private scratch and barriers. It knows neither registers nor instruction sets, so that one
 * description serves host vector code and, later, PTX and the emulation of threads on the host.
 *
 * Values are SSA ids (KV); what changes lives in `local`s. The builder folds constants and x+0, x*1, x*0 (integers),
 * so emitters can write plain index arithmetic.
 *
 *   KFn *k = k_new(arena, "scale", 16);
 *   KV x = k_arg(k, K_F32, "x"), y = k_arg(k, K_F32, "y");        // in order: argument 0, 1, ..
 *   KV base = k_mul(k, k_task(k), k_i64(k, 4096));
 *   KV i = k_for(k, k_i64(k, 0), k_i64(k, 4096), 16);
 *     KV at = k_add(k, base, i);
 *     k_store(k, y, at, k_mul(k, k_load(k, x, at, true), k_splat(k, k_f32(k, 2))));
 *   k_end(k);
 *
 * A binary operation between a vector and a scalar splats the scalar.
 */
#ifndef NETC_KIR_H
#define NETC_KIR_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "ir/err.h"
#include "ir/mem.h"

enum { KIR_MAX_SCRATCH = 2 << 20 };

/* K_BF16 is what a buffer holds, never a value: a load widens it to f32, a store rounds an f32 to the nearest (ties to
 * even; NaN stays NaN). */
typedef enum { K_I1, K_I32, K_I64, K_F32, K_F64, K_VOID, K_BF16 } KBase;
typedef struct {
  uint8_t base;
  uint8_t vec;  /* 1: vector of the kernel's lanes */
  uint8_t kind; /* 0 value, 1 buffer (arg, scratch), 2 local, 3 registers (regs) */
} KType;

typedef enum {
#define KOP(name, ...) K_##name,
#include "codegen/kir/kir.def"
  K_OP_COUNT
} KOp;

typedef int KV;
enum { K_NONE = -1 };

typedef struct {
  KOp op;
  KType type;
  KV in[4];
  int64_t imm;
  double fimm;
  const char *name; /* arg, local, scratch: for the printer */
} KIns;

typedef struct KFn {
  Arena *arena;
  const char *name;
  int lanes; /* 8 or 16 floats; 32: threads of a warp */
  int nregs; /* vector registers of the target: 32 or 16; emitters size their tiles by it */
  int warps; /* threads of a block, each of `lanes`: 1 but for kernels with barriers */
  /* Where lanes are threads: may_alias[i] is the argument that argument i may lie over, element over element, -1 = none (as
   * Launch.may_alias); NULL: any may lie over any. */
  const int *may_alias;
  KIns *ins;
  int n, cap; /* program order; a KV is an index */
  int nargs;
  int nparams; /* words a launch hands over behind its arguments */
  /* Where lanes are threads: the same for GPUs of compute capability 9.0: arguments, tasks and results are equal; NULL: none. */
  struct KFn *sm90;
  uint64_t nontemporal; /* bit i: argument i is larger than the caches and written once (k_nontemporal) */
  bool opaque;          /* LLVM does not see what counters of loops are (k_opaque_counters) */
  char err[IR_ERR];     /* first misuse of the builder */
} KFn;

KFn *k_new(Arena *a, const char *name, int lanes);
KV k_i64(KFn *k, int64_t v);
KV k_i32(KFn *k, int32_t v);
KV k_f32(KFn *k, double v);
KV k_f64(KFn *k, double v);
KV k_arg(KFn *k, KBase base, const char *name);
KV k_task(KFn *k);
KV k_thread(KFn *k);
KV k_seed(KFn *k, int which);               /* 0 seed low, 1 seed high, 2 iteration low: i32 */
KV k_param(KFn *k, KBase base, int number); /* a scalar */
KV k_splat(KFn *k, KV a);
KV k_iota(KFn *k);
KV k_cast(KFn *k, KBase to, KV a);
KV k_bitcast(KFn *k, KBase to, KV a);
KV k_un(KFn *k, KOp op, KV a);
KV k_bin(KFn *k, KOp op, KV a, KV b);
KV k_add(KFn *k, KV a, KV b);
KV k_sub(KFn *k, KV a, KV b);
KV k_mul(KFn *k, KV a, KV b);
KV k_div(KFn *k, KV a, KV b);
KV k_rem(KFn *k, KV a, KV b);
KV k_min(KFn *k, KV a, KV b);
KV k_max(KFn *k, KV a, KV b);
KV k_lt(KFn *k, KV a, KV b);
KV k_le(KFn *k, KV a, KV b);
KV k_eq(KFn *k, KV a, KV b);
KV k_and(KFn *k, KV a, KV b);
KV k_fma(KFn *k, KV a, KV b, KV c);
KV k_select(KFn *k, KV m, KV a, KV b);
/* A pair is an i32 that holds two bf16. Contractions of bf16 run over pairs. */
KV k_pair(KFn *k, KV low, KV high);
KV k_load_pair(KFn *k, KV buf, KV at);
KV k_dot2(KFn *k, KV a, KV b, KV c);
KV k_lane(KFn *k, KV v, int lane);
KV k_zip(KFn *k, KV a, KV b, bool high);
/* Vectors v[0 .. lanes-1] as a matrix: v[i] lane j becomes v[j] lane i. */
void k_transpose(KFn *k, KV *v);
KV k_load(KFn *k, KV buf, KV at, bool vec);
KV k_load_masked(KFn *k, KV buf, KV at, KV mask);
KV k_gather(KFn *k, KV buf, KV at); /* at: vector of i32 */
KV k_gather_masked(KFn *k, KV buf, KV at, KV mask);
void k_store(KFn *k, KV buf, KV at, KV v); /* scalar or vector by v's type */
void k_store_masked(KFn *k, KV buf, KV at, KV v, KV mask);
void k_scatter(KFn *k, KV buf, KV at, KV v);
void k_scatter_masked(KFn *k, KV buf, KV at, KV v, KV mask);
/* A hint: argument `buf` is written once, by whole vectors, and is read again only when the caches have long held other
 * things. Stores of vectors at places known to be multiples of the lanes may go past the caches. */
void k_nontemporal(KFn *k, KV buf);
/* LLVM's loop strength reduction looks for the best way to step every address along every loop around it. Where tiles are written
 * out within many loops that takes nine tenths of the time that the kernel's code takes, and finds nothing: an address there is
 * a counter and a number. So it is not told what the counters of this kernel's loops are. */
void k_opaque_counters(KFn *k);
void k_prefetch(KFn *k, KV buf, KV at);      /* a hint; `at` may lie outside the buffer */
void k_prefetch_near(KFn *k, KV buf, KV at); /* the same of what is wanted in a few hundred cycles */
/* All of a kernel's is at most KIR_MAX_SCRATCH bytes: it lies on the stack of a worker thread, which has
 * 8 MiB (runtime/base/pool.c). */
KV k_scratch(KFn *k, KBase base, int64_t n, const char *name);
KV k_local(KFn *k, KBase base, bool vec, const char *name);
KV k_get(KFn *k, KV local);
void k_set(KFn *k, KV local, KV v);
void k_barrier(KFn *k);
void k_sync(KFn *k);
/* What the warps of a GPU do together (kir.def, fragment.h): only with 32 lanes. Offsets are vectors of i32. */
KV k_tf32(KFn *k, KV a);
KV k_regs(KFn *k, KBase base, int n, const char *name); /* K_I32: operands of mma, K_F32: its sums */
KV k_reg(KFn *k, KV regs, int i);
void k_set_reg(KFn *k, KV regs, int i, KV v);
KV k_gather_at(KFn *k, KV buf, KV at, int64_t further); /* a constant that costs nothing */
void k_load_matrix(KFn *k, KV regs, KV scratch, KV at, int64_t further, bool transposed);
void k_mma(KFn *k, bool bf16, KV sum, KV a, KV b, int b_first);
void k_copy_async(KFn *k, KV scratch, KV to, KV arg, KV from, int bytes);
void k_commit(KFn *k);
void k_wait_group(KFn *k, int latest); /* all but so many */
/* Products by groups of four warps (wgmma.h): a fence, products and a wait follow each other with nothing between. */
KV k_matrix(KFn *k, KV scratch, KV at, int64_t form); /* at: scalar i64 */
void k_proxy_fence(KFn *k);
void k_wgmma_fence(KFn *k);
void k_wgmma(KFn *k, bool bf16, KV sum, KV a, KV b);
void k_wgmma_transposed(KFn *k, KV sum, KV a, KV b); /* bf16 */
void k_wgmma_wait(KFn *k);
KV k_for(KFn *k, KV lo, KV hi, int64_t step); /* the counter, i64 */
void k_if(KFn *k, KV cond);
void k_else(KFn *k);
void k_end(KFn *k);
/* Mask of the first n lanes: iota < n (n i64 or i32 scalar). */
KV k_first_lanes(KFn *k, KV n);
/* Uniform and normal numbers of ir/philox.h; index: i64 scalar (one value) or vector of i32 (low words, high word 0). */
KV k_uniform(KFn *k, int64_t site, KV index);
KV k_normal(KFn *k, int64_t site, KV index);
bool k_is_const(const KFn *k, KV v, int64_t *value); /* integer constants */

void kir_print(FILE *out, const KFn *k);
/* The kernel that *text begins with, verified; *text moves behind it. NULL at the end of the text, with an empty message, and at an error. */
KFn *kir_parse(Arena *a, const char **text, char err[IR_ERR]);
/* Does it need what GPUs have from compute capability 8.0 on? */
bool kir_tensor(const KFn *k);
/* And what 9.0 alone has? */
bool kir_wgmma(const KFn *k);
/* Does it work on bf16 in a way that an instruction set may have instructions for: pairs, or rounding? */
bool kir_uses_bf16(const KFn *k);
/* Types, operands defined before use and in scope, blocks balanced. false and a message. */
bool kir_verify(const KFn *k, char err[IR_ERR]);
/* Identity of the code (not of the name): equal text means equal kernels, compiled once. */
uint64_t kir_hash(const KFn *k);
#endif
