/* json.c - a survey as JSON. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/file.h"
#include "runtime/survey/survey.h"

static cJSON *numbers(const double *v, int n) { return cJSON_CreateDoubleArray(v, n); }

static cJSON *spread_of(const Survey *s, SurveyNumber of, int axes) {
  cJSON *list = cJSON_CreateArray();
  double spread[3];
  for (int a = 0; a < axes; a++)
    if (survey_spread(s, of, a, spread)) cJSON_AddItemToArray(list, numbers(spread, 3));
  return list;
}

static const char *below(const Survey *s, const char *path) { return path + strlen(s->found.root) + 1; }

static cJSON *item_of(const Survey *s, int i, int axes) {
  const FoundItem *it = &s->found.item[i];
  const Surveyed *r = &s->item[i];
  double dim[3];
  cJSON *o = cJSON_CreateObject(), *files = cJSON_AddArrayToObject(o, "files");
  for (int a = 0; a < 3; a++) dim[a] = (double)r->dim[a];
  cJSON_AddStringToObject(o, "name", it->name);
  cJSON_AddStringToObject(o, "case", it->patient);
  if (s->split) cJSON_AddStringToObject(o, "split", survey_split_name[s->split[i]]);
  for (int k = 0; k < it->nfile; k++) cJSON_AddItemToArray(files, cJSON_CreateString(below(s, it->file[k])));
  if (it->mask) cJSON_AddStringToObject(o, "mask", below(s, it->mask));
  if (!r->read) return o;
  cJSON_AddItemToObject(o, "size", numbers(dim, axes));
  cJSON_AddItemToObject(o, "spacing", numbers(r->spacing, axes));
  cJSON_AddNumberToObject(o, "channels", r->channels);
  if (r->placed) cJSON_AddStringToObject(o, "orientation", r->orientation);
  if (s->values) cJSON_AddItemToObject(o, "values", numbers((double[]){r->lo, r->hi}, 2));
  return o;
}

static cJSON *labels_of_survey(const Survey *s) {
  cJSON *list = cJSON_CreateArray();
  for (int i = 0; i < s->nlabel; i++) {
    const LabelCount *l = &s->label[i];
    bool named = l->value >= 0 && l->value < s->found.nlabel && s->found.label[(int)l->value];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "value", l->value);
    if (named) cJSON_AddStringToObject(o, "name", s->found.label[(int)l->value]);
    cJSON_AddNumberToObject(o, "masks", l->images);
    cJSON_AddNumberToObject(o, "elements", (double)l->elements);
    cJSON_AddItemToArray(list, o);
  }
  return list;
}

static cJSON *complaints_of(const Survey *s) {
  cJSON *list = cJSON_CreateArray();
  for (int i = 0; i < s->complaints.n; i++) {
    const Complaint *c = &s->complaints.list[i];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "kind", c->kind);
    cJSON_AddBoolToObject(o, "stops", c->stops);
    cJSON_AddStringToObject(o, "text", c->text);
    cJSON_AddItemToArray(list, o);
  }
  return list;
}

static cJSON *object_of(const Survey *s) {
  const Found *f = &s->found;
  int axes = f->n && f->item[0].picture ? 2 : 3;
  cJSON *o = cJSON_CreateObject();
  cJSON_AddStringToObject(o, "data", s->name);
  cJSON_AddStringToObject(o, "root", f->root);
  cJSON_AddStringToObject(o, "layout", f->layout);
  cJSON_AddNumberToObject(o, "images", f->n);
  cJSON_AddNumberToObject(o, "cases", s->cases);
  cJSON_AddNumberToObject(o, "masks", f->labeled);
  cJSON_AddNumberToObject(o, "partial", s->partial);
  cJSON_AddItemToObject(o, "sizes", spread_of(s, survey_extent, axes));
  cJSON_AddItemToObject(o, "spacings", spread_of(s, survey_spacing, axes));
  cJSON *channels = cJSON_AddArrayToObject(o, "channels");
  for (int i = 0; f->channel && i < f->nchannel; i++)
    cJSON_AddItemToArray(channels, cJSON_CreateString(f->channel[i] ? f->channel[i] : ""));
  cJSON_AddItemToObject(o, "labels", labels_of_survey(s));
  cJSON *items = cJSON_AddArrayToObject(o, "items");
  for (int i = 0; i < f->n; i++) cJSON_AddItemToArray(items, item_of(s, i, axes));
  cJSON_AddItemToObject(o, "oddities", complaints_of(s));
  cJSON_AddNumberToObject(o, "stops", s->stops);
  if (s->classes) cJSON_AddBoolToObject(o, "fits", !s->stops);
  return o;
}

bool survey_json(const Survey *s, const char *path, char err[ERR_MAX]) {
  cJSON *o = object_of(s);
  char *text = cJSON_Print(o);
  AtomicFile f;
  cJSON_Delete(o);
  if (!text) return err_memory(err, path, 0);
  bool ok = atomic_open(&f, path, err);
  if (ok) fprintf(f.file, "%s\n", text);
  ok = ok && atomic_commit(&f, err);
  free(text);
  return ok;
}
