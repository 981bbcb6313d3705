/* array.c - arrays between row-major order (files), channels-last order (batches) and the memory order that
 * NetcArray.order says. */
#include <stdio.h>
#include <string.h>
#include "runtime/base/array.h"

int64_t array_count(const NetcArray *a) {
  int64_t n = 1;
  for (int i = 0; i < a->rank; i++) n *= a->dim[i];
  return n;
}

/* stride[axis], in elements, of an array whose axes lie in memory in the given order. */
static void strides_of(const NetcArray *a, const uint8_t *order, int64_t *stride) {
  int64_t s = 1;
  for (int i = a->rank - 1; i >= 0; i--) {
    stride[order[i]] = s;
    s *= a->dim[order[i]];
  }
}

/* The same memory, axes of extent 1 aside? */
static bool same_order(const NetcArray *a, const uint8_t *p, const uint8_t *q) {
  int i = 0, j = 0;
  while (i < a->rank || j < a->rank) {
    if (i < a->rank && a->dim[p[i]] == 1) i++;
    else if (j < a->rank && a->dim[q[j]] == 1) j++;
    else if (i < a->rank && j < a->rank && p[i] == q[j]) i++, j++;
    else return false;
  }
  return true;
}

static void permute(const NetcArray *a, const uint8_t *from, const void *src, const uint8_t *to, void *dst) {
  int64_t count = array_count(a);
  if (same_order(a, from, to)) {
    memcpy(dst, src, (size_t)count * 4);
    return;
  }
  int64_t in[NETC_MAX_RANK], out[NETC_MAX_RANK], at[NETC_MAX_RANK] = {0};
  strides_of(a, from, in);
  strides_of(a, to, out);
  const uint32_t *s = src;
  uint32_t *d = dst;
  /* Walk the destination in memory order; the innermost axis is a plain strided loop. */
  int inner = to[a->rank - 1];
  int64_t n = a->dim[inner];
  for (int64_t done = 0; done < count; done += n) {
    int64_t o = 0, p = 0;
    for (int i = 0; i < a->rank; i++) o += at[i] * in[i], p += at[i] * out[i];
    for (int64_t k = 0; k < n; k++) d[p + k] = s[o + k * in[inner]];
    for (int i = a->rank - 2; i >= 0; i--) {
      if (++at[to[i]] < a->dim[to[i]]) break;
      at[to[i]] = 0;
    }
  }
}

static const uint8_t row_major[NETC_MAX_RANK] = {0, 1, 2, 3, 4, 5};

void array_to_memory(const NetcArray *a, const void *logical, void *mem) {
  permute(a, row_major, logical, a->order, mem);
}

void array_from_memory(const NetcArray *a, const void *mem, void *logical) {
  permute(a, a->order, mem, row_major, logical);
}

void array_from_channels_last(const NetcArray *a, const void *src, void *mem) {
  uint8_t last[NETC_MAX_RANK] = {0};
  for (int i = 1; i < a->rank; i++) last[i] = (uint8_t)(i + 1 < a->rank ? i + 1 : 1);
  permute(a, last, src, a->order, mem);
}

const char *array_str(const NetcArray *a, char buf[128]) {
  int n = snprintf(buf, 128, "%s[", a->dtype == NETC_I32 ? "i32" : "f32");
  for (int i = 0; i < a->rank && n < 128; i++)
    n += snprintf(buf + n, (size_t)(128 - n), "%s%lld", i ? "," : "", (long long)a->dim[i]);
  if (n < 127) snprintf(buf + n, (size_t)(128 - n), "]");
  return buf;
}

const NetcArray *array_find(const NetcArray *list, int n, const char *name) {
  for (int i = 0; i < n; i++)
    if (strcmp(list[i].name, name) == 0) return &list[i];
  return NULL;
}
