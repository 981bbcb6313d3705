/* internal.h - what the files that work on kernels share and emitters do not need. */
#ifndef NETC_KIR_INTERNAL_H
#define NETC_KIR_INTERNAL_H
#include "codegen/util/bytes.h"
#include "codegen/kir/kir.h"

enum { KIND_VALUE, KIND_BUFFER, KIND_LOCAL, KIND_REGS };

typedef struct {
  const char *name;
  int operands;
  const char *kind; /* V value, S statement, B block */
} KOpInfo;
extern const KOpInfo kop_info[K_OP_COUNT];

KType kt(KBase base, bool vec);          /* a value's type */
KBase kir_element(const KFn *k, KV buf); /* base type of values loaded from and stored to a buffer */
const char *kir_type_str(KType t);       /* f32, f32v (vector), f32* (buffer); a constant string */
bool kir_has_number(KOp op);             /* is its imm written? */
KV kir_append(KFn *k, const KIns *ins);  /* unchecked */

/* The code as bytes (key.c): two kernels have the same bytes when lowering makes the same of them. */
void kir_code(const KFn *k, Bytes *out);

/* A number that divides the integer v: a power of two, at most 64 (divides.c). */
int64_t kir_divides(const KFn *k, KV v);

/* A copy of k in arena `a` with exp, log, tanh, sigmoid, sin and cos replaced by arithmetic. */
KFn *math_expand(Arena *a, const KFn *k);
/* cos(2 pi u) for u in [0,1), to the last bits also where it is near 0. */
KV math_cos2pi(KFn *k, KV u);
#endif
