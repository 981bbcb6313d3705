/* test_slide.c - windows over volumes and the way back to the file's grid, against loops over all
 * elements. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/predict/restore.h"
#include "runtime/predict/slide.h"
#include "tests/test.h"

static char err[ERR_MAX];

enum { CLASSES = 3, MOST = 16 * 16 * 16 };

/* What a window says depends on the image and on the place in the window, so that order and weights
 * matter. */
typedef struct {
  Restore restore;
  int64_t patch;
  int model, runs;
} Net;

static float says(float image, int64_t place, int64_t klass, int model) {
  return 0.5f + 0.5f * sinf(image * (float)(klass + 1) + 0.013f * (float)place + (float)model);
}

static bool choose(void *user, int m, char message[ERR_MAX]) {
  (void)message;
  ((Net *)user)->model = m;
  return true;
}

static bool run(void *user, const float *window, int64_t n, float *score, char message[ERR_MAX]) {
  Net *net = user;
  (void)message;
  net->runs += (int)n;
  for (int64_t w = 0; w < n; w++)
    for (int64_t k = 0; k < CLASSES; k++)
      for (int64_t i = 0; i < net->patch; i++)
        score[(w * CLASSES + k) * net->patch + i] = says(window[w * net->patch + i], i, k, net->model);
  return true;
}

static void planes(void *user, const Slab *slab) { restore_planes(&((Net *)user)->restore, slab); }

typedef struct {
  DataShape shape;
  int64_t dim[3];
  WindowPlan plan;
  int64_t batch, tiles;
  int models;
} Case;

/* Probabilities (CLASSES, own) on the file's grid; returns how many windows were run. */
static int slide_case(const Case *c, const Place *place, const float *image, float *prob, uint8_t *mask,
                      uint8_t *small) {
  Windows w;
  Net net = {.patch = c->shape.size[0] * c->shape.size[1] * c->shape.size[2]};
  Pool *pool = pool_new(2, err);
  assert_true(pool && windows_new(&w, &c->shape, c->dim, &c->plan));
  assert_true(restore_new(&net.restore, place, (Decision){CLASSES, false}, pool, err));
  net.restore.prob = prob, net.restore.mask = mask, net.restore.small = small;
  Slide s = {.image = image,
             .windows = &w,
             .channels = 1,
             .classes = CLASSES,
             .batch = c->batch,
             .models = c->models,
             .tiles = c->tiles,
             .pool = pool,
             .user = &net,
             .choose = choose,
             .run = run,
             .planes = planes};
  if (!slide(&s, err)) fail_msg("%s", err);
  restore_rest(&net.restore);
  restore_free(&net.restore), windows_free(&w), pool_free(pool);
  return net.runs;
}

/* The same by definition, in double. */
static void slide_plainly(const Case *c, const float *image, double *prob) {
  Windows w;
  assert_true(windows_new(&w, &c->shape, c->dim, &c->plan));
  int64_t n = c->dim[0] * c->dim[1] * c->dim[2];
  double *total = calloc((size_t)n, sizeof *total);
  memset(prob, 0, (size_t)(n * CLASSES) * sizeof *prob);
  for (int m = 0; m < c->models; m++)
    for (int64_t k = 0; k < w.count[0] * w.count[1] * w.count[2]; k++) {
      int64_t at[3] = {window_start(&w, 0, k / (w.count[1] * w.count[2])),
                       window_start(&w, 1, k / w.count[2] % w.count[1]), window_start(&w, 2, k % w.count[2])};
      for (int64_t i = 0; i < w.patch[0] * w.patch[1] * w.patch[2]; i++) {
        int64_t o[3] = {i / (w.patch[1] * w.patch[2]), i / w.patch[2] % w.patch[1], i % w.patch[2]}, e = 0;
        double weight = 1;
        bool in = true;
        for (int a = 0; a < 3; a++) {
          int64_t x = at[a] + o[a] - w.before[a];
          double d = ((double)o[a] - (double)(w.patch[a] - 1) / 2) / ((double)w.patch[a] / 8);
          in = in && x >= 0 && x < w.dim[a], e = e * w.dim[a] + x;
          if (c->plan.gaussian) weight *= fmax(exp(-0.5 * d * d), 1e-3);
        }
        if (!in) continue;
        total[e] += weight;
        for (int64_t q = 0; q < CLASSES; q++) prob[q * n + e] += weight * (double)says(image[e], i, q, m);
      }
    }
  for (int64_t i = 0; i < n * CLASSES; i++) prob[i] /= total[i % n];
  free(total), windows_free(&w);
}

static void noise(float *image, int64_t n) {
  for (int64_t i = 0; i < n; i++) image[i] = (float)((i * 7919 + 13) % 1009) / 300;
}

static const Case cases[] = {
    {{.spatial = 3, .channels = 1, .size = {6, 5, 4}, .classes = CLASSES},
     {13, 9, 11},
     {.overlap = 0.5},
     1,
     1,
     1},
    {{.spatial = 3, .channels = 1, .size = {6, 5, 4}, .classes = CLASSES},
     {11, 13, 9},
     {.overlap = 0.3},
     3,
     1,
     2},
    {{.spatial = 3, .channels = 1, .size = {8, 5, 6}, .classes = CLASSES},
     {9, 12, 16},
     {.overlap = 0.5, .gaussian = true},
     2,
     1,
     1},
    {{.spatial = 3, .channels = 1, .size = {8, 7, 6}, .classes = CLASSES},
     {5, 12, 3},
     {.overlap = 0.5},
     4,
     1,
     1},
    {{.spatial = 3, .channels = 1, .size = {6, 6, 6}, .classes = CLASSES},
     {12, 7, 10},
     {.stride = {1, 2, 3}, .gaussian = true},
     5,
     1,
     3},
};

