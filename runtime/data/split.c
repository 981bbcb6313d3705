/* split.c - which cases train, which test, and which of the training cases are labelled. Always by case. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/data/internal.h"

/* FNV-1a, 64 bit. */
uint64_t name_hash(const char *s) {
  uint64_t h = 0xcbf29ce484222325u;
  for (; *s; s++) h = (h ^ (uint8_t)*s) * 0x100000001b3u;
  return h;
}

/* Neighbouring names must not get neighbouring places. */
static uint64_t mix(uint64_t h, uint64_t seed) {
  h ^= seed * 0x9E3779B97F4A7C15u;
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9u;
  h = (h ^ (h >> 27)) * 0x94D049BB133111EBu;
  return h ^ (h >> 31);
}

/* A line of a list: blanks, directories and endings of files are dropped. Returns false for an empty line. */
static bool list_name(char *line) {
  line[strcspn(line, "\r\n")] = 0;
  char *slash = strrchr(line, '/');
  if (slash) memmove(line, slash + 1, strlen(slash + 1) + 1);
  line[format_stem(line)] = 0;
  size_t n = strlen(line);
  if (n > 4 && !strcmp(line + n - 4, ".bmp"))
    line[n - 4] = 0; /* lists may name what the images were made from */
  return *line;
}

/* Lists may name a volume whose slices are the items, where its case is a patient of several volumes. */
static bool is_slice_of(const char *item, const char *volume) {
  char name[256];
  return !strncmp(item, volume, strlen(volume)) && !strcmp(case_in_name(item, name, sizeof name), volume);
}

typedef void (*MarkFn)(Dataset *d, int item, int mark);

/* Applies fn to every item named, or whose case is named, in the list file. Counts the names found and not
 * found. */
static bool apply_list(Dataset *d, const char *path, MarkFn fn, int mark, int *found, char missing[128],
                       char err[ERR_MAX]) {
  FILE *f = fopen(path, "r");
  char *line = NULL;
  size_t room = 0;
  const DataImpl *m = d->impl;
  if (!f) return err_sys(err, "%s", path);
  *found = 0, *missing = 0;
  while (getline(&line, &room, f) >= 0) {
    if (!list_name(line)) continue;
    bool here = false;
    for (int i = 0; i < d->nitem; i++)
      if (!strcmp(d->item[i].name, line) || !strcmp(m->patient[d->item[i].patient], line) ||
          is_slice_of(d->item[i].name, line))
        fn(d, i, mark), here = true;
    if (here) ++*found;
    else if (!*missing) snprintf(missing, 128, "%.120s", line);
  }
  free(line);
  fclose(f);
  return true;
}

static void mark_split(Dataset *d, int item, int split) { d->item[item].split = (Split)split; }

/* train.list, val.list and test.list (or .txt) beside the data, as the field publishes them. */
static bool split_by_lists(Dataset *d, bool *done, char err[ERR_MAX]) {
  static const char *const name[] = {"train", "val", "test"};
  char path[4096], missing[128];
  *done = false;
  for (int i = 0; i < d->nitem; i++) d->item[i].split = SPLIT_NONE;
  for (int s = 0; s < 6; s++) {
    int found;
    snprintf(path, sizeof path, "%s/%s.%s", d->root, name[s / 2], s % 2 ? "txt" : "list");
    FILE *f = fopen(path, "r");
    if (!f) continue;
    fclose(f);
    if (!apply_list(d, path, mark_split, s / 2, &found, missing, err)) return false;
    *done = *done || found;
  }
  return true;
}

/* Drops the items no list named. */
static void drop_left_out(Dataset *d) {
  DataImpl *m = d->impl;
  int n = 0;
  for (int i = 0; i < d->nitem; i++) {
    if (d->item[i].split == SPLIT_NONE) {
      free(d->item[i].name), source_free(&m->source[i]);
      continue;
    }
    d->item[n] = d->item[i], m->source[n] = m->source[i], n++;
  }
  d->nitem = n;
}

/* Parts that the data set's folders name. */
static void split_by_folders(Dataset *d) {
  const DataImpl *m = d->impl;
  for (int i = 0; i < d->nitem; i++)
    d->item[i].split = m->source[i].part == PART_TEST  ? SPLIT_TEST
                       : m->source[i].part == PART_VAL ? SPLIT_VAL
                                                       : SPLIT_TRAIN;
}

/* The literature's ten test volumes of LiTS. */
static bool lits_test_volume(const char *patient) {
  static const int test[] = {14, 17, 36, 39, 48, 61, 63, 67, 75, 84};
  int n;
  if (sscanf(patient, "volume-%d", &n) != 1) return false;
  for (size_t i = 0; i < sizeof test / sizeof *test; i++)
    if (n == test[i]) return true;
  return false;
}

typedef struct {
  uint64_t key;
  int patient;
} Ranked;

