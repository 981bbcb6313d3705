/* split.c - which cases train, which validate, which test: by lists, else by name; then folds and validation
 * parts of the training cases. Always by case, never by a seed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/data/internal.h"
#include "runtime/data/list.h"

/* ---- cases in an order of their own ---- */

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

static int by_key(const void *a, const void *b) {
  const Ranked *x = a, *y = b;
  return (x->key > y->key) - (x->key < y->key);
}

Ranked *rank_cases(const Dataset *d, const uint8_t *use, uint64_t seed, int *n) {
  const DataImpl *m = d->impl;
  Ranked *r = malloc((size_t)(d->ncase + 1) * sizeof *r);
  *n = 0;
  for (int c = 0; r && c < d->ncase; c++)
    if (!use || use[c]) r[(*n)++] = (Ranked){mix(name_hash(m->patient[c]), seed), c};
  if (r) qsort(r, (size_t)*n, sizeof *r, by_key);
  return r;
}

uint8_t *training_cases(const Dataset *d, int *n) {
  uint8_t *train = calloc((size_t)d->ncase + 1, 1);
  *n = 0;
  for (int i = 0; train && i < d->nitem; i++)
    if (d->item[i].split == SPLIT_TRAIN) *n += !train[d->item[i].patient], train[d->item[i].patient] = 1;
  return train;
}

bool split_amount(const char *how, int n, int *want) {
  char *end;
  double amount = strtod(how, &end);
  bool percent = *end == '%' && !end[1];
  if (end == how || !(percent || (!*end && amount == floor(amount))) || !(amount > 0 && amount < 1e9) ||
      (percent && amount > 100))
    return false;
  *want = (int)(percent ? amount / 100 * n + 0.5 : amount);
  if (*want < 1) *want = 1; /* a fraction of a small set is still one case */
  return true;
}

/* ---- train.list, val.list and test.list (or .txt) beside the data, as the field publishes them ---- */

static const char *const list_name[3] = {"train", "val", "test"};
enum { PATH_ROOM = 4096 };

typedef struct {
  Dataset *d;
  Split split; /* of the list at hand */
  char path[3][PATH_ROOM];
  struct Claim {
    int line; /* 0: no list has named the case */
    Split split;
  } * claim; /* per case */
} Lists;

/* Where the list of a split is, "" if nowhere. */
static bool find_list(Lists *s, Split split, char err[ERR_MAX]) {
  char text[PATH_ROOM];
  snprintf(s->path[split], PATH_ROOM, "%s/%s.list", s->d->root, list_name[split]);
  snprintf(text, PATH_ROOM, "%s/%s.txt", s->d->root, list_name[split]);
  bool list = !access(s->path[split], F_OK), txt = !access(text, F_OK);
  if (list && txt)
    return err_set(err, "%s has both %s.list and %s.txt: remove the one that does not count", s->d->root,
                   list_name[split], list_name[split]);
  if (txt) strcpy(s->path[split], text);
  else if (!list) *s->path[split] = '\0';
  return true;
}

static bool take_split(void *user, const List *l, int k, int item, char err[ERR_MAX]) {
  Lists *s = user;
  DataImpl *m = s->d->impl;
  int c = s->d->item[item].patient;
  struct Claim *claim = &s->claim[c];
  if (claim->line && claim->split != s->split && m->shared)
    note(s->d->shape.notes, "case '%.60s' is in %.160s (line %d), too: weights may have been trained on it",
         m->patient[c], s->path[claim->split], claim->line);
  else if (claim->line && claim->split != s->split)
    return err_set(err, "case '%.60s' is in %.160s (line %d) and in %.160s (line %d): it can be in one only",
                   m->patient[c], s->path[claim->split], claim->line, l->path, l->name[k].line);
  if (!claim->line && s->split == SPLIT_TRAIN) m->order[m->norder++] = c;
  if (!claim->line) *claim = (struct Claim){l->name[k].line, s->split};
  s->d->item[item].split = s->split;
  return true;
}

/* Drops the items no list named. */
static void drop_left_out(Dataset *d) {
  DataImpl *m = d->impl;
  int n = 0, all = d->nitem;
  for (int i = 0; i < d->nitem; i++) {
    if (d->item[i].split == SPLIT_NONE) {
      free(d->item[i].name), free(d->item[i].only), source_free(&m->source[i]);
      continue;
    }
    d->item[n] = d->item[i], m->source[n] = m->source[i], n++;
  }
  d->nitem = n;
  if (n < all)
    note(d->shape.notes, "%d of the %d images of %s are in none of its lists and left out", all - n, all,
         d->root);
}

