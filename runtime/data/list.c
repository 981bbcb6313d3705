/* list.c - lists of cases in text files: read, and matched with the items of a data set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "runtime/base/spell.h"
#include "runtime/data/internal.h"
#include "runtime/data/list.h"

static const char blanks[] = " \t\v\f";

/* ---- reading ---- */

void list_free(List *l) {
  free(l->path), free(l->bytes), free(l->name);
  *l = (List){.path = NULL};
}

/* Without blanks around it, comment and quotes, in place; an empty string where nothing is left. */
static char *trimmed(char *s) {
  s += strspn(s, blanks);
  for (char *p = s; *p; p++)
    if (*p == '#' && (p == s || strchr(blanks, p[-1]))) *p = '\0';
  size_t n = strlen(s);
  while (n && strchr(blanks, s[n - 1])) n--;
  s[n] = '\0';
  return s;
}

static bool check_text(const List *l, size_t size, char err[ERR_MAX]) {
  const uint8_t *b = (const uint8_t *)l->bytes;
  if (size >= 2 && ((b[0] == 0xFF && b[1] == 0xFE) || (b[0] == 0xFE && b[1] == 0xFF)))
    return err_set(err, "%s is text in UTF-16; save it as UTF-8", l->path);
  if (memchr(b, 0, size)) return err_set(err, "%s is no text: it holds bytes that are 0", l->path);
  return true;
}

static bool take_bytes(List *l, const char *path, size_t *size, char err[ERR_MAX]) {
  FILE *f = fopen(path, "rb");
  size_t room = 0, got = 1;
  if (!f) return err_sys(err, "%s", path);
  bool ok = (l->path = strdup(path));
  for (*size = 0; ok && got; *size += got) {
    if (*size + 1 >= room) { /* one byte is kept for the end */
      char *more = realloc(l->bytes, room = 2 * room + 4096);
      if (more) l->bytes = more;
      ok = more;
    }
    got = ok ? fread(l->bytes + *size, 1, room - *size - 1, f) : 0;
  }
  if (ok) l->bytes[*size] = '\0';
  if (!ok) err_memory(err, path, (int64_t)room);
  else if (ferror(f)) ok = err_sys(err, "cannot read %s", path);
  fclose(f);
  return ok;
}

