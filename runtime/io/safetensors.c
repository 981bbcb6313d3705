/* safetensors.c - reading trusts nothing: every offset, extent and length is checked before use, and the
 * tensors must tile the data without gap or overlap up to the end of the file, which also finds files that
 * were written only half. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/io/safetensors.h"

static const struct {
  const char *name;
  StType type;
  int bits;
} st_type[] = {{"F32", ST_F32, 32},   {"F64", ST_F64, 64},      {"I32", ST_I32, 32},
               {"I64", ST_I64, 64},   {"U8", ST_U8, 8},         {"BOOL", ST_OTHER, 8},
               {"I8", ST_OTHER, 8},   {"U16", ST_OTHER, 16},    {"I16", ST_OTHER, 16},
               {"F16", ST_OTHER, 16}, {"BF16", ST_OTHER, 16},   {"U32", ST_OTHER, 32},
               {"U64", ST_OTHER, 64}, {"F8_E4M3", ST_OTHER, 8}, {"F8_E5M2", ST_OTHER, 8}};
enum { ST_TYPES = sizeof st_type / sizeof *st_type };

/* A JSON number as a size; false when it is none, negative, fractional or beyond what a double holds
 * exactly. */
static bool as_size(const cJSON *j, uint64_t *out) {
  if (!cJSON_IsNumber(j) || !(j->valuedouble >= 0 && j->valuedouble <= 0x1p53)) return false;
  *out = (uint64_t)j->valuedouble;
  return (double)*out == j->valuedouble;
}

static bool parse_shape(const cJSON *shape, StTensor *t) {
  if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > ST_MAX_RANK) return false;
  t->rank = 0, t->count = 1;
  const cJSON *j;
  cJSON_ArrayForEach(j, shape) {
    uint64_t n;
    if (!as_size(j, &n) || (n > 0 && t->count > (INT64_C(1) << 53) / (int64_t)n)) return false;
    t->dim[t->rank++] = (int64_t)n;
    t->count *= (int64_t)n;
  }
  return true;
}

static bool parse_tensor(const cJSON *j, const char *path, StTensor *t, char err[ERR_MAX]) {
  t->name = strdup(j->string);
  if (!t->name) return err_memory(err, path, (int64_t)strlen(j->string));
  const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(j, "dtype");
  const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(j, "data_offsets");
  int k = 0;
  while (k < ST_TYPES && !(cJSON_IsString(dtype) && strcmp(dtype->valuestring, st_type[k].name) == 0)) k++;
  if (k == ST_TYPES) return err_set(err, "%s: tensor %.100s has an unknown dtype", path, t->name);
  t->type = st_type[k].type;
  if (!parse_shape(cJSON_GetObjectItemCaseSensitive(j, "shape"), t))
    return err_set(err, "%s: tensor %.100s has no valid shape", path, t->name);
  if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
      !as_size(cJSON_GetArrayItem(offsets, 0), &t->begin) ||
      !as_size(cJSON_GetArrayItem(offsets, 1), &t->end) || t->end < t->begin ||
      t->end - t->begin != (uint64_t)t->count * (uint64_t)(st_type[k].bits / 8))
    return err_set(err, "%s: the data_offsets of tensor %.100s do not fit its shape", path, t->name);
  return true;
}

static bool parse_meta(const cJSON *j, const char *path, StFile *f, char err[ERR_MAX]) {
  int n = cJSON_IsObject(j) ? cJSON_GetArraySize(j) : 0;
  f->meta = calloc((size_t)n + 1, sizeof *f->meta);
  if (!f->meta) return err_memory(err, path, n);
  const cJSON *kv;
  cJSON_ArrayForEach(kv, j) {
    if (!cJSON_IsString(kv) || !kv->string)
      return err_set(err, "%s: __metadata__ must map strings to strings", path);
    StMeta *m = &f->meta[f->nmeta++];
    *m = (StMeta){strdup(kv->string), strdup(kv->valuestring)};
    if (!m->key || !m->value) return err_memory(err, path, 0);
  }
  return true;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const StTensor *)a)->name, ((const StTensor *)b)->name);
}
static int by_begin(const void *a, const void *b) {
  const StTensor *p = a, *q = b;
  if (p->begin != q->begin) return p->begin < q->begin ? -1 : 1;
  return (p->end > q->end) - (p->end < q->end);
}

