/* labeled.c - which of the training cases are labelled. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/data/internal.h"
#include "runtime/data/list.h"

static bool has_mask(const Dataset *d, int item) {
  const DataImpl *m = d->impl;
  return !d->root || m->source[item].mask;
}

/* Training cases whose images all have masks, a byte per case; *n: training cases, *masked: those. NULL
 * without memory. */
static uint8_t *masked_cases(const Dataset *d, int *n, int *masked) {
  uint8_t *with = training_cases(d, n);
  for (int i = 0; with && i < d->nitem; i++)
    if (d->item[i].split == SPLIT_TRAIN && !has_mask(d, i)) with[d->item[i].patient] = 0;
  *masked = 0;
  for (int c = 0; with && c < d->ncase; c++) *masked += with[c];
  return with;
}

static void label_none(Dataset *d) {
  for (int i = 0; i < d->nitem; i++) d->item[i].labeled = d->item[i].split != SPLIT_TRAIN;
}

/* The cases in order[0..n-1] that `with` has, `want` of them. */
static void label_cases(Dataset *d, uint8_t *with, const int *order, int n, int want) {
  uint8_t *chosen = with; /* 2: chosen */
  for (int k = 0; k < n && want > 0; k++)
    if (chosen[order[k]]) chosen[order[k]] = 2, want--;
  label_none(d);
  for (int i = 0; i < d->nitem; i++)
    if (d->item[i].split == SPLIT_TRAIN) d->item[i].labeled = chosen[d->item[i].patient] == 2;
}

static bool enough(const Dataset *d, const char *how, int want, int n, int masked, char err[ERR_MAX]) {
  if (want <= masked) return true;
  if (want > n) return err_set(err, "--labeled %s: there are only %d training cases in %s", how, n, d->name);
  return err_set(
      err,
      "--labeled %s: that is %d cases, but only %d of the %d training cases of %s have masks (of all "
      "their images)",
      how, want, masked, n, d->name);
}

static bool label_some(Dataset *d, const char *how, uint64_t seed, char err[ERR_MAX]) {
  int n, masked, want = 0, ranked = 0;
  uint8_t *with = masked_cases(d, &n, &masked);
  Ranked *r = with ? rank_cases(d, with, seed + 1, &ranked) : NULL;
  int *order = r ? malloc(((size_t)ranked + 1) * sizeof *order) : NULL;
  bool ok = order || err_memory(err, "the labelled cases", d->ncase);
  if (ok && !split_amount(how, n, &want))
    ok = err_set(
        err, "--labeled %s: expected a percentage (10%%), a whole number of cases, first:N, or a list file",
        how);
  ok = ok && enough(d, how, want, n, masked, err);
  for (int k = 0; ok && k < ranked; k++) order[k] = r[k].patient;
  if (ok) label_cases(d, with, order, ranked, want);
  free(order), free(r), free(with);
  return ok;
}

/* The first N of train.list: the protocol of papers that publish one. Those that validate are passed over;
 * the others must have masks. */
static bool label_first(Dataset *d, const char *how, char err[ERR_MAX]) {
  const DataImpl *m = d->impl;
  const char *number = how + strlen("first:");
  int n, masked, want = 0, seen = 0, passed = 0;
  if (strchr(number, '%') || !split_amount(number, 0, &want))
    return err_set(err, "--labeled %s: expected first:N, a whole number of cases from the top of train.list",
                   how);
  if (!m->order)
    return err_set(err, "--labeled %s: %s has no train.list that says which cases are first", how,
                   d->root ? d->root : d->name);
  uint8_t *with = masked_cases(d, &n, &masked), *train = with ? training_cases(d, &n) : NULL;
  bool ok = train || err_memory(err, "the labelled cases", d->ncase);
  ok = ok && enough(d, how, want, n, masked, err);
  for (int k = 0; ok && k < m->norder && seen < want; k++) {
    if (!train[m->order[k]] && k < want) passed++;
    if (!train[m->order[k]]) continue;
    seen++;
    if (!with[m->order[k]])
      ok = err_set(err, "--labeled %s: case %s is among the first %d of train.list, but has no mask", how,
                   m->patient[m->order[k]], want);
  }
  if (ok && passed)
    note(d->shape.notes,
         "--labeled %s: %d of the first %d cases of train.list validate; the next ones take their place", how,
         passed, want);
  if (ok) label_cases(d, with, m->order, m->norder, want);
  free(train), free(with);
  return ok;
}

typedef struct {
  Dataset *d;
  int validating; /* images that a fold or --val keeps from training */
} Labeling;

static bool take_labeled(void *user, const List *l, int k, int item, char err[ERR_MAX]) {
  Labeling *s = user;
  Item *it = &s->d->item[item];
  if (it->split == SPLIT_TEST)
    return err_set(err, "%.200s:%d: '%.60s' is a test case of %s; only training cases can be labelled",
                   l->path, l->name[k].line, l->name[k].text, s->d->name);
  if (it->split == SPLIT_VAL) return s->validating++, true;
  if (!has_mask(s->d, item))
    return err_set(err, "%.160s:%d: '%.60s' is to be labelled, but %s has no mask", l->path, l->name[k].line,
                   l->name[k].text, it->name);
  return it->labeled = true;
}

static bool label_listed(Dataset *d, const char *path, char err[ERR_MAX]) {
  List l;
  Labeling s = {d, 0};
  if (access(path, R_OK))
    return err_sys(
        err, "--labeled %s: neither a percentage (10%%), a number of cases nor first:N, and as a list", path);
  if (!list_read(&l, path, err)) return false;
  label_none(d);
  bool ok = list_apply(d, &l, take_labeled, &s, err);
  list_free(&l);
  if (ok && s.validating)
    note(d->shape.notes, "%d images that %s names are in the validation split and not trained on",
         s.validating, path);
  if (ok && !data_count(d, SPLIT_TRAIN, true))
    ok = err_set(err, "%s: names no training case of %s", path, d->name);
  return ok;
}

bool data_split_labeled(Dataset *d, const char *how, uint64_t seed, char err[ERR_MAX]) {
  char *end;
  strtod(how, &end);
  if (end != how && (!*end || !strcmp(end, "%"))) return label_some(d, how, seed, err);
  if (!strncmp(how, "first:", 6)) return label_first(d, how, err);
  return label_listed(d, how, err);
}
