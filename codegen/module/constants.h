/* constants.h - the module's tables as constants of LLVM: the types of codegen/abi.h's structs, and how
 * values, texts and arrays of them are made; for tables.c and prepare_table.c. */
#ifndef NETC_CONSTANTS_H
#define NETC_CONSTANTS_H
#include <string.h>
#include <llvm-c/Core.h>
#include "codegen/module/module.h"
#include "codegen/module/source_lines.h"

enum {
  T_ARRAY,
  T_VAR,
  T_NET,
  T_KERNEL,
  T_PLACE,
  T_LAUNCH,
  T_FN,
  T_FIELD,
  T_AUGMENT,
  T_STREAM,
  T_DEVICE_TEXT,
  T_DEVICE_CODE,
  T_DEVICE_KERNEL,
  T_DEVICE_FILL,
  T_DEVICE,
  T_INTENSITY,
  T_LABEL,
  T_REGION,
  T_PREPARE,
  T_VALIDATION,
  T_MODULE,
  T_COUNT
};

typedef struct {
  const Module *mod, *device;
  LLVMContextRef c;
  LLVMModuleRef m;
  LLVMTypeRef ptr, i8, i32, i64, f64, type[T_COUNT];
  Places *places; /* of the launches written so far */
} Tables;

static inline LLVMValueRef int32(const Tables *t, int64_t v) {
  return LLVMConstInt(t->i32, (uint64_t)v, true);
}
static inline LLVMValueRef int64(const Tables *t, int64_t v) {
  return LLVMConstInt(t->i64, (uint64_t)v, true);
}
static inline LLVMValueRef real(const Tables *t, double v) { return LLVMConstReal(t->f64, v); }
static inline LLVMValueRef null(const Tables *t) { return LLVMConstNull(t->ptr); }

static inline LLVMValueRef global(const Tables *t, const char *name, LLVMValueRef value) {
  LLVMValueRef g = LLVMAddGlobal(t->m, LLVMTypeOf(value), name);
  LLVMSetInitializer(g, value);
  LLVMSetGlobalConstant(g, true);
  LLVMSetLinkage(g, LLVMPrivateLinkage);
  return g;
}

static inline LLVMValueRef text(const Tables *t, const char *s) {
  if (!s) return null(t);
  return global(t, "text", LLVMConstStringInContext(t->c, s, (unsigned)strlen(s), false));
}

static inline LLVMValueRef *values(const Tables *t, int n) {
  return arena_alloc(t->mod->arena, (size_t)(n ? n : 1) * sizeof(LLVMValueRef));
}

/* A constant array of n elements; the null pointer when there are none. */
static inline LLVMValueRef table(const Tables *t, const char *name, LLVMTypeRef type, LLVMValueRef *v,
                                 int n) {
  return n ? global(t, name, LLVMConstArray2(type, v, (uint64_t)n)) : null(t);
}

static inline LLVMValueRef make(const Tables *t, LLVMValueRef *v, int n) {
  return LLVMConstStructInContext(t->c, v, (unsigned)n, false);
}
#define RECORD(t, ...)                                                                                       \
  make(t, (LLVMValueRef[]){__VA_ARGS__}, sizeof((LLVMValueRef[]){__VA_ARGS__}) / sizeof(LLVMValueRef))

/* What the program says of its images' preparation; the null pointer when it does not. prepare_table.c */
LLVMValueRef prepare_table(const Tables *t);
#endif