/* The tensors tile [0, bytes) and have different names. */
static bool check_layout(StFile *f, uint64_t bytes, const char *path, char err[ERR_MAX]) {
  qsort(f->tensor, (size_t)f->ntensor, sizeof *f->tensor, by_begin);
  uint64_t at = 0;
  for (int i = 0; i < f->ntensor; i++) {
    const StTensor *t = &f->tensor[i];
    if (t->begin != at)
      return err_set(err, "%s: the data of tensor %.100s %s", path, t->name,
                     t->begin < at ? "overlap another's" : "do not follow the previous tensor's");
    at = t->end;
  }
  if (at > bytes)
    return err_set(err,
                   "%s is cut short: its header promises %" PRIu64 " bytes of data and %" PRIu64 " follow",
                   path, at, bytes);
  if (at < bytes) return err_set(err, "%s has %" PRIu64 " bytes behind its last tensor", path, bytes - at);
  qsort(f->tensor, (size_t)f->ntensor, sizeof *f->tensor, by_name);
  for (int i = 1; i < f->ntensor; i++)
    if (strcmp(f->tensor[i - 1].name, f->tensor[i].name) == 0)
      return err_set(err, "%s: tensor %.100s appears twice", path, f->tensor[i].name);
  return true;
}

static bool parse_header(const cJSON *root, const char *path, StFile *f, char err[ERR_MAX]) {
  int n = cJSON_GetArraySize(root);
  f->tensor = calloc((size_t)n + 1, sizeof *f->tensor);
  if (!f->tensor) return err_memory(err, path, n * (int64_t)sizeof *f->tensor);
  const cJSON *j;
  cJSON_ArrayForEach(j, root) {
    if (strcmp(j->string, "__metadata__") == 0) {
      if (f->meta) return err_set(err, "%s: __metadata__ appears twice", path);
      if (!parse_meta(j, path, f, err)) return false;
    } else if (!parse_tensor(j, path, &f->tensor[f->ntensor++], err)) return false;
  }
  return true;
}

StFile *st_parse(const uint8_t *bytes, size_t size, const char *path, char err[ERR_MAX]) {
  uint64_t len = 0;
  for (int i = 7; i >= 0 && size >= 8; i--) len = len << 8 | bytes[i];
  if (size < 8 || len > size - 8) {
    err_set(err, "%s is cut short or not a .safetensors file (%zu bytes, header of %" PRIu64 ")", path, size,
            len);
    return NULL;
  }
  cJSON *root = cJSON_ParseWithLength((const char *)bytes + 8, len);
  StFile *f = calloc(1, sizeof *f);
  bool ok = f ? true : err_memory(err, path, (int64_t)sizeof *f);
  if (ok && !cJSON_IsObject(root))
    ok = err_set(err, "%s is not a .safetensors file: its header is no JSON object", path);
  ok = ok && parse_header(root, path, f, err) && check_layout(f, size - 8 - len, path, err);
  cJSON_Delete(root);
  if (!ok) {
    st_close(f);
    return NULL;
  }
  for (int i = 0; i < f->ntensor; i++) f->tensor[i].data = bytes + 8 + len + f->tensor[i].begin;
  return f;
}

StFile *st_open(const char *path, char err[ERR_MAX]) {
  Bytes file;
  if (!file_map(path, &file, err)) return NULL;
  StFile *f = st_parse(file.data, file.size, path, err);
  if (f) f->file = file;
  else file_unmap(&file);
  return f;
}

