/* cache.c - entries of the cache: found, written, thrown away.
 *
 *   "netc cache 1\n", 3 bytes of 0, sizes of key and value (8 bytes each), their hash (16 bytes), key, value
 *
 * A file is written under another name and renamed, so an entry is whole or absent; its name is the hash of
 * its key. Two keys of one hash would only take each other's place. The time of a file's last change is that
 * of its last use. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "codegen/cache/cache.h"

typedef struct {
  char magic[16];
  uint64_t key, value; /* bytes */
  Hash hash;           /* of what follows */
} Header;

static const char magic[16] = "netc cache 1\n", suffix[] = ".entry", unfinished[] = "writing-";
enum { NAME = 32 + sizeof suffix, PATH = 4096 };

Bytes cache_key(const Cache *c, const char *kind) {
  Bytes key = {0};
  bytes_text(&key, kind, strlen(kind));
  bytes_text(&key, c->builder, strlen(c->builder));
  return key;
}

static void entry_path(const Cache *c, const Bytes *key, char out[PATH]) {
  char digits[33];
  snprintf(out, PATH, "%s/%s%s", c->dir, hash_text(hash_bytes(key->data, key->n), digits), suffix);
}

/* Is this a whole entry for this key? */
static bool sound(const Bytes *file, const Bytes *key, Header *h) {
  if (file->n < sizeof *h) return false;
  memcpy(h, file->data, sizeof *h);
  size_t rest = file->n - sizeof *h;
  if (memcmp(h->magic, magic, sizeof magic) || h->key != key->n || h->value > rest ||
      h->key != rest - h->value)
    return false;
  const uint8_t *body = file->data + sizeof *h;
  Hash is = hash_bytes(body, rest);
  return is.high == h->hash.high && is.low == h->hash.low && !memcmp(body, key->data, key->n);
}

bool cache_get(Cache *c, const Bytes *key, Bytes *value) {
  char path[PATH];
  entry_path(c, key, path);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  Bytes file = {0};
  Header h;
  bool found = bytes_read(&file, fd) && sound(&file, key, &h);
  if (found) {
    bytes_add(value, file.data + sizeof h + h.key, (size_t)h.value);
    futimens(fd, NULL); /* used now; in a directory of someone else's it stays as old as it is */
  }
  close(fd);
  bytes_free(&file);
  return found;
}

void cache_put(Cache *c, const Bytes *key, const Bytes *value) {
  Header h = {.key = key->n, .value = value->n};
  Bytes file = {0};
  memcpy(h.magic, magic, sizeof magic);
  bytes_add(&file, &h, sizeof h);
  bytes_add(&file, key->data, key->n);
  bytes_add(&file, value->data, value->n);
  h.hash = hash_bytes(file.data + sizeof h, file.n - sizeof h);
  memcpy(file.data, &h, sizeof h);
  char path[PATH], temporary[PATH];
  entry_path(c, key, path);
  snprintf(temporary, sizeof temporary, "%s/%sXXXXXX", c->dir, unfinished);
  int fd = mkostemp(temporary, O_CLOEXEC);
  if (fd >= 0) {
    bool good = bytes_write(&file, fd);
    if (close(fd) || !good || rename(temporary, path)) unlink(temporary);
    else atomic_fetch_add(&c->stored, 1);
  }
  bytes_free(&file);
}

/* ---- throwing away ---- */
typedef struct {
  char name[NAME];
  time_t used;
  int64_t bytes;
} Entry;

static int by_age(const void *a, const void *b) {
  const Entry *x = a, *y = b;
  if (x->used != y->used) return x->used < y->used ? -1 : 1;
  return strcmp(x->name, y->name);
}

static bool is_entry(const char *name) {
  return strspn(name, "0123456789abcdef") == 32 && !strcmp(name + 32, suffix);
}

/* All entries, malloc'd. What a killed process left unfinished goes. */
static Entry *list(DIR *dir, int *n, int64_t *bytes) {
  Entry *e = NULL;
  int cap = 0;
  for (const struct dirent *d; (d = readdir(dir));) {
    struct stat st;
    bool entry = is_entry(d->d_name), rest = !strncmp(d->d_name, unfinished, strlen(unfinished));
    if ((!entry && !rest) || fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW)) continue;
    if (rest && time(NULL) - st.st_mtime > 3600) unlinkat(dirfd(dir), d->d_name, 0);
    if (!entry) continue;
    if (*n == cap) {
      Entry *grown = realloc(e, (size_t)(cap = cap ? 2 * cap : 1024) * sizeof *e);
      if (!grown) break;
      e = grown;
    }
    e[*n].used = st.st_mtime;
    e[*n].bytes = st.st_size;
    snprintf(e[(*n)++].name, NAME, "%s", d->d_name);
    *bytes += st.st_size;
  }
  return e;
}

void cache_close(Cache *c) {
  DIR *dir = c && atomic_load(&c->stored) ? opendir(c->dir) : NULL;
  if (!dir) return;
  int n = 0;
  int64_t bytes = 0;
  Entry *e = list(dir, &n, &bytes);
  if (e && bytes > c->limit) {
    qsort(e, (size_t)n, sizeof *e, by_age);
    for (int i = 0; i < n && bytes > c->limit / 4 * 3; i++) /* room for some compiles to come */
      if (!unlinkat(dirfd(dir), e[i].name, 0)) bytes -= e[i].bytes;
  }
  free(e);
  closedir(dir);
}
