/* keep.h - memory that is given back at once: texts and arrays of a search, freed together. Lack of memory is
 * remembered instead of told at every call: `failed` is asked once, at the end. */
#ifndef NETRUN_KEEP_H
#define NETRUN_KEEP_H
#include <stdbool.h>
#include <stddef.h>

typedef struct {
  struct KeepBlock *block;
  bool failed;
} Keep;

/* Zeroed; NULL without memory. */
void *keep_bytes(Keep *k, size_t size);
/* "" without memory. */
const char *keep_text(Keep *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An array that grows: *list has n of *room elements of `size` bytes and gets room for one more, by malloc.
 * False without memory. */
bool keep_grow(Keep *k, void *list, int n, int *room, size_t size);
void keep_free(Keep *k);
#endif
