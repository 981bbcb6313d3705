/* sampler.c - what makes up a batch. Sample k of iteration t is item number (t*N + k) of an endless sequence:
 * the source's items in a fresh random order every round, so each item comes once a round. Augmentation is
 * drawn from (seed, iteration, stream, k). Nothing here remembers the past, so a resumed run continues
 * exactly. */
#include <stdlib.h>
#include <string.h>
#include "runtime/base/augment.h"
#include "runtime/batch/sampling.h"

/* ---- items ---- */

/* Fisher-Yates by numbers of (seed, round). */
static void shuffle(Sampler *s, uint64_t round) {
  const Chance d = {.seed = s->seed, .stream = s->stream, .iteration = round};
  if (round == s->round) return;
  for (int i = 0; i < s->n; i++) s->order[i] = i;
  for (int i = s->n - 1; i > 0; i--) {
    int j = (int)(chance_at(&d, NETC_SITE_ORDER, (uint64_t)i) * (i + 1)), t = s->order[i];
    s->order[i] = s->order[j], s->order[j] = t;
  }
  s->round = round;
}

int sampler_pick(Sampler *s, uint64_t iteration, uint64_t k, int64_t batch) {
  uint64_t number = iteration * (uint64_t)batch + k;
  shuffle(s, number / (uint64_t)s->n);
  return s->order[number % (uint64_t)s->n];
}

static void take_items(Sampler *s, int source) {
  for (int i = 0; i < s->data->nitem; i++) {
    const Item *item = &s->data->item[i];
    if (item->split != SPLIT_TRAIN) continue;
    if (source == NETC_SRC_ALL || (source == NETC_SRC_LABELED) == item->labeled) s->item[s->n++] = i;
  }
}

/* Where everything is labelled, the labelled images serve as unlabelled ones too, without their masks. */
static void choose_items(Sampler *s, int source) {
  take_items(s, source);
  if (!s->n && source == NETC_SRC_UNLABELED) take_items(s, NETC_SRC_ALL);
}

static bool budget(int64_t *bytes, char err[ERR_MAX]) {
  const char *text = getenv("NETRUN_CACHE_MB");
  char *end = NULL;
  long long mb = text ? strtoll(text, &end, 10) : 4096;
  if (text && (end == text || *end || mb < 0 || mb > 1 << 30))
    return err_set(err, "NETRUN_CACHE_MB is `%s`; a whole number of MiB is expected", text);
  return *bytes = mb << 20, true;
}

/* ---- augmentations ---- */

/* How many of its kind stand before a[i]. */
static uint64_t before(const NetcAugment *a, int i) {
  uint64_t n = 0;
  for (int j = 0; j < i; j++) n += a[j].kind == a[i].kind;
  return n;
}

static void place_step(Placing *p, const Step *step) {
  switch (step->a->kind) {
  case NETC_AUG_FLIP: p->flip = *step; break;
  case NETC_AUG_ROT90: p->rot90 = *step; break;
  case NETC_AUG_CROP: p->crop = *step; break;
  case NETC_AUG_ROTATE: p->rotate = *step; break;
  case NETC_AUG_SCALE: p->scale = *step; break;
  default: p->elastic = *step;
  }
}

static void sort_augments(Augmentation *r, const NetcStream *stream) {
  NetcAugment *own = r->own, *strong = r->own + NETC_AUGMENT_MOST;
  r->foreground = stream->foreground;
  for (int i = 0; i < stream->naugments; i++) {
    own[i] = stream->augments[i];
    Step step = {&own[i], 2 * before(own, i)};
    if (batch_augment[own[i].kind].place) place_step(&r->placing, &step);
    else r->value[r->values++] = step;
  }
  for (int i = 0; i < stream->nstrong; i++) {
    strong[i] = stream->strong[i];
    r->strong[r->strongs++] = (Step){&strong[i], 2 * before(strong, i) + 1};
  }
}

/* ---- making and freeing ---- */

int64_t sample_count(const Sampler *s, const int64_t *dim) {
  int64_t n = 1;
  for (int a = 0; a < s->data->shape.spatial; a++) n *= dim[a];
  return n;
}

/* All that samples are made in: nothing is allocated later, but for what is read from files. */
static bool make_room(Sampler *s) {
  int spatial = s->data->shape.spatial, channels = s->data->shape.channels;
  for (int a = 0; a < 3; a++) s->size[a] = a < 3 - spatial ? 1 : s->data->shape.size[a - (3 - spatial)];
  s->count = s->size[0] * s->size[1] * s->size[2];
  size_t n = (size_t)s->count, floats = n * (size_t)channels * sizeof *s->planes;
  s->kept = calloc((size_t)s->n + 1, sizeof *s->kept), s->order = calloc((size_t)s->n + 1, sizeof *s->order);
  s->index = calloc((size_t)s->n + 1, sizeof *s->index);
  s->label = malloc(n), s->mask = malloc(n), s->planes = malloc(floats), s->rows = rows_new(s->size[2]);
  if (s->augment.strongs) s->strong = malloc(floats);
  s->scratch = malloc((size_t)picture_scratch(s->size) * sizeof *s->scratch);
  const NetcAugment *elastic = s->augment.placing.elastic.a;
  if (elastic) s->elastic = elastic_new(3 - spatial, s->size, elastic->value[1]);
  return s->kept && s->order && s->index && s->label && s->mask && s->planes && s->rows && s->scratch &&
         (s->strong || !s->augment.strongs) && (s->elastic || !elastic);
}

