/* mem.c - arena allocation: a list of chunks, each filled from its start; nothing is freed but the whole. A
 * small compilation takes one small chunk. A large one touches gigabytes, and half of its time went into page
 * faults: chunks double in size, and large ones ask for huge pages. */
#define _DEFAULT_SOURCE /* madvise */
#include "ir/mem.h"
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CHUNK = 1 << 16, LARGEST = 64 << 20, HUGE_PAGE = 2 << 20, ALIGN = 16 };

typedef struct Chunk {
  struct Chunk *next;
  size_t used, size;
  void *mapped; /* start of its mapping, NULL: it is from calloc */
  size_t mapped_bytes;
  alignas(ALIGN) unsigned char data[];
} Chunk;

struct Arena {
  Chunk *chunk; /* the one being filled first */
  size_t next;  /* room of the next chunk */
  Chunk *spare; /* one that was given back, zeroed */
  struct Arena *child, *sibling;
};

static void out_of_memory(size_t size) {
  fprintf(stderr, "out of memory: could not get %zu bytes\n", size);
  exit(1);
}

Arena *arena_new(void) {
  Arena *a = calloc(1, sizeof *a);
  if (!a) out_of_memory(sizeof *a);
  a->next = CHUNK - sizeof(Chunk);
  return a;
}

Arena *arena_child(Arena *parent) {
  Arena *a = arena_new();
  a->sibling = parent->child;
  return parent->child = a;
}

static void free_chunk(Chunk *c) {
  if (c && c->mapped) munmap(c->mapped, c->mapped_bytes);
  else free(c);
}

void arena_free(Arena *a) {
  if (!a) return;
  for (Arena *child = a->child, *next; child; child = next) {
    next = child->sibling;
    arena_free(child);
  }
  for (Chunk *c = a->chunk, *next; c; c = next) {
    next = c->next;
    free_chunk(c);
  }
  free_chunk(a->spare);
  free(a);
}

/* Zeroed memory for a chunk and `room` bytes, at the start of a huge page when it is large. */
static Chunk *new_chunk(size_t room) {
  size_t bytes = sizeof(Chunk) + room, slack = HUGE_PAGE;
  Chunk *c = NULL;
  if (bytes < HUGE_PAGE) {
    c = calloc(1, bytes);
    if (!c) out_of_memory(room);
  } else {
    void *p = mmap(NULL, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) out_of_memory(room);
    uintptr_t at = ((uintptr_t)p + slack - 1) / slack * slack;
    c = (Chunk *)((unsigned char *)p + (at - (uintptr_t)p));
    madvise(c, bytes, MADV_HUGEPAGE); /* a wish: without huge pages it is slower, no more */
    c->mapped = p;
    c->mapped_bytes = bytes + slack;
  }
  c->size = room;
  return c;
}

/* Makes room for `size` bytes more; the chunk to take them from. */
static Chunk *add_chunk(Arena *a, size_t size) {
  bool alone = size > a->next; /* a large block of its own must not hide the chunk being filled */
  Chunk *c = a->chunk, *fresh = a->spare;
  if (fresh && fresh->size >= size) {
    a->spare = NULL;
    alone = false;
  } else {
    fresh = new_chunk(alone ? size : a->next);
    if (!alone && a->next < LARGEST - sizeof(Chunk)) a->next = 2 * (a->next + sizeof(Chunk)) - sizeof(Chunk);
  }
  if (c && alone) {
    fresh->next = c->next;
    c->next = fresh;
  } else {
    fresh->next = c;
    a->chunk = fresh;
  }
  return fresh;
}

ArenaMark arena_mark(const Arena *a) {
  const Chunk *c = a->chunk;
  return (ArenaMark){a->chunk, c ? c->next : NULL, c ? c->used : 0};
}

/* The larger of it and the spare one is kept: the next kernel may need it again. */
static void drop_chunk(Arena *a, Chunk *c) {
  if (a->spare && a->spare->size >= c->size) {
    free_chunk(c);
    return;
  }
  free_chunk(a->spare);
  memset(c->data, 0, c->used);
  c->used = 0;
  c->next = NULL;
  a->spare = c;
}

void arena_release(Arena *a, ArenaMark m) {
  while (a->chunk != m.chunk) {
    Chunk *c = a->chunk;
    a->chunk = c->next;
    drop_chunk(a, c);
  }
  Chunk *c = a->chunk;
  if (!c) return;
  while (c->next != m.behind) { /* blocks of their own */
    Chunk *alone = c->next;
    c->next = alone->next;
    drop_chunk(a, alone);
  }
  memset(c->data + m.used, 0, c->used - m.used);
  c->used = m.used;
}

static size_t rounded(size_t size) {
  if (size > SIZE_MAX / 2) out_of_memory(size);
  return (size + ALIGN - 1) / ALIGN * ALIGN;
}

void *arena_alloc(Arena *a, size_t size) {
  size = rounded(size);
  Chunk *c = a->chunk;
  if (!c || c->size - c->used < size) c = add_chunk(a, size);
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
  Chunk *c = a->chunk;
  size_t old = rounded((size_t)*cap * size), more = rounded((size_t)room * size) - old;
  if (*cap && (unsigned char *)ptr + old == c->data + c->used && c->size - c->used >= more) {
    c->used += more; /* the last thing in its chunk: it grows where it lies */
    *cap = room;
    return ptr;
  }
  void *bigger = arena_alloc(a, (size_t)room * size);
  if (*cap) memcpy(bigger, ptr, (size_t)*cap * size);
  *cap = room;
  return bigger;
}
