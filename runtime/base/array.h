/* array.h - arrays between row-major order of their logical shape (files) and memory order (the arena). */
#ifndef NETRUN_ARRAY_H
#define NETRUN_ARRAY_H
#include "codegen/abi.h"
#include "runtime/base/err.h"

int64_t array_count(const NetcArray *a);
/* logical[i] are 4-byte elements in row-major order; mem is the array in the order a->order says. */
void array_to_memory(const NetcArray *a, const void *logical, void *mem);
void array_from_memory(const NetcArray *a, const void *mem, void *logical);
/* From channels last (N, S, C), as samplers write it, to memory order. A plain copy where that is the
 * same. */
void array_from_channels_last(const NetcArray *a, const void *src, void *mem);
/* "f32[4,1,256,256]" */
const char *array_str(const NetcArray *a, char buf[128]);
const NetcArray *array_find(const NetcArray *list, int n, const char *name); /* NULL = none */
#endif