void st_close(StFile *f) {
  if (!f) return;
  for (int i = 0; i < f->ntensor; i++) free(f->tensor[i].name);
  for (int i = 0; i < f->nmeta; i++) free(f->meta[i].key), free(f->meta[i].value);
  free(f->tensor);
  free(f->meta);
  file_unmap(&f->file);
  free(f);
}

const StTensor *st_find(const StFile *f, const char *name) {
  int lo = 0, hi = f->ntensor;
  while (lo < hi) {
    int mid = (lo + hi) / 2, c = strcmp(f->tensor[mid].name, name);
    if (c == 0) return &f->tensor[mid];
    if (c < 0) lo = mid + 1;
    else hi = mid;
  }
  return NULL;
}

const char *st_meta(const StFile *f, const char *key) {
  for (int i = 0; i < f->nmeta; i++)
    if (strcmp(f->meta[i].key, key) == 0) return f->meta[i].value;
  return NULL;
}

/* ---- writing ---- */

static int64_t bytes_of(const StTensor *t) {
  int64_t n = 4;
  for (int i = 0; i < t->rank; i++) n *= t->dim[i];
  return n;
}

static bool add_tensor(cJSON *root, const StTensor *t, int64_t begin, int64_t end) {
  cJSON *j = cJSON_AddObjectToObject(root, t->name);
  cJSON_AddStringToObject(j, "dtype", t->type == ST_I32 ? "I32" : "F32");
  cJSON *shape = cJSON_AddArrayToObject(j, "shape"), *offsets = cJSON_AddArrayToObject(j, "data_offsets");
  for (int i = 0; i < t->rank; i++) cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->dim[i]));
  cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin));
  return cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)end));
}

static char *header_text(const StTensor *tensor, int ntensor, const StMeta *meta, int nmeta) {
  cJSON *root = cJSON_CreateObject(), *m = nmeta ? cJSON_AddObjectToObject(root, "__metadata__") : NULL;
  bool ok = root != NULL;
  for (int i = 0; ok && i < nmeta; i++) ok = cJSON_AddStringToObject(m, meta[i].key, meta[i].value) != NULL;
  int64_t at = 0;
  for (int i = 0; ok && i < ntensor; i++) {
    int64_t end = at + bytes_of(&tensor[i]);
    ok = add_tensor(root, &tensor[i], at, end);
    at = end;
  }
  char *text = ok ? cJSON_PrintUnformatted(root) : NULL;
  cJSON_Delete(root);
  return text;
}

static bool write_data(AtomicFile *f, const StTensor *tensor, int ntensor, StFill fill, void *user,
                       char err[ERR_MAX]) {
  int64_t most = 1;
  for (int i = 0; i < ntensor; i++)
    if (bytes_of(&tensor[i]) > most) most = bytes_of(&tensor[i]);
  void *buffer = malloc((size_t)most);
  if (!buffer) return err_memory(err, "writing weights", most);
  bool ok = true;
  for (int i = 0; ok && i < ntensor; i++) {
    ok = fill(user, i, buffer, err);
    if (ok) fwrite(buffer, 1, (size_t)bytes_of(&tensor[i]), f->file);
  }
  free(buffer);
  return ok;
}

bool st_write(const char *path, const StTensor *tensor, int ntensor, const StMeta *meta, int nmeta,
              StFill fill, void *user, char err[ERR_MAX]) {
  char *text = header_text(tensor, ntensor, meta, nmeta);
  if (!text) return err_memory(err, "the header of a weights file", 0);
  AtomicFile f;
  if (!atomic_open(&f, path, err)) {
    cJSON_free(text);
    return false;
  }
  size_t len = strlen(text), padded = (len + 7) / 8 * 8;
  for (int i = 0; i < 8; i++) fputc((int)((uint64_t)padded >> 8 * i & 255), f.file);
  fprintf(f.file, "%-*s", (int)padded, text); /* spaces behind it: the data start at a multiple of 8 */
  cJSON_free(text);
  if (write_data(&f, tensor, ntensor, fill, user, err)) return atomic_commit(&f, err);
  atomic_abort(&f);
  return false;
}
