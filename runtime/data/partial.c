/* partial.c - partial.list: cases whose masks tell some of the classes only. What such a mask has as
 * background may be any of the others, so that training ignores it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/data/internal.h"
#include "runtime/data/list.h"

/* ---- the list ---- */

enum { NAME_ROOM = 256 };

/* The next word of a line, of which blanks, tabs, commas and semicolons separate the words, but in quotes; ""
 * behind the last. */
static const char *next_word(const char *at, char word[NAME_ROOM]) {
  static const char between[] = " \t,;";
  at += strspn(at, between);
  bool quoted = *at == '"';
  at += quoted;
  size_t n = strcspn(at, quoted ? "\"" : between);
  snprintf(word, NAME_ROOM, "%.*s", (int)(n < NAME_ROOM ? n : NAME_ROOM - 1), at);
  return at + n + (quoted && at[n]);
}

static int class_named(const Recipe *r, const char *name) {
  for (int c = 1; c < r->nclass; c++)
    if (!strcmp(r->class_name[c], name)) return c;
  return 0;
}

typedef struct {
  Dataset *d;
  bool any_class; /* names need be no classes */
} Reading;

static bool take_class(const Reading *r, const List *l, int k, const char *name, uint8_t *only,
                       char err[ERR_MAX]) {
  const Recipe *recipe = r->d->shape.recipe;
  int c = recipe->class_name ? class_named(recipe, name) : 0;
  if (c) only[c / 8] |= (uint8_t)(1u << c % 8);
  if (c || r->any_class) return true;
  if (!recipe->class_name)
    return err_set(err, "%s: it names classes, but the module's prepare has no `labels` that do", l->path);
  return err_set(err, "%s:%d: '%.60s' is no class of the module's `labels`", l->path, l->name[k].line, name);
}

/* A line is told once for every image of its case: a case may have several. */
static bool take_line(void *user, const List *l, int k, int item, char err[ERR_MAX]) {
  const Reading *r = user;
  Item *it = &r->d->item[item];
  char word[NAME_ROOM];
  const char *at = next_word(l->name[k].text, word); /* the case */
  int n = 0;
  if (it->only)
    return err_set(err, "%s:%d: '%.60s' is in the list twice", l->path, l->name[k].line, it->name);
  if (!(it->only = calloc(1, ONLY_BYTES))) return err_memory(err, "the classes of a case", ONLY_BYTES);
  for (at = next_word(at, word); *word; at = next_word(at, word), n++)
    if (!take_class(r, l, k, word, it->only, err)) return false;
  return n || err_set(err, "%s:%d: no class is named that the mask of '%.60s' tells: CASE CLASS CLASS ..",
                      l->path, l->name[k].line, it->name);
}

bool partial_read(Dataset *d, bool any_class, char err[ERR_MAX]) {
  char path[4096];
  List l;
  Reading r = {d, any_class};
  snprintf(path, sizeof path, "%s/partial.list", d->root);
  if (access(path, F_OK)) return true;
  if (!list_read(&l, path, err)) return false;
  bool ok = list_apply(d, &l, take_line, &r, err);
  list_free(&l);
  return ok;
}

int data_partial(const Dataset *d) {
  uint8_t *met = calloc((size_t)d->ncase + 1, 1);
  int n = 0;
  for (int i = 0; met && i < d->nitem; i++)
    if (d->item[i].only && !met[d->item[i].patient]) met[d->item[i].patient] = 1, n++;
  free(met);
  return n;
}

/* ---- masks ---- */

bool data_check_told(const Dataset *d, int item, const uint8_t *label, int64_t n, char err[ERR_MAX]) {
  const uint8_t *only = d->item[item].only;
  const Recipe *r = d->shape.recipe;
  for (int64_t i = 0; only && label && i < n; i++)
    if (label[i] && label[i] != CLASS_IGNORE && !only_has(only, label[i]))
      return err_set(err, "%s: its mask has %.60s, which %s/partial.list does not name for it",
                     d->item[item].name, r->class_name ? r->class_name[label[i]] : "a class", d->root);
  return true;
}

bool data_hide_untold(const Dataset *d, int item, Sample *x, char err[ERR_MAX]) {
  int64_t n = x->dim[0] * x->dim[1] * (d->shape.spatial == 3 ? x->dim[2] : 1);
  if (!data_check_told(d, item, x->label, n, err)) return false;
  for (int64_t i = 0; d->item[item].only && x->label && i < n; i++)
    if (x->label[i] == 0) x->label[i] = CLASS_IGNORE;
  return true;
}
