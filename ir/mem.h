/* mem.h - one arena per compilation; everything netc allocates lives in it and is freed at once.
 *
 *   Arena *a = arena_new();
 *   Node *n = arena_alloc(a, sizeof *n);      // zeroed
 *   char *s = arena_printf(a, "%s.%d", base, i);
 *   arena_free(a); */
#ifndef NETC_MEM_H
#define NETC_MEM_H
#include <stddef.h>
#include <stdarg.h>

typedef struct Arena Arena;

Arena *arena_new(void);
/* An arena that is freed along with `parent`. */
Arena *arena_child(Arena *parent);
void arena_free(Arena *a);
/* A place in an arena. arena_release gives back what was allocated behind it; arrays from before must not
 * have grown behind it. */
typedef struct {
  void *chunk, *behind;
  size_t used;
} ArenaMark;
ArenaMark arena_mark(const Arena *a);
void arena_release(Arena *a, ArenaMark m);
/* Zeroed memory, 16-byte aligned. Exits with a message when the machine has no memory left. */
void *arena_alloc(Arena *a, size_t size);
char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);

/* Grow `ptr` (an arena array with room for *cap elements of `size` bytes) to hold at least n; returns the
 * array. */
void *arena_grow(Arena *a, void *ptr, int *cap, int n, size_t size);
#define ARENA_PUSH(arena, arr, n, cap)                                                                       \
  ((arr) = arena_grow((arena), (arr), &(cap), (n) + 1, sizeof *(arr)), &(arr)[(n)++])
#endif
