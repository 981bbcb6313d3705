/* keep.c - memory that is given back at once. */
#include "runtime/find/keep.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 1 << 16 };

typedef struct KeepBlock {
  struct KeepBlock *next;
  size_t used, size;
  max_align_t data[];
} KeepBlock;

void *keep_bytes(Keep *k, size_t size) {
  size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
  KeepBlock *b = k->block;
  if (!b || b->size - b->used < size) {
    size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
    b = calloc(1, sizeof *b + room);
    if (!b) return k->failed = true, NULL;
    b->size = room, b->next = k->block, k->block = b;
  }
  void *at = (char *)b->data + b->used;
  b->used += size;
  return at;
}

const char *keep_text(Keep *k, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  char *text = n < 0 ? NULL : keep_bytes(k, (size_t)n + 1);
  if (text) vsnprintf(text, (size_t)n + 1, fmt, again);
  va_end(again);
  va_end(ap);
  return text ? text : "";
}

bool keep_grow(Keep *k, void *list, int n, int *room, size_t size) {
  if (n < *room) return true;
  int more = *room ? 2 * *room : 64;
  void **at = list, *grown = realloc(*at, (size_t)more * size);
  if (!grown) return k->failed = true, false;
  return *at = grown, *room = more, true;
}

void keep_free(Keep *k) {
  for (KeepBlock *b = k->block, *next; b; b = next) next = b->next, free(b);
  *k = (Keep){.block = NULL};
}