static bool apply_lists(Lists *s, char err[ERR_MAX]) {
  Dataset *d = s->d;
  DataImpl *m = d->impl;
  s->claim = calloc((size_t)d->ncase + 1, sizeof *s->claim);
  m->order = malloc(((size_t)d->ncase + 1) * sizeof *m->order);
  if (!s->claim || !m->order) return err_memory(err, "the lists of cases", d->ncase);
  for (int i = 0; i < d->nitem; i++) d->item[i].split = SPLIT_NONE;
  for (int k = 0; k < 3; k++) {
    List l;
    s->split = (Split)k;
    if (!*s->path[k]) continue;
    if (!list_read(&l, s->path[k], err)) return false;
    bool ok = list_apply(d, &l, take_split, s, err);
    list_free(&l);
    if (!ok) return false;
  }
  if (*s->path[SPLIT_TRAIN]) return drop_left_out(d), true;
  free(m->order), m->order = NULL;
  int rest = 0;
  for (int i = 0; i < d->nitem; i++)
    if (d->item[i].split == SPLIT_NONE) d->item[i].split = SPLIT_TRAIN, rest++;
  note(d->shape.notes, "%s has no train.list: the %d images that are in no list train", d->root, rest);
  return true;
}

/* *done: there were lists. */
static bool split_by_lists(Dataset *d, bool *done, char err[ERR_MAX]) {
  Lists s = {.d = d};
  *done = false;
  for (int k = 0; k < 3; k++) {
    if (!find_list(&s, (Split)k, err)) return false;
    *done = *done || *s.path[k];
  }
  bool ok = !*done || apply_lists(&s, err);
  free(s.claim);
  return ok;
}

/* ---- without lists ---- */

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

static bool split_by_name(Dataset *d, const char *kind, char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
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

/* ---- parts of the training cases that validate ---- */

/* Those of rank r[i] with i % step == first, `most` at most, validate. */
static void validate(Dataset *d, const Ranked *r, int n, int first, int step, int most) {
  for (int i = first; i < n && most > 0; i += step, most--)
    for (int k = 0; k < d->nitem; k++)
      if (d->item[k].patient == r[i].patient && d->item[k].split == SPLIT_TRAIN) d->item[k].split = SPLIT_VAL;
}

static bool split_fold(Dataset *d, const char *fold, char err[ERR_MAX]) {
  int k, parts, n, end = 0, pooled = 0;
  if (sscanf(fold, "%d/%d%n", &k, &parts, &end) != 2 || fold[end] || parts < 2 || k < 1 || k > parts)
    return err_set(err, "--fold %s: expected K/N, the K-th of N parts, as in 1/5 2/5 .. 5/5", fold);
  for (int i = 0; i < d->nitem; i++)
    if (d->item[i].split == SPLIT_VAL) d->item[i].split = SPLIT_TRAIN, pooled++;
  if (pooled)
    note(d->shape.notes, "--fold %s: the %d images of val.list are among those that are divided", fold,
         pooled);
  uint8_t *train = training_cases(d, &n);
  Ranked *r = train ? rank_cases(d, train, 0, &n) : NULL;
  bool ok = r || err_memory(err, "the folds", d->ncase);
  if (ok && parts > n)
    ok = err_set(err, "--fold %s: %s has only %d training cases, too few for %d parts", fold, d->name, n,
                 parts);
  if (ok) validate(d, r, n, k - 1, parts, n);
  free(r), free(train);
  return ok;
}

bool data_split_val(Dataset *d, const char *how, char err[ERR_MAX]) {
  int n, want = 0;
  if (!strcmp(how, "none")) return true;
  if (data_count(d, SPLIT_VAL, false))
    return err_set(err, "--val %s: val.list names the validation cases of %s already (remove it, or --val)",
                   how, d->root);
  uint8_t *train = training_cases(d, &n);
  Ranked *r = train ? rank_cases(d, train, 0, &n) : NULL;
  bool ok = r || err_memory(err, "the validation cases", d->ncase);
  if (ok && !split_amount(how, n, &want))
    ok = err_set(err, "--val %s: expected a percentage (20%%), a whole number of cases, or none", how);
  else if (ok && want >= n)
    ok =
        err_set(err, "--val %s: %s has %d training cases, of which at least one must train", how, d->name, n);
  if (ok) validate(d, r, n, 0, 1, want);
  free(r), free(train);
  return ok;
}

/* ---- all of it ---- */

bool split_cases(Dataset *d, const char *kind, const SplitPlan *plan, char err[ERR_MAX]) {
  bool done = !d->root; /* the phantom comes divided */
  if (plan->fold && plan->val && strcmp(plan->val, "none") != 0)
    return err_set(err, "--fold and --val exclude each other: a fold is the validation split");
  if (d->root && !split_by_lists(d, &done, err)) return false;
  if (!done && ((const DataImpl *)d->impl)->found.parts) split_by_folders(d), done = true;
  if (!done && !split_by_name(d, kind, err)) return false;
  if (plan->fold) return split_fold(d, plan->fold, err);
  return !plan->val || data_split_val(d, plan->val, err);
}

uint64_t data_split_hash(const Dataset *d) {
  uint64_t sum = 0;
  for (int i = 0; i < d->nitem; i++) sum += mix(name_hash(d->item[i].name), 1 + (uint64_t)d->item[i].split);
  return sum;
}