bool list_read(List *l, const char *path, char err[ERR_MAX]) {
  size_t size = 0;
  *l = (List){.path = NULL};
  if (!take_bytes(l, path, &size, err) || !check_text(l, size, err)) return list_free(l), false;
  int lines = 1, line = 1;
  for (size_t i = 0; i < size; i++) lines += l->bytes[i] == '\n' || l->bytes[i] == '\r';
  if (!(l->name = calloc((size_t)lines, sizeof *l->name))) {
    list_free(l);
    return err_memory(err, path, lines * (int64_t)sizeof *l->name);
  }
  char *at = l->bytes + (strncmp(l->bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0);
  for (bool last = false; !last; line++) {
    char *end = at + strcspn(at, "\r\n"), *next = end + 1 + (end[0] == '\r' && end[1] == '\n');
    last = *end == '\0', *end = '\0';
    char *text = trimmed(at);
    if (*text) l->name[l->n++] = (ListName){text, line};
    at = next;
  }
  if (l->n) return true;
  list_free(l);
  return err_set(err, "%s is empty: it names no case", path);
}

/* ---- the names of a data set, sorted ---- */

typedef struct {
  const char *name;
  int item, patient; /* an item, or, where that is -1, a case */
} Key;

typedef struct {
  const Dataset *d;
  Key *key;
  int n;
  int *first, *next; /* per case its first item, per item the next of its case; -1: none */
} Index;

static int by_name(const void *a, const void *b) {
  const Key *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order ? order : (x->item > y->item) - (x->item < y->item); /* the case before its item */
}

static void index_free(Index *x) { free(x->key), free(x->first), free(x->next); }

static bool index_new(Index *x, const Dataset *d, char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
  size_t cases = (size_t)d->ncase, items = (size_t)d->nitem;
  *x = (Index){d, malloc((items + cases + 1) * sizeof *x->key), 0, malloc((cases + 1) * sizeof *x->first),
               malloc((items + 1) * sizeof *x->next)};
  if (!x->key || !x->first || !x->next) {
    index_free(x);
    return err_memory(err, "the names of the images", d->nitem * (int64_t)sizeof *x->key);
  }
  for (int c = 0; c < d->ncase; c++) x->first[c] = -1;
  for (int i = d->nitem - 1; i >= 0; i--)
    x->next[i] = x->first[d->item[i].patient], x->first[d->item[i].patient] = i;
  for (int c = 0; c < d->ncase; c++) /* a case that was left out has none */
    if (x->first[c] >= 0) x->key[x->n++] = (Key){m->patient[c], -1, c};
  for (int i = 0; i < d->nitem; i++) x->key[x->n++] = (Key){d->item[i].name, i, d->item[i].patient};
  qsort(x->key, (size_t)x->n, sizeof *x->key, by_name);
  return true;
}

static const Key *index_find(const Index *x, const char *name) {
  int low = 0, high = x->n;
  while (low < high) {
    int middle = (low + high) / 2;
    if (strcmp(x->key[middle].name, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low < x->n && !strcmp(x->key[low].name, name) ? &x->key[low] : NULL;
}

/* ---- which of them a line means ---- */

enum { NAME_ROOM = 4096 };

/* The name itself, without the ending of a format, or without any ending: lists may name what the images were
 * made from. */
static const Key *find_with_ending(const Index *x, const char *name) {
  char stem[NAME_ROOM];
  const Key *k = index_find(x, name);
  snprintf(stem, sizeof stem, "%s", name);
  stem[format_stem(stem)] = '\0';
  if (!k) k = index_find(x, stem);
  char *dot = strrchr(stem, '.');
  if (!k && dot && dot > stem) *dot = '\0', k = index_find(x, stem);
  return k;
}

/* Does `path` end with the components of `tail`? */
static bool ends_with(const char *path, const char *tail) {
  size_t n = strlen(path), t = strlen(tail);
  return n >= t && !strcmp(path + n - t, tail) && (n == t || path[n - t - 1] == '/');
}

/* A file of the data set, by the end of its path: CASE/mri_norm2.h5. */
static const Key *find_file(const Index *x, const char *path, Key *room) {
  const DataImpl *m = x->d->impl;
  for (int i = 0; i < x->d->nitem; i++) {
    const Source *s = &m->source[i];
    if (!s->nfile || !ends_with(s->file[0], path)) continue;
    *room = (Key){x->d->item[i].name, s->slice < 0 ? i : -1, x->d->item[i].patient};
    return room;
  }
  return NULL;
}

/* A volume whose slices are the items, where its case is a patient of several volumes: the case. */
static const Key *find_volume(const Index *x, const char *name, Key *room) {
  char volume[NAME_ROOM];
  for (int i = 0; i < x->d->nitem; i++) {
    const Item *it = &x->d->item[i];
    if (strncmp(it->name, name, strlen(name)) || strcmp(case_in_name(it->name, volume, sizeof volume), name))
      continue;
    *room = (Key){it->name, -1, it->patient};
    return room;
  }
  return NULL;
}

/* A path is a name with directories in front, of which some may belong to the name. A directory does not hold
 * what separates columns: else the second column could stand in for a first one that fits nothing. */
static const Key *find_path(const Index *x, const char *text, Key *room) {
  char path[NAME_ROOM];
  snprintf(path, sizeof path, "%s", text);
  for (char *p = path; *p; p++)
    if (*p == '\\') *p = '/';
  const char *at = path;
  while (!strncmp(at, "./", 2)) at += 2;
  for (const char *p = at;; p += strcspn(p, "/") + 1) {
    const Key *k = find_with_ending(x, p);
    if (k) return k;
    if (p[strcspn(p, "/")] == '\0' || strcspn(p, ",;\t ") < strcspn(p, "/")) break;
  }
  return strchr(at, '/') ? find_file(x, at, room) : find_volume(x, at, room);
}

/* The first column, where the separators are those of `between`; without the quotes around it. */
static void first_column(const char *text, const char *between, char out[NAME_ROOM]) {
  bool quoted = *text == '"';
  if (quoted) text++;
  snprintf(out, NAME_ROOM, "%.*s", (int)strcspn(text, quoted ? "\"" : between), text);
  size_t n = strlen(out);
  while (n && strchr(blanks, out[n - 1])) out[--n] = '\0';
}

static const char *const separators[] = {"", ",;\t", ",;\t "};

static const Key *find_line(const Index *x, const char *text, Key *room) {
  char column[NAME_ROOM];
  for (size_t i = 0; i < sizeof separators / sizeof *separators; i++) {
    first_column(text, separators[i], column);
    const Key *k = find_path(x, column, room);
    if (k) return k;
  }
  return NULL;
}

/* The first line of a table may name its columns. */
static bool is_heading(const char *text) {
  static const char *const word[] = {"image", "images",   "img",      "name",    "id",         "case",
                                     "file",  "filename", "image_id", "case_id", "image_path", "path"};
  char column[NAME_ROOM];
  first_column(text, separators[1], column);
  for (size_t i = 0; i < sizeof word / sizeof *word; i++)
    if (!strcasecmp(column, word[i])) return strlen(text) > strlen(column);
  return false;
}

/* A list made of a directory's listing may name itself, or another list. */
static bool is_list(const char *text) {
  static const char *const ending[] = {".txt", ".list", ".csv", ".json"};
  size_t n = strlen(text);
  for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
    size_t e = strlen(ending[i]);
    if (n > e && !strcasecmp(text + n - e, ending[i])) return true;
  }
  return false;
}

/* ---- names that fit nothing ---- */

/* "; nearest: case1, case2", or "" where none is like it. */
static void nearest_str(const Index *x, const char *text, char *out, size_t size) {
  char column[NAME_ROOM];
  const char *near[3], **names = malloc((size_t)x->n * sizeof *names + 1);
  int n = 0, k = 0;
  *out = '\0';
  first_column(text, separators[1], column);
  for (char *p = column; *p; p++)
    if (*p == '\\') *p = '/';
  const char *slash = strrchr(column, '/'), *name = slash ? slash + 1 : column;
  column[(size_t)(name - column) + format_stem(name)] = '\0';
  for (int i = 0; names && i < x->n; i++) /* an item that is its case counts once */
    if (!n || strcmp(names[n - 1], x->key[i].name)) names[n++] = x->key[i].name;
  if (names) k = nearest_names(name, names, n, (int)strlen(name) / 2 + 1, near, 3);
  for (int i = 0, at = 0; i < k && at < (int)size; i++)
    at += snprintf(out + at, size - (size_t)at, "%s%.40s", i ? ", " : "; nearest: ", near[i]);
  free(names);
}

static const char *where(const Dataset *d) { return d->root ? d->root : d->name; }

static bool none_fits(const Index *x, const List *l, int first, int missing, char err[ERR_MAX]) {
  char near[160], others[64] = "";
  nearest_str(x, l->name[first].text, near, sizeof near);
  if (missing > 1) snprintf(others, sizeof others, ", nor are %d other of its %d names", missing - 1, l->n);
  return err_set(err, "%.160s:%d: '%.60s' is neither a case nor an image of %.120s%s%s%s", l->path,
                 l->name[first].line, l->name[first].text, where(x->d), others, near,
                 missing < l->n ? " (--missing skip leaves such names out)" : "");
}

/* ---- all lines ---- */

static bool take_key(const Index *x, const List *l, int k, const Key *key, ListTake take, void *user,
                     char err[ERR_MAX]) {
  if (key->item >= 0) return take(user, l, k, key->item, err);
  for (int i = x->first[key->patient]; i >= 0; i = x->next[i])
    if (!take(user, l, k, i, err)) return false;
  return true;
}

static bool apply_lines(Dataset *d, const Index *x, const List *l, ListTake take, void *user,
                        char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
  int missing = 0, first = 0;
  for (int k = 0; k < l->n; k++) {
    const char *text = l->name[k].text;
    Key room;
    const Key *key = find_line(x, text, &room);
    if (key && !take_key(x, l, k, key, take, user, err)) return false;
    if (key || (k == 0 && is_heading(text))) continue;
    if (is_list(text))
      note(d->shape.notes, "%s:%d: '%s' is no image and passed over", l->path, l->name[k].line, text);
    else first = missing++ ? first : k;
  }
  if (!missing) return true;
  if (!m->skip_missing || missing == l->n) return none_fits(x, l, first, missing, err);
  note(d->shape.notes,
       "%d of the %d names of %s are no case or image of %s and left out, the first '%.60s' (line %d)",
       missing, l->n, l->path, where(d), l->name[first].text, l->name[first].line);
  return true;
}

bool list_apply(Dataset *d, const List *l, ListTake take, void *user, char err[ERR_MAX]) {
  Index x;
  if (!index_new(&x, d, err)) return false;
  bool ok = apply_lines(d, &x, l, take, user, err);
  index_free(&x);
  return ok;
}
