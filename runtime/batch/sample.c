/* sample.c - makes one sample of a batch: draws how it is taken from its item, takes it, changes its numbers,
 * and writes its fields. */
#include <string.h>
#include "runtime/batch/sampling.h"
#include "runtime/image/edt.h"

/* ---- how it is taken ---- */

/* Is sample `number`, counted from the first of the run, one of the fraction? Spread evenly: of any n in a
 * row there are n times the fraction, rounded up or down. */
static bool of_fraction(uint64_t number, double fraction) {
  return (int64_t)((double)(number + 1) * fraction) > (int64_t)((double)number * fraction);
}

/* Element of the image that the sample shall have; false: any. */
static bool draw_voxel(const Sampler *s, int i, const int64_t *dim, uint64_t number, const Chance *d,
                       int64_t voxel[3]) {
  if (!of_fraction(number, s->augment.foreground)) return false;
  int64_t at = foreground_draw(s->index[i], d);
  if (at < 0) return false;
  voxel[0] = voxel[1] = 0;
  for (int a = 2, k = s->data->shape.spatial - 1; k >= 0; a--, k--) voxel[a] = at % dim[k], at /= dim[k];
  return true;
}

Taking sample_begin(Sampler *s, int i, const int64_t *dim, uint64_t iteration, uint64_t k, int64_t batch) {
  Taking t = {.s = s, .item = s->item[i], .chance = {s->seed, s->stream, iteration, k}};
  const DataShape *shape = &s->data->shape;
  int64_t voxel[3];
  bool around = draw_voxel(s, i, dim, iteration * (uint64_t)batch + k, &t.chance, voxel);
  t.view = view_draw(&s->augment.placing, shape->spatial, shape->size, dim, around ? voxel : NULL, &t.chance);
  t.bent = step_taken(&t.chance, &s->augment.placing.elastic);
  for (int j = 0; j < s->augment.values; j++) /* a device makes one noise at most, and nothing else */
    if (s->augment.value[j].a->kind == NETC_AUG_NOISE)
      t.view.of.noise = noise_deviation(&s->augment.value[j], &t.chance);
  return t;
}

/* ---- its numbers ---- */

static bool no_mask(const Dataset *d, int item, char err[ERR_MAX]) {
  return err_set(
      err,
      "%s: %s has no mask, which a batch with labels needs of each of its images; add the mask, or leave "
      "the case out with a list in train.list or --labeled FILE",
      d->name, d->item[item].name);
}

static Picture picture_of(const Taking *t, float *planes) {
  Sampler *s = t->s;
  Picture p = {planes, s->data->shape.channels, s->count, {s->size[0], s->size[1], s->size[2]}, s->scratch};
  return p;
}

static bool take(Taking *t, char err[ERR_MAX]) {
  Sampler *s = t->s;
  if (t->masks && !t->x->label) return no_mask(s->data, t->item, err);
  if (t->bent) elastic_draw(s->elastic, &s->augment.placing.elastic, &t->chance);
  take_sample(&t->view, t->bent ? s->elastic : NULL, s->rows, t->pictures ? t->x->image : NULL,
              s->data->shape.channels, s->planes, t->masks ? t->x->label : NULL, s->label);
  Picture p = picture_of(t, s->planes);
  if (t->pictures) picture_change(&p, s->augment.value, s->augment.values, &t->chance);
  return true;
}

/* ---- a sample of every kind of field (ir/fields.def) ---- */

/* Place of the sample in a field of `channels` numbers per element. */
static int64_t place_of(const Taking *t, int channels) {
  return (int64_t)t->chance.sample * t->s->count * channels;
}

/* Channels last. */
static void write_picture(const Taking *t, const BatchField *f, const float *planes) {
  int channels = t->s->data->shape.channels;
  int64_t n = t->s->count;
  float *dst = (float *)f->dst + place_of(t, channels);
  if (channels == 1) memcpy(dst, planes, (size_t)n * sizeof *dst);
  for (int c = 0; channels > 1 && c < channels; c++)
    for (int64_t i = 0; i < n; i++) dst[i * channels + c] = planes[c * n + i];
}

static bool make_IMAGE(const Taking *t, const BatchField *f, char err[ERR_MAX]) {
  (void)err;
  write_picture(t, f, t->s->planes);
  return true;
}

static bool make_STRONG(const Taking *t, const BatchField *f, char err[ERR_MAX]) {
  Sampler *s = t->s;
  Picture p = picture_of(t, s->strong);
  (void)err;
  memcpy(s->strong, s->planes, (size_t)(s->count * p.channels) * sizeof *s->strong);
  picture_change(&p, s->augment.strong, s->augment.strongs, &t->chance);
  write_picture(t, f, s->strong);
  return true;
}

/* CLASS_IGNORE of a mask is -1 in a batch. */
static bool make_LABEL(const Taking *t, const BatchField *f, char err[ERR_MAX]) {
  int32_t *dst = (int32_t *)f->dst + place_of(t, 1);
  (void)err;
  for (int64_t i = 0; i < t->s->count; i++) dst[i] = t->s->label[i] == CLASS_IGNORE ? -1 : t->s->label[i];
  return true;
}

/* A channel for each region; -1 in all of them where the label is to be ignored. Channels last. */
static bool make_REGIONS(const Taking *t, const BatchField *f, char err[ERR_MAX]) {
  const Recipe *recipe = t->s->data->shape.recipe;
  int n = recipe->nregion;
  float *dst = (float *)f->dst + place_of(t, n);
  (void)err;
  for (int64_t i = 0; i < t->s->count; i++) {
    uint8_t c = t->s->label[i];
    for (int r = 0; r < n; r++)
      dst[i * n + r] = c == CLASS_IGNORE ? -1.0f : (float)(recipe->member[c] >> r & 1);
  }
  return true;
}

static bool make_SDF(const Taking *t, const BatchField *f, char err[ERR_MAX]) {
  Sampler *s = t->s;
  for (int64_t i = 0; i < s->count; i++) s->mask[i] = s->label[i] == CLASS_IGNORE ? 0 : s->label[i];
  return sdf_map(s->mask, s->data->shape.spatial, s->data->shape.size, (float *)f->dst + place_of(t, 1)) ||
         err_set(err, "not enough memory for a signed distance map");
}

static bool (*const make_field[BATCH_FIELDS])(const Taking *, const BatchField *, char *) = {
#define FIELD(name, word, type, element, content, maker, draw) [NETC_FIELD_##name] = make_##name,
#include "ir/fields.def"
#undef FIELD
};

bool sample_make(Taking *t, const Sample *x, const BatchField *field, int nfield, bool by_device,
                 char err[ERR_MAX]) {
  t->x = x;
  for (int f = 0; f < nfield; f++) {
    if (by_device && batch_field[field[f].kind].by_device) continue;
    if (batch_field[field[f].kind].mask) t->masks = true;
    else t->pictures = true;
  }
  bool ok = !(t->masks || t->pictures) || take(t, err);
  for (int f = 0; ok && f < nfield; f++) {
    if (by_device && batch_field[field[f].kind].by_device) continue;
    ok = make_field[field[f].kind](t, &field[f], err);
  }
  return ok;
}
