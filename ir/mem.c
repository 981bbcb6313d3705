/* mem.c - arena allocation: a list of chunks, each filled from its start; nothing is freed but the whole. */
#include "mem.h"
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 16, ALIGN = 16 };

typedef struct Chunk {
  struct Chunk *next;
  size_t used, size;
  alignas(ALIGN) unsigned char data[];
} Chunk;

struct Arena {
  Chunk *chunk; /* the one being filled first */
};

static void out_of_memory(size_t size) {
  fprintf(stderr, "out of memory: could not get %zu bytes\n", size);
  exit(1);
}

Arena *arena_new(void) {
  Arena *a = calloc(1, sizeof *a);
  if (!a) out_of_memory(sizeof *a);
  return a;
}

void arena_free(Arena *a) {
  if (!a) return;
  for (Chunk *c = a->chunk, *next; c; c = next) {
    next = c->next;
    free(c);
  }
  free(a);
}

void *arena_alloc(Arena *a, size_t size) {
  if (size > SIZE_MAX / 2) out_of_memory(size);
  size = (size + ALIGN - 1) / ALIGN * ALIGN;
  Chunk *c = a->chunk;
  if (!c || c->size - c->used < size) {
    size_t room = size > CHUNK ? size : CHUNK;
    Chunk *fresh = calloc(1, sizeof *fresh + room);
    if (!fresh) out_of_memory(room);
    fresh->size = room;
    if (c && room == size) { /* a large block of its own must not hide the chunk being filled */
      fresh->next = c->next;
      c->next = fresh;
    } else {
      fresh->next = c;
      a->chunk = fresh;
    }
    c = fresh;
  }
  void *p = c->data + c->used;
  c->used += size;
  return p;
}

char *arena_strndup(Arena *a, const char *s, size_t n) {
  size_t len = strnlen(s, n);
  char *copy = arena_alloc(a, len + 1);
  memcpy(copy, s, len);
  return copy;
}

char *arena_strdup(Arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_vprintf(Arena *a, const char *fmt, va_list ap) {
  va_list again;
  va_copy(again, ap);
  int len = vsnprintf(NULL, 0, fmt, ap);
  char *s = arena_alloc(a, (size_t)(len < 0 ? 0 : len) + 1);
  if (len > 0) vsnprintf(s, (size_t)len + 1, fmt, again);
  va_end(again);
  return s;
}

char *arena_printf(Arena *a, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char *s = arena_vprintf(a, fmt, ap);
  va_end(ap);
  return s;
}

void *arena_grow(Arena *a, void *ptr, int *cap, int n, size_t size) {
  if (n <= *cap) return ptr;
  int room = *cap > INT32_MAX / 2 ? INT32_MAX : *cap * 2;
  if (room < n) room = n;
  if (room < 8) room = 8;
  void *bigger = arena_alloc(a, (size_t)room * size);
  if (*cap) memcpy(bigger, ptr, (size_t)*cap * size);
  *cap = room;
  return bigger;
}
