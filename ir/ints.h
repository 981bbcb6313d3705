/* ints.h - arithmetic of extents, which are positive. */
#ifndef NETC_INTS_H
#define NETC_INTS_H
#include <stdint.h>

static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t round_up(int64_t a, int64_t to) { return ceil_div(a, to) * to; }
#endif
