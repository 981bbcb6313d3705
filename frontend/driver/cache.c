/* cache.c - whole modules in the cache. */
#include "frontend/driver/cache.h"
#include <string.h>
#include "frontend/syntax/diag.h"

static void add_text(Bytes *b, const char *text) { bytes_text(b, text, strlen(text)); }

static Bytes request_key(const Request *r, const char *kind) {
  Bytes key = cache_key(r->codegen->cache, kind);
  add_text(&key, r->input);
  bytes_number(&key, r->codegen->isas | (uint64_t)r->codegen->device << 32);
  bytes_number(&key, r->frontend->grads);
  bytes_number(&key, (uint64_t)r->frontend->ndefine);
  for (int i = 0; i < r->frontend->ndefine; i++) {
    add_text(&key, r->frontend->define[i].name);
    add_text(&key, r->frontend->define[i].value);
  }
  return key;
}

static void add_source(Bytes *key, const char *path, const char *text, size_t size) {
  add_text(key, path);
  bytes_text(key, text, size);
}

/* Adds the texts of the files that the first used when it was compiled last: `list` holds their paths, one
 * after the other. false: one of them is gone. */
static bool add_used(Arena *a, Bytes *key, const Bytes *list) {
  for (size_t at = 0; at < list->n;) {
    const char *path = (const char *)list->data + at;
    size_t length = strnlen(path, list->n - at), size;
    if (length == list->n - at) return false;
    const char *text = frontend_read(a, path, &size);
    if (!text) return false;
    add_source(key, path, text, size);
    at += length + 1;
  }
  return true;
}

bool module_from_cache(Arena *a, const Request *r) {
  Cache *cache = r->codegen->cache;
  size_t size;
  const char *text = frontend_read(a, r->input, &size);
  if (!text) return false;
  Bytes files = request_key(r, "files"), module = request_key(r, "module"), list = {0}, image = {0};
  bytes_text(&files, text, size);
  add_source(&module, r->input, text, size);
  char err[IR_ERR];
  bool found = cache_get(cache, &files, &list) && add_used(a, &module, &list) &&
               cache_get(cache, &module, &image) && codegen_place(&image, r->codegen->output, err);
  bytes_free(&files);
  bytes_free(&module);
  bytes_free(&list);
  bytes_free(&image);
  return found;
}

/* In the order of reading: the list runs the other way. */
static void add_read(Bytes *files, Bytes *module, Bytes *list, const Source *s) {
  if (s->next) add_read(files, module, list, s->next);
  add_source(module, s->path, s->text, s->size);
  if (s->next) bytes_add(list, s->path, strlen(s->path) + 1);
  else bytes_text(files, s->text, s->size);
}

void module_into_cache(const Request *r, const Source *last) {
  Bytes files = request_key(r, "files"), module = request_key(r, "module"), list = {0};
  add_read(&files, &module, &list, last);
  cache_put(r->codegen->cache, &module, r->codegen->image);
  cache_put(r->codegen->cache, &files, &list);
  bytes_free(&files);
  bytes_free(&module);
  bytes_free(&list);
}
