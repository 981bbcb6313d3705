/* cache.h - results of earlier compiles, in a directory. An entry is a file: the whole key, the value, and a
 * hash over both. A key says everything the value depends on, the compiler included, and is compared byte for
 * byte, so a wrong value cannot be found. What is damaged, or cannot be read or written, counts as absent: a
 * cache never makes a compile fail. Any number of processes and threads may use a directory at once. */
#ifndef NETC_CACHE_H
#define NETC_CACHE_H
#include <stdatomic.h>
#include "codegen/util/bytes.h"
#include "ir/err.h"
#include "ir/mem.h"

typedef struct {
  const char *dir;
  const char *builder; /* identity of this compiler, part of every key */
  int64_t limit;       /* bytes the directory may hold */
  atomic_int stored;   /* entries written */
} Cache;

/* The cache in `dir`, or where that is NULL in $NETC_CACHE, $XDG_CACHE_HOME/netc or ~/.cache/netc; made where
 * it is missing. NULL when there can be none; `why`, where not empty, is worth telling. */
Cache *cache_open(Arena *a, const char *dir, char why[IR_ERR]);
/* Throws the longest unused entries away when there are too many. */
void cache_close(Cache *c);

/* A key of this kind ("kernel", ..) to which what the value depends on is to be added. */
Bytes cache_key(const Cache *c, const char *kind);
/* The value of `key`, appended to *value; false: there is none. */
bool cache_get(Cache *c, const Bytes *key, Bytes *value);
void cache_put(Cache *c, const Bytes *key, const Bytes *value);
#endif
