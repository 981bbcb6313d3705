/* test_sampler.c - what holds of batches as wholes: image and label go through the same, threads and
 * restarts change nothing, patches lie around foreground, second views are of the same place, and what is
 * to be ignored is. */
#include <math.h>
#include <pthread.h>
#include "tests/runtime/augment_data.h"
#include "runtime/image/edt.h"

/* Every augmentation, as often as not. */
static int all_augments(NetcAugment *list) {
  for (int k = 0; k < BATCH_AUGMENTS; k++) list[k] = augment_with(k, 0, NULL), list[k].p = 0.5;
  return BATCH_AUGMENTS;
}

static const DataShape flat = {.spatial = 2, .channels = 2, .size = {24, 24}, .classes = 3},
                       cube = {.spatial = 3, .channels = 1, .size = {12, 12, 9}, .classes = 3};
static const int64_t large[3] = {20, 16, 14};
enum { BATCH = 3, MOST = BATCH * 12 * 12 * 9 };

typedef struct {
  float image[2 * MOST], strong[2 * MOST], sdf[MOST];
  int32_t label[MOST];
} Fields;

static void make(Sampler *s, uint64_t t, Fields *f, bool second) {
  BatchField field[4] = {{NETC_FIELD_IMAGE, BATCH, f->image},
                         {NETC_FIELD_LABEL, BATCH, f->label},
                         {NETC_FIELD_SDF, BATCH, f->sdf},
                         {NETC_FIELD_STRONG, BATCH, f->strong}};
  if (!sampler_batch(s, t, field, second ? 4 : 3, err)) fail_msg("%s", err);
}

static const int64_t *dim_of(const DataShape *shape) { return shape->spatial == 2 ? shape->size : large; }

/* ---- threads, restarts ---- */

enum { ITERATIONS = 16 };
typedef struct {
  Sampler *s;
  Fields *out;
  int first, step;
} Worker;

static void *work(void *arg) {
  const Worker *w = arg;
  for (int t = w->first; t < ITERATIONS; t += w->step) make(w->s, (uint64_t)t, &w->out[t], true);
  return NULL;
}

static Fields *batches_by(Sampler *s, int threads) {
  Fields *out = calloc(ITERATIONS, sizeof *out);
  Worker w[8];
  pthread_t id[8];
  assert_non_null(out);
  for (int i = 0; i < threads; i++) {
    w[i] = (Worker){s, out, i, threads};
    assert_int_equal(pthread_create(&id[i], NULL, work, &w[i]), 0);
  }
  for (int i = 0; i < threads; i++) pthread_join(id[i], NULL);
  return out;
}

TEST(threads_and_restarts_change_no_bit) {
  NetcAugment list[BATCH_AUGMENTS], strong[1] = {augment_always(NETC_AUG_CUTOUT, 0.2, 0.6)};
  NetcStream stream = {.name = "s", .source = NETC_SRC_LABELED, .augments = list, .foreground = 0.4};
  stream.naugments = all_augments(list), stream.strong = strong, stream.nstrong = 1;
  for (int spatial = 2; spatial <= 3; spatial++) {
    const DataShape *shape = spatial == 2 ? &flat : &cube;
    Dataset *d = open_items(shape);
    Fields *want = NULL;
    for (int threads = 1; threads <= 8; threads *= 2) {
      Sampler *s = sampler_of(d, &stream, 1, 3, dim_of(shape), draw_noise);
      Fields *got = batches_by(s, threads), *again = calloc(1, sizeof *again);
      if (want) assert_memory_equal(got, want, ITERATIONS * sizeof *got);
      sampler_free(s);
      s = sampler_of(d, &stream, 1, 3, dim_of(shape), draw_noise); /* begins in the middle */
      make(s, 11, again, true);
      assert_memory_equal(again, &got[11], sizeof *again);
      sampler_free(s), free(again);
      if (want) free(got);
      else want = got;
    }
    assert_true(memcmp(&want[0], &want[1], sizeof *want) != 0);
    free(want), data_close(d);
  }
}

/* ---- image and label ---- */

/* A ball of 1 in -1, and its mask. */
static void draw_ball(const Drawn *x, int item) {
  for (int64_t i = 0; i < x->n; i++) {
    const int64_t o[3] = {i / x->dim[2] / x->dim[1], i / x->dim[2] % x->dim[1], i % x->dim[2]};
    double r = 0;
    for (int a = 0; a < 3; a++) {
      double half = (double)(x->dim[a] - 1) / 2;
      r += x->dim[a] == 1 ? 0 : pow(((double)o[a] - half - item % 3) / (0.6 * half), 2);
    }
    x->label[i] = r < 1;
    for (int c = 0; c < x->channels; c++) x->image[c * x->n + i] = r < 1 ? 1 : -1;
  }
}