Sampler *sampler_new(Dataset *d, const NetcStream *stream, int number, uint64_t seed, char err[ERR_MAX]) {
  int64_t room = 0;
  if (!budget(&room, err)) return NULL;
  Sampler *s = calloc(1, sizeof *s);
  if (s) s->item = malloc((size_t)d->nitem * sizeof *s->item);
  if (!s || !s->item) return free(s), err_set(err, "not enough memory"), NULL;
  pthread_mutex_init(&s->lock, NULL);
  s->data = d, s->seed = seed, s->stream = (uint64_t)number, s->round = UINT64_MAX, s->room = room;
  sort_augments(&s->augment, stream);
  choose_items(s, stream->source);
  if (s->n && make_room(s)) return s;
  err_set(err, s->n ? "not enough memory" : "%s: no %straining images", d->name,
          stream->source == NETC_SRC_LABELED ? "labelled " : "");
  sampler_free(s);
  return NULL;
}

void sampler_free(Sampler *s) {
  if (!s) return;
  for (int i = 0; s->kept && i < s->n; i++) sample_free(&s->kept[i]);
  for (int i = 0; s->index && i < s->n; i++) free(s->index[i]);
  pthread_mutex_destroy(&s->lock);
  rows_free(s->rows), elastic_free(s->elastic);
  free(s->kept), free(s->index), free(s->order), free(s->label), free(s->mask), free(s->planes);
  free(s->strong), free(s->scratch), free(s->item), free(s);
}

int64_t sampler_epoch(const Sampler *s, int64_t batch) { return s->n / batch > 0 ? s->n / batch : 1; }

/* ---- items in memory ---- */

static int64_t sample_bytes(const Sampler *s, const Sample *x) {
  return sample_count(s, x->dim) * (s->data->shape.channels * (int64_t)sizeof(float) + 1);
}

/* Reads the item and keeps it where there is room. */
static bool load(Sampler *s, int i, Sample *out, bool *owned, char err[ERR_MAX]) {
  if (!data_load_part(s->data, s->item[i], false, out, err)) return false;
  if (!data_hide_untold(s->data, s->item[i], out, err)) return sample_free(out), false;
  int64_t bytes = sample_bytes(s, out);
  free(out->own_label);
  out->own_label = NULL;
  if (bytes <= s->room) s->kept[i] = *out, s->room -= bytes;
  else *owned = true;
  return true;
}

bool sampler_fetch(Sampler *s, int i, Sample *out, bool *owned, char err[ERR_MAX]) {
  *owned = false;
  if (s->kept[i].image) *out = s->kept[i];
  else if (!load(s, i, out, owned, err)) return false;
  if (s->augment.foreground <= 0 || s->index[i]) return true;
  s->index[i] = foreground_new(out->label, sample_count(s, out->dim), foreground_most(s->n));
  if (s->index[i]) return true;
  if (*owned) sample_free(out);
  return err_set(err, "not enough memory for the places of foreground");
}

void sampler_forget(Sampler *s, int i) {
  if (!s->kept[i].image) return;
  s->room += sample_bytes(s, &s->kept[i]);
  sample_free(&s->kept[i]);
}

/* ---- batches ---- */

static bool host_sample(Sampler *s, int i, uint64_t iteration, uint64_t k, int64_t batch,
                        const BatchField *field, int nfield, char err[ERR_MAX]) {
  Sample x;
  bool owned;
  if (!sampler_fetch(s, i, &x, &owned, err)) return false;
  Taking t = sample_begin(s, i, x.dim, iteration, k, batch);
  bool ok = sample_make(&t, &x, field, nfield, false, err);
  if (owned) sample_free(&x);
  return ok;
}

bool sampler_batch(Sampler *s, uint64_t iteration, const BatchField *field, int nfield, char err[ERR_MAX]) {
  int64_t batch = nfield ? field[0].batch : 0;
  bool ok = true;
  pthread_mutex_lock(&s->lock);
  for (int64_t k = 0; ok && k < batch; k++)
    ok = host_sample(s, sampler_pick(s, iteration, (uint64_t)k, batch), iteration, (uint64_t)k, batch, field,
                     nfield, err);
  pthread_mutex_unlock(&s->lock);
  return ok;
}
