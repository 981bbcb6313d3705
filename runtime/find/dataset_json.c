/* dataset_json.c - dataset.json, which nnU-Net and the Decathlon lay beside their folders. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "runtime/base/file.h"
#include "runtime/find/search.h"

static const char *const file_name = "dataset.json";

static cJSON *parse(const char *path) {
  Bytes b;
  char err[ERR_MAX];
  if (!file_map(path, &b, err)) return NULL;
  cJSON *json = cJSON_ParseWithLength((const char *)b.data, b.size);
  file_unmap(&b);
  return json;
}

/* {"0": "CT", "1": "PET"} */
static void read_channels(Search *s, const cJSON *names, const char *path) {
  Found *f = s->found;
  int n = cJSON_GetArraySize(names);
  const char **channel = n ? keep_bytes(s->keep, (size_t)n * sizeof *channel) : NULL;
  for (const cJSON *c = channel ? names->child : NULL; c; c = c->next) {
    char *end = NULL;
    long i = c->string ? strtol(c->string, &end, 10) : -1;
    if (i < 0 || i >= n || !end || *end || !cJSON_IsString(c)) {
      oddity_add(f, ODD_json, false, "%s: channels must be numbered from 0, \"%s\" is none of them", path,
                 c->string ? c->string : "");
      return;
    }
    channel[i] = keep_text(s->keep, "%s", c->valuestring);
  }
  if (channel) f->channel = channel, f->nchannel = n;
}

static void find_channels(Search *s, const cJSON *json, const char *path) {
  const cJSON *names = cJSON_GetObjectItem(json, "channel_names");
  if (!names) names = cJSON_GetObjectItem(json, "modality");
  if (cJSON_IsObject(names)) read_channels(s, names, path);
}

bool dataset_json_channels(Search *s, const char *path) {
  cJSON *json = file_exists(path) ? parse(path) : NULL;
  if (!json) return false;
  find_channels(s, json, path);
  cJSON_Delete(json);
  return s->found->nchannel > 0;
}

static void name_label(Search *s, const char *name, double value) {
  Found *f = s->found;
  int k = (int)value;
  if (k < 0 || k >= FOUND_LABELS || (double)k != value) return;
  f->label[k] = keep_text(s->keep, "%s", name);
  if (k + 1 > f->nlabel) f->nlabel = k + 1;
}

/* nnU-Net: {"liver": 1}, of regions {"whole tumour": [1, 2]}; the Decathlon: {"1": "liver"}. */
static void read_labels(Search *s, const cJSON *labels, const char *path) {
  for (const cJSON *c = labels ? labels->child : NULL; c; c = c->next) {
    if (!c->string) continue;
    if (cJSON_IsNumber(c)) name_label(s, c->string, c->valuedouble);
    else if (cJSON_IsString(c)) name_label(s, c->valuestring, strtod(c->string, NULL));
    else if (cJSON_IsArray(c))
      oddity_add(s->found, ODD_json, false,
                 "%s: \"%s\" is a region of several labels; the labels are taken as they are", path,
                 c->string);
  }
}

typedef struct {
  int training; /* numTraining; -1: not said */
  const char *ending;
} Promise;

static Promise read_promise(Search *s, const cJSON *json) {
  const cJSON *n = cJSON_GetObjectItem(json, "numTraining"), *e = cJSON_GetObjectItem(json, "file_ending");
  return (Promise){cJSON_IsNumber(n) ? (int)n->valuedouble : -1,
                   cJSON_IsString(e) ? keep_text(s->keep, "%s", e->valuestring) : NULL};
}

static cJSON *open_json(Search *s, const char *dir, const char **below) {
  *below = keep_text(s->keep, "%s%s%s", dir, *dir ? "/" : "", file_name);
  if (!tree_at(&s->tree, *below)) return NULL;
  cJSON *json = parse(keep_text(s->keep, "%s/%s", s->found->root, *below));
  if (!json) oddity_add(s->found, ODD_json, false, "%s: not JSON; what it says is not known", *below);
  return json;
}

/* Images whose ending is another than the file says are no images to nnU-Net. */
static void check_ending(Search *s, const char *below, const char *ending) {
  for (int i = 0; ending && i < s->npart; i++) {
    const TreeFile *f = &s->tree.file[s->part[i].file];
    const char *has = f->name + strlen(f->stem);
    if (f->series || !strcasecmp(has, ending)) continue;
    oddity_add(s->found, ODD_json, false, "%s: ends in %s, but %s says file_ending %s", f->path, has, below,
               ending);
    return;
  }
}

bool dataset_json_read(Search *s, const char *dir) {
  const char *below;
  cJSON *json = open_json(s, dir, &below);
  if (!json) return false;
  find_channels(s, json, below);
  read_labels(s, cJSON_GetObjectItem(json, "labels"), below);
  Promise p = read_promise(s, json);
  check_ending(s, below, p.ending);
  s->promised = p.training, s->promised_in = below;
  cJSON_Delete(json);
  return true;
}

void dataset_json_check(Search *s) {
  const Found *f = s->found;
  if (!s->promised_in || s->promised < 0) return;
  int n = 0;
  for (int i = 0; i < f->n; i++) n += f->item[i].part != PART_TEST;
  if (n != s->promised)
    oddity_add(s->found, ODD_json, false, "%s: says numTraining %d, but imagesTr has %d cases",
               s->promised_in, s->promised, n);
}