TEST(sums_over_windows_are_what_they_are_by_definition) {
  float image[MOST], *prob = malloc(CLASSES * MOST * sizeof *prob);
  double *plain = malloc(CLASSES * MOST * sizeof *plain);
  noise(image, MOST);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const Case *c = &cases[i];
    Grid g = grid_plain(c->dim, NULL);
    Place same = place_same(&g);
    slide_case(c, &same, image, prob, NULL, NULL);
    slide_plainly(c, image, plain);
    for (int64_t k = 0; k < CLASSES * grid_count(&g); k++)
      if (fabs((double)prob[k] - plain[k]) > 2e-6)
        fail_msg("case %d, element %d: %g, not %g", (int)i, (int)k, (double)prob[k], plain[k]);
  }
  free(prob), free(plain);
}

/* Less memory: more windows, the same bits. */
TEST(tiles_change_no_bit) {
  float image[MOST];
  float *whole = malloc(CLASSES * MOST * sizeof *whole), *tiled = malloc(CLASSES * MOST * sizeof *tiled);
  uint8_t a[MOST], b[MOST];
  noise(image, MOST);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Case c = cases[i];
    Grid g = grid_plain(c.dim, NULL);
    Place same = place_same(&g);
    size_t bytes = (size_t)(CLASSES * grid_count(&g)) * sizeof *whole;
    int runs = slide_case(&c, &same, image, whole, a, NULL), more = 0;
    for (c.tiles = 2; c.tiles <= 7; c.tiles++) {
      memset(tiled, 0xff, bytes), memset(b, 0xff, sizeof b);
      more = slide_case(&c, &same, image, tiled, b, NULL);
      assert_memory_equal(tiled, whole, bytes);
      assert_memory_equal(a, b, (size_t)grid_count(&g));
    }
    assert_true(more >= runs);
  }
  free(whole), free(tiled);
}

/* A file whose axes run otherwise, with a margin that was cropped, at another spacing. */
TEST(the_way_back_is_linear_between_elements) {
  float image[MOST], *small = malloc(CLASSES * MOST * sizeof *small),
                     *own = malloc(CLASSES * MOST * sizeof *own);
  uint8_t *mask = malloc(MOST), *classes = malloc(MOST);
  Case c = cases[0];
  Grid g = grid_plain(c.dim, NULL);
  Place same = place_same(&g);
  /* prepared axis 0 is file axis 2 backwards, 1 is 0, 2 is 1; 2 elements cropped at axis 1 */
  Place p = {.own = {14, 16, 15},
             .dim = {13, 9, 11},
             .axis = {2, 0, 1},
             .from = {13.2, -1.6, 0.1},
             .step = {-13. / 15, 0.8, 11. / 16},
             .crop_from = {0, 2, 0},
             .crop_dim = {15, 11, 16}};
  noise(image, MOST);
  slide_case(&c, &same, image, small, NULL, NULL);
  slide_case(&c, &p, image, own, mask, classes);
  int64_t n = grid_count(&g), all = 14 * 16 * 15;
  for (int64_t e = 0; e < all; e++) {
    const int64_t i[3] = {e / (16 * 15), e / 15 % 16, e % 15};
    int best = 0;
    double v[CLASSES] = {1, 0, 0};
    bool cropped = i[0] < 2 || i[0] >= 13;
    for (int k = 0; k < CLASSES && !cropped; k++) {
      v[k] = 0;
      for (int corner = 0; corner < 8; corner++) {
        double weight = 1;
        int64_t at = 0;
        for (int a = 0; a < 3; a++) {
          double x = p.from[a] + p.step[a] * (double)i[p.axis[a]], last = (double)(p.dim[a] - 1);
          x = fmin(fmax(x, 0), last);
          double low = fmin(floor(x + 1e-6), last), f = x - low;
          weight *= corner >> a & 1 ? f : 1 - f;
          at = at * p.dim[a] + (int64_t)fmin(low + (corner >> a & 1), last);
        }
        v[k] += weight * (double)small[k * n + at];
      }
    }
    for (int k = 0; k < CLASSES; k++) {
      if (fabs((double)own[k * all + e] - v[k]) > 1e-5) fail_msg("element %d of class %d", (int)e, k);
      if (own[k * all + e] > own[best * all + e]) best = k;
    }
    assert_int_equal(mask[e], best);
  }
  for (int64_t e = 0; e < n; e++) {
    int best = 0;
    for (int k = 1; k < CLASSES; k++)
      if (small[k * n + e] > small[best * n + e]) best = k;
    assert_int_equal(classes[e], best);
  }
  free(small), free(own), free(mask), free(classes);
}

TEST(windows_of_a_picture_cover_it) {
  DataShape shape = {.spatial = 2, .channels = 1, .size = {6, 5}, .classes = 2};
  int64_t dim[2] = {13, 4};
  Windows w;
  assert_true(windows_new(&w, &shape, dim, &window_plan_plain));
  assert_int_equal(w.count[1], 4), assert_int_equal(w.count[2], 1);
  assert_int_equal(window_start(&w, 1, 3), 7), assert_int_equal(w.before[2], 0);
  for (int i = 0; i < 13; i++) assert_true(w.total[1][i] >= 1);
  windows_free(&w);
}

RUN_TESTS(NULL, NULL)
