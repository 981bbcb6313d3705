/* lower_internal.h - what the two ways to lower a kernel share: vectors as vectors (lower.c), and lanes as
 * threads (codegen/gpu/lower.c), which differ in leaves, memory and whatever crosses lanes. */
#ifndef NETC_LOWER_INTERNAL_H
#define NETC_LOWER_INTERNAL_H
#include <llvm-c/Core.h>
#include "codegen/kir/internal.h"

enum { LOWER_DEPTH = 64 };

typedef struct {
  LLVMBasicBlockRef body, other, after; /* other: else of an if */
  LLVMValueRef phi, hi;                 /* of a for */
  int ins;
} LowerBlock;

typedef struct Lower {
  LLVMContextRef c;
  LLVMModuleRef m;
  LLVMBuilderRef b, entry; /* entry: builder of the first block, for what is needed everywhere */
  LLVMValueRef fn, *v;
  const KFn *k;
  /* Instructions of its own, in *v; false: lowered as everywhere. With it every value is a scalar, of one
   * lane. */
  bool (*own)(struct Lower *l, int ins, LLVMValueRef *v);
  void (*begin)(struct Lower *l); /* where the body starts; NULL: nothing */
  LowerBlock block[LOWER_DEPTH];
  int depth;
  bool native; /* the set has instructions for bf16 */
  bool past;   /* are there stores past the caches? */
} Lower;

LLVMTypeRef lower_base_type(LLVMContextRef c, KBase base);
LLVMTypeRef lower_type(const Lower *l, KBase base, bool vec);
LLVMValueRef lower_i32(const Lower *l, int64_t v);
LLVMValueRef lower_i64(const Lower *l, int64_t v);
unsigned lower_element_bytes(KBase base);
/* The smaller (larger), b of equal ones; of floats NaN where one is. */
LLVMValueRef lower_smaller(Lower *l, bool is_fp, LLVMValueRef a, LLVMValueRef b, bool want_max);
LLVMBasicBlockRef lower_block(Lower *l, const char *name);
/* All of l->k into l->fn, whose parameters are there. */
void lower_body(Lower *l);
#endif