static int by_key(const void *a, const void *b) {
  const Ranked *x = a, *y = b;
  return (x->key > y->key) - (x->key < y->key);
}

/* Cases in an order that depends on their names and the seed only; where use is given, those with use[case]
 * == 0 left out. */
static Ranked *rank_cases(const Dataset *d, const uint8_t *use, uint64_t seed, int *n) {
  const DataImpl *m = d->impl;
  Ranked *r = malloc((size_t)(d->ncase + 1) * sizeof *r);
  *n = 0;
  for (int c = 0; r && c < d->ncase; c++)
    if (!use || use[c]) r[(*n)++] = (Ranked){mix(name_hash(m->patient[c]), seed), c};
  if (r) qsort(r, (size_t)*n, sizeof *r, by_key);
  return r;
}

bool split_cases(Dataset *d, const char *kind, char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
  bool done;
  if (!split_by_lists(d, &done, err)) return false;
  if (done) return drop_left_out(d), true;
  if (m->found.parts) return split_by_folders(d), true;
  uint8_t *test = calloc((size_t)d->ncase + 1, 1);
  int n = 0, ntest = 0;
  Ranked *r = test ? rank_cases(d, NULL, 0, &n) : NULL;
  if (!r) return free(test), err_set(err, "%s: not enough memory", d->root);
  if (!strcmp(kind, "lits"))
    for (int c = 0; c < d->ncase; c++) ntest += test[c] = lits_test_volume(m->patient[c]);
  if (ntest == 0 || ntest == d->ncase) { /* no published split: every fifth case, chosen by name */
    memset(test, 0, (size_t)d->ncase);
    for (int i = 0; i < (n + 2) / 5 || (i == 0 && n > 1); i++) test[r[i].patient] = 1;
  }
  for (int i = 0; i < d->nitem; i++) d->item[i].split = test[d->item[i].patient] ? SPLIT_TEST : SPLIT_TRAIN;
  free(r), free(test);
  return true;
}

static void mark_labeled(Dataset *d, int item, int mark) {
  if (d->item[item].split == SPLIT_TRAIN) d->item[item].labeled = mark;
}

static bool split_by_count(Dataset *d, const char *how, uint64_t seed, char err[ERR_MAX]) {
  uint8_t *train = calloc((size_t)d->ncase + 1, 1);
  int n = 0;
  for (int i = 0; train && i < d->nitem; i++)
    if (d->item[i].split == SPLIT_TRAIN) train[d->item[i].patient] = 1;
  Ranked *r = train ? rank_cases(d, train, seed + 1, &n) : NULL;
  char *end;
  double amount = strtod(how, &end);
  bool percent = *end == '%' && !end[1],
       ok = r && end != how && (percent || (!*end && amount == floor(amount))) && amount > 0 && amount < 1e9;
  int want = ok ? (int)(percent ? amount / 100 * n + 0.5 : amount) : 0;
  if (ok && want < 1) want = 1; /* a fraction of a small set still labels one case */
  if (!r) err_set(err, "not enough memory to split the data set");
  else if (!ok || (percent && amount > 100))
    ok = err_set(err, "--labeled %s: expected a percentage (10%%), a whole number of cases, or a list file",
                 how);
  else if (want > n) ok = err_set(err, "--labeled %s: there are only %d training cases", how, n);
  for (int i = 0; ok && i < d->nitem; i++) d->item[i].labeled = d->item[i].split != SPLIT_TRAIN;
  for (int k = 0; ok && k < want; k++)
    for (int i = 0; i < d->nitem; i++)
      if (d->item[i].patient == r[k].patient) d->item[i].labeled = true;
  free(r), free(train);
  return ok;
}

/* Training items that are to be used with their label must have one. */
static bool check_labels(const Dataset *d, char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
  for (int i = 0; d->root && i < d->nitem; i++)
    if (d->item[i].labeled && d->item[i].split == SPLIT_TRAIN && !m->source[i].mask)
      return err_set(err, "%s: it is to be a labelled case, but has no mask", m->source[i].file[0]);
  return true;
}

bool data_split_labeled(Dataset *d, const char *how, uint64_t seed, char err[ERR_MAX]) {
  char *end;
  strtod(how, &end);
  if (end != how && (!*end || !strcmp(end, "%")))
    return split_by_count(d, how, seed, err) && check_labels(d, err);
  int found;
  char missing[128];
  for (int i = 0; i < d->nitem; i++) d->item[i].labeled = d->item[i].split != SPLIT_TRAIN;
  if (!apply_list(d, how, mark_labeled, 1, &found, missing, err)) return false;
  if (*missing) return err_set(err, "%s: '%s' is neither a case nor an item of %s", how, missing, d->name);
  if (!data_count(d, SPLIT_TRAIN, true))
    return err_set(err, "%s: names no training case of %s", how, d->name);
  return check_labels(d, err);
}