/* The object that is seen is the object that is told, but for its border, where the image lies between -1 and
 * 1; where nothing was, both have 0. */
TEST(image_and_label_stay_aligned) {
  NetcAugment list[] = {augment_always(NETC_AUG_FLIP, 0),         augment_always(NETC_AUG_ROT90, 0),
                        augment_always(NETC_AUG_CROP, 0.2),       augment_always(NETC_AUG_ROTATE, 180, 40),
                        augment_always(NETC_AUG_SCALE, 0.7, 1.4), augment_always(NETC_AUG_ELASTIC, 0.4, 6)};
  static Fields f;
  for (int spatial = 2; spatial <= 3; spatial++)
    for (int n = 4; n <= 6; n++) { /* rotation; and scale; and elastic */
      const DataShape *shape = spatial == 2 ? &flat : &cube;
      Dataset *d = open_items(shape);
      NetcStream stream = {.name = "s", .source = NETC_SRC_ALL, .augments = list, .naugments = n};
      Sampler *s = sampler_of(d, &stream, 0, 4, dim_of(shape), draw_ball);
      int seen[4] = {0}, c = shape->channels;
      for (uint64_t t = 0; t < 10; t++) {
        make(s, t, &f, false);
        for (int64_t i = 0; i < BATCH * s->count; i++) {
          float v = f.image[i * c];
          int kind = v > 0.9999f ? 0 : v < -0.9999f ? 1 : v == 0 ? 2 : 3;
          assert_true(kind == 3 || f.label[i] == (kind == 0));
          assert_true(v == f.image[i * c + c - 1]);
          seen[kind]++;
        }
      }
      assert_true(seen[0] > 1000 && seen[1] > 1000 && seen[2] > 0 && seen[3] > 0);
      assert_true(seen[3] < (seen[0] + seen[1] + seen[2] + seen[3]) / (spatial == 2 ? 5 : 2));
      sampler_free(s), data_close(d);
    }
}

/* ---- foreground ---- */

/* Class 1 is a large block, class 2 one of 2 x 2 x 2 near a corner of the image (in 2-D 2 x 2). */
static void draw_blocks(const Drawn *x, int item) {
  (void)item;
  for (int64_t i = 0; i < x->n; i++) {
    const int64_t o[3] = {i / x->dim[2] / x->dim[1], i / x->dim[2] % x->dim[1], i % x->dim[2]};
    bool big = true, small = true;
    for (int a = 0; a < 3; a++) {
      big &= x->dim[a] == 1 || (o[a] >= x->dim[a] / 2 && o[a] < x->dim[a] - 1);
      small &= x->dim[a] == 1 || (o[a] >= 1 && o[a] < 3);
    }
    x->label[i] = big ? 1 : small ? 2 : 0;
    for (int c = 0; c < x->channels; c++) x->image[c * x->n + i] = x->label[i];
  }
}

/* How many samples have class 1, 2, either. */
static void count_classes(Sampler *s, int iterations, int have[3]) {
  static Fields f;
  memset(have, 0, 3 * sizeof *have);
  for (int t = 0; t < iterations; t++) {
    make(s, (uint64_t)t, &f, false);
    for (int k = 0; k < BATCH; k++) {
      bool one = false, two = false;
      for (int64_t i = 0; i < s->count; i++)
        one |= f.label[k * s->count + i] == 1, two |= f.label[k * s->count + i] == 2;
      have[0] += one, have[1] += two, have[2] += one || two;
    }
  }
}

