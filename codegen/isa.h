/* isa.h - which instruction sets this machine runs: what netc compiles for on its own, and what a loader
 * takes. */
#ifndef NETC_ISA_H
#define NETC_ISA_H
#include <stdbool.h>
#include "codegen/abi.h"

/* As lower_cpu and lower_features (codegen/llvm/lower.h) name them to LLVM. */
static inline bool netc_machine_runs(NetcIsa isa) {
  __builtin_cpu_init();
  switch (isa) {
  case NETC_ISA_AVX2: return __builtin_cpu_supports("x86-64-v3");
  case NETC_ISA_AVX512: return __builtin_cpu_supports("x86-64-v4");
  default: return __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16");
  }
}

/* The best one, -1 = none. */
static inline int netc_host_isa(void) {
  int isa = NETC_ISA_COUNT - 1;
  while (isa >= 0 && !netc_machine_runs((NetcIsa)isa)) isa--;
  return isa;
}
#endif
