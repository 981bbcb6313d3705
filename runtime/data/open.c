/* open.c - opening and closing data sets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "runtime/data/internal.h"

void data_close(Dataset *d) {
  if (!d) return;
  DataImpl *m = d->impl;
  for (int i = 0; i < d->nitem; i++) free(d->item[i].name), free(d->item[i].only), source_free(&m->source[i]);
  for (int i = 0; i < d->ncase; i++) free(m->patient[i]);
  store_close(&m->store);
  free(m->source), free(m->patient), free(m->order);
  prepared_free(&m->own);
  found_free(&m->found);
  pthread_mutex_destroy(&m->lock);
  free(m), free(d->item), free(d->name), free(d->root), free(d);
}

bool data_locate(const char *spec, char **name, char **root, char err[ERR_MAX]) {
  static const char *const known[] = {"lits", "isic2018", "isic", "la", "folder", "phantom"};
  const char *colon = strchr(spec, ':'), *base = getenv("NETRUN_DATA");
  bool is_known = false;
  *root = NULL;
  *name = colon ? strndup(spec, (size_t)(colon - spec)) : strdup(spec);
  if (!*name) return err_set(err, "not enough memory");
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    is_known = is_known || !strcasecmp(*name, known[i]);
  if (!is_known)
    return err_set(err,
                   "--data %s: unknown data set '%s'; expected lits, isic2018, la, folder or phantom, as "
                   "NAME:DIR or "
                   "NAME under $NETRUN_DATA",
                   spec, *name);
  if (!strcasecmp(*name, "phantom")) return true;
  if (!colon && (!base || !*base))
    return err_set(
        err, "--data %s: where is it? Give --data %s:DIR, or set NETRUN_DATA to the folder that holds %s/",
        spec, *name, *name);
  char path[4096];
  if (colon) snprintf(path, sizeof path, "%s", colon + 1);
  else snprintf(path, sizeof path, "%s/%s", base, *name);
  struct stat st;
  if (!colon && stat(path, &st) && !strcasecmp(*name, "isic"))
    snprintf(path, sizeof path, "%s/isic2018", base);
  if (stat(path, &st)) return err_sys(err, "--data %s: %s", spec, path);
  if (!S_ISDIR(st.st_mode)) return err_set(err, "--data %s: %s is not a directory", spec, path);
  *root = strdup(path);
  return *root ? true : err_set(err, "not enough memory");
}

/* Training items with a mask are labelled, until data_split_labeled says less. */
static void mark_labeled(Dataset *d) {
  const DataImpl *m = d->impl;
  for (int i = 0; i < d->nitem; i++)
    d->item[i].labeled = d->item[i].split != SPLIT_TRAIN || !d->root || m->source[i].mask;
}

Dataset *data_open_split(const char *spec, const DataShape *shape, const SplitPlan *plan, char err[ERR_MAX]) {
  static const SplitPlan as_lists_say;
  Dataset *d = calloc(1, sizeof *d);
  DataImpl *m = d ? calloc(1, sizeof *m) : NULL;
  if (!m) return free(d), err_set(err, "not enough memory"), NULL;
  pthread_mutex_init(&m->lock, NULL);
  m->own_volume = m->store.file = -1;
  d->impl = m, d->shape = *shape;
  if (!d->shape.recipe) d->shape.recipe = &recipe_plain;
  for (int a = 0; a < 3; a++) d->spacing[a] = 1;
  bool ok = data_locate(spec, &d->name, &d->root, err);
  if (ok && d->root) ok = scan_directory(d, plan ? plan->case_by : NULL, err);
  else if (ok && !phantom_items(d)) ok = err_set(err, "not enough memory");
  m->skip_missing = plan && plan->skip_missing, m->shared = plan && plan->shared;
  ok = ok && (!d->root || partial_read(d, plan && plan->any_class, err));
  ok = ok && split_cases(d, d->name, plan ? plan : &as_lists_say, err) && store_open(d, err);
  if (ok) mark_labeled(d);
  else data_close(d), d = NULL;
  return d;
}

Dataset *data_open(const char *spec, const DataShape *shape, char err[ERR_MAX]) {
  return data_open_split(spec, shape, NULL, err);
}