TEST(patches_around_foreground_have_some) {
  NetcAugment list[] = {augment_always(NETC_AUG_CROP, 0.5), augment_always(NETC_AUG_FLIP, 0),
                        augment_always(NETC_AUG_ROTATE, 45)};
  static const DataShape small = {.spatial = 3, .channels = 1, .size = {6, 5, 4}, .classes = 3};
  enum { MANY = 100, SAMPLES = MANY * BATCH };
  for (int spatial = 2; spatial <= 3; spatial++)
    for (int n = 1; n <= 3; n++) { /* windows; mirrored; turned */
      Dataset *d = open_items(spatial == 2 ? &flat : &small);
      NetcStream stream = {.name = "s", .source = NETC_SRC_ALL, .augments = list, .naugments = n};
      int without[3], with[3];
      Sampler *s = sampler_of(d, &stream, 0, 4, spatial == 2 ? flat.size : large, draw_blocks);
      count_classes(s, MANY, without), sampler_free(s);
      stream.foreground = 1;
      s = sampler_of(d, &stream, 0, 4, spatial == 2 ? flat.size : large, draw_blocks);
      count_classes(s, MANY, with), sampler_free(s);
      assert_int_equal(with[2], SAMPLES);
      assert_true(with[1] >= SAMPLES * 2 / 5); /* the class is drawn first: half of them */
      assert_true(without[1] < SAMPLES / 3 || spatial == 2);
      data_close(d);
    }
}

/* Exactly that fraction of the samples, whatever the batch; the others are the middle patch. */
TEST(the_fraction_around_foreground_is_exact) {
  static const DataShape small = {.spatial = 3, .channels = 1, .size = {6, 5, 4}, .classes = 3};
  NetcStream stream = {.name = "s", .source = NETC_SRC_ALL, .foreground = 0.33};
  for (int batch = 1; batch <= 4; batch++) {
    Dataset *d = open_items(&small);
    Sampler *s = sampler_of(d, &stream, 0, 4, large, draw_blocks);
    Sample x;
    bool owned;
    int around = 0;
    if (!sampler_fetch(s, 0, &x, &owned, err)) fail_msg("%s", err);
    for (uint64_t number = 0; number < 300; number++) {
      uint64_t n = (uint64_t)batch;
      Taking t = sample_begin(s, 0, x.dim, number / n, number % n, batch);
      bool middle = true;
      for (int a = 0; a < 3; a++)
        middle &= t.view.of.axis[a].start == (double)((large[a] - small.size[a] + 1) / 2);
      around += !middle;
    }
    assert_true(around >= 97 && around <= 99); /* a patch around foreground may be the middle one */
    sampler_free(s), data_close(d);
  }
}

/* Of many elements of two classes, the index has no more than it may, spread over all of them. */
TEST(the_index_of_foreground_is_bounded_and_even) {
  enum { N = 300000 };
  uint8_t *mask = calloc(N, 1);
  for (int i = 0; i < N; i++) mask[i] = i < 100 ? 0 : i < 150000 ? 7 : i < 150010 ? 9 : i % 2 ? 255 : 0;
  Foreground *f = foreground_new(mask, N, 100), *none = foreground_new(NULL, 0, 100);
  int of7 = 0, of9 = 0, places = 0;
  uint8_t *met = calloc(N, 1);
  double sum = 0;
  assert_true(f && none);
  for (uint64_t k = 0; k < 4000; k++) {
    Chance d = {.seed = 1, .iteration = k};
    int64_t at = foreground_draw(f, &d);
    assert_true(at >= 0 && at < N && (mask[at] == 7 || mask[at] == 9));
    places += !met[at], met[at] = 1;
    of7 += mask[at] == 7, of9 += mask[at] == 9, sum += mask[at] == 7 ? (double)at : 0;
    assert_int_equal(foreground_draw(none, &d), -1);
  }
  assert_true(abs(of7 - of9) < 200 && fabs(sum / of7 - 75050) < 4000);
  assert_int_equal(places, 60); /* half of 100, and all ten of class 9 */
  assert_int_equal(foreground_most(100), FOREGROUND_MOST);
  assert_int_equal(foreground_most(100000), 671);
  free(f), free(none), free(mask), free(met);
}

/* ---- second views ---- */

TEST(the_strong_view_is_of_the_same_place) {
  NetcAugment list[] = {augment_always(NETC_AUG_FLIP, 0), augment_always(NETC_AUG_ROTATE, 30),
                        augment_always(NETC_AUG_NOISE, 0.2), augment_always(NETC_AUG_BRIGHTNESS, 1.5, 2)};
  NetcAugment strong[] = {augment_always(NETC_AUG_BRIGHTNESS, 0.25, 0.5),
                          augment_always(NETC_AUG_CUTOUT, 0.5, 0.5)};
  static Fields plain, both;
  for (int spatial = 2; spatial <= 3; spatial++) {
    const DataShape *shape = spatial == 2 ? &flat : &cube;
    Dataset *d = open_items(shape);
    NetcStream stream = {.name = "s", .source = NETC_SRC_ALL, .augments = list, .naugments = 4};
    Sampler *s = sampler_of(d, &stream, 0, 4, dim_of(shape), draw_noise);
    make(s, 5, &plain, false);
    sampler_free(s);
    stream.strong = strong, stream.nstrong = 2;
    s = sampler_of(d, &stream, 0, 4, dim_of(shape), draw_noise);
    make(s, 5, &both, true);
    assert_memory_equal(plain.image, both.image, sizeof plain.image); /* the weak view is what it was */
    assert_memory_equal(plain.label, both.label, sizeof plain.label);
    int zeros = 0, c = shape->channels;
    int64_t n = s->count * c;
    for (int k = 0; k < BATCH; k++) {
      double factor[2] = {0, 0};
      for (int64_t i = k * n; i < (k + 1) * n; i++) {
        float weak = both.image[i], v = both.strong[i];
        zeros += v == 0 && weak != 0;
        if (v == 0 || fabsf(weak) < 0.1f) continue;
        double q = (double)(v / weak);
        assert_true(q >= 0.25 && q < 0.5001);
        assert_true(factor[i % c] == 0 || fabs(factor[i % c] - q) < 1e-5);
        factor[i % c] = q;
      }
    }
    assert_true(zeros > 0);
    sampler_free(s), data_close(d);
  }
}

/* ---- what is to be ignored ---- */

static void draw_ignored(const Drawn *x, int item) {
  draw_ball(x, item);
  for (int64_t i = 0; i < x->n; i += 5) x->label[i] = 255;
}

TEST(a_label_255_is_to_be_ignored) {
  static Fields f;
  Dataset *d = open_items(&flat);
  NetcStream stream = {.name = "s", .source = NETC_SRC_ALL};
  Sampler *s = sampler_of(d, &stream, 0, 4, flat.size, draw_ignored);
  make(s, 0, &f, false);
  int64_t n = s->count;
  int ignored = 0;
  for (int k = 0; k < BATCH; k++) {
    uint8_t mask[24 * 24];
    float want[24 * 24];
    for (int64_t i = 0; i < n; i++) {
      int32_t v = f.label[k * n + i];
      assert_int_equal(i % 5 == 0, v == -1);
      assert_true(v >= -1 && v <= 1);
      mask[i] = v == 1, ignored += v == -1;
    }
    assert_true(sdf_map(mask, 2, flat.size, want));
    assert_memory_equal(want, f.sdf + k * n, sizeof want);
  }
  assert_int_equal(ignored, BATCH * 116);
  sampler_free(s), data_close(d);
}

/* Classes 1 and 2 in region 0, class 2 in region 1; every third element is to be ignored. */
static void draw_some_ignored(const Drawn *x, int item) {
  draw_noise(x, item);
  for (int64_t i = 0; i < x->n; i += 3) x->label[i] = CLASS_IGNORE;
}

TEST(regions_are_told_channels_last_of_the_same_place_as_the_label) {
  static const uint8_t member[3] = {0, 1, 3};
  const Recipe recipe = {.orientation = "RAS", .nregion = 2, .member = member};
  NetcAugment list[] = {augment_always(NETC_AUG_FLIP, 0), augment_always(NETC_AUG_ROTATE, 30)};
  NetcStream stream = {.name = "s", .source = NETC_SRC_ALL, .augments = list, .naugments = 2};
  static float regions[2 * MOST];
  static int32_t label[MOST];
  for (int spatial = 2; spatial <= 3; spatial++) {
    DataShape shape = spatial == 2 ? flat : cube;
    shape.recipe = &recipe;
    Dataset *d = open_items(&shape);
    Sampler *s = sampler_of(d, &stream, 0, 4, dim_of(&shape), draw_some_ignored);
    const BatchField field[2] = {{NETC_FIELD_LABEL, BATCH, label}, {NETC_FIELD_REGIONS, BATCH, regions}};
    int seen[4] = {0};
    if (!sampler_batch(s, 2, field, 2, err)) fail_msg("%s", err);
    for (int64_t i = 0; i < BATCH * s->count; i++) {
      int c = label[i];
      seen[c + 1]++;
      for (int r = 0; r < 2; r++)
        assert_true(regions[2 * i + r] == (c < 0 ? -1.0f : (float)(member[c] >> r & 1)));
    }
    for (int c = 0; c < 4; c++) assert_true(seen[c] > 100);
    sampler_free(s), data_close(d);
  }
}

RUN_TESTS(NULL, NULL)
