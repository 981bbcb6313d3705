/* test_labels.c - numbers and colours of masks as classes, and what is said of those that mean nothing. */
#include <math.h>
#include <string.h>
#include "runtime/prepare/label.h"
#include "tests/test.h"

enum { MOST = 9 };

typedef struct {
  const char *what;
  float value[MOST]; /* n of them; colours: the red, the green and the blue ones one after the other */
  int n, channels;
  int64_t classes;
  bool lossy;
  const NetcLabelRule *rule;
  int rules;
  uint8_t want[MOST];
  const char *err; /* NULL: none */
} Case;

static const NetcLabelRule organs[] = {{0, -1, 0},
                                       {63, -1, 1},
                                       {126, -1, 2},
                                       {200, -1, 1},
                                       {255, -1, NETC_CLASS_IGNORED}},
                           colours[] = {{0, 0x000000, 0}, {0, 0xff0000, 1}, {0, 0x0000ff, 2}},
                           mixed[] = {{0, -1, 0}, {0, 0x00ff00, 1}, {255, -1, NETC_CLASS_IGNORED}},
                           signs[] = {{-1, -1, 0}, {1, -1, 1}};

static const Case cases[] = {
    {"0 and 1", {0, 1, 1, 0}, 4, 1, 2, false, NULL, 0, {0, 1, 1, 0}, NULL},
    {"0 and 255", {0, 255, 0}, 3, 1, 2, false, NULL, 0, {0, 1, 0}, NULL},
    {"all 0", {0, 0}, 2, 1, 2, false, NULL, 0, {0, 0}, NULL},
    {"all 1", {1, 1}, 2, 1, 2, false, NULL, 0, {1, 1}, NULL},
    {"all 255", {255, 255}, 2, 1, 2, false, NULL, 0, {1, 1}, NULL},
    {"nearly whole", {0, 0.9999f, 1, 1.0005f, -0.0004f}, 5, 1, 2, false, NULL, 0, {0, 1, 1, 1, 0}, NULL},
    {"nearly whole, classes", {2.0002f, 0.9999f, 0}, 3, 1, 3, false, NULL, 0, {2, 1, 0}, NULL},
    {"1 and 2",
     {1, 2, 2},
     3,
     1,
     2,
     false,
     NULL,
     0,
     {0},
     "m.png: a mask of two classes holds 0 and 1, or 0 and 255; found 1, 2 (2: 2 elements). Say what they "
     "mean: prepare { labels = {1: \"background\", 2: \"..\"} }"},
    {"-1 and 1",
     {-1, 1, -1},
     3,
     1,
     2,
     false,
     NULL,
     0,
     {0},
     "m.png: a mask of two classes holds 0 and 1, or 0 and 255; found -1, 1 (-1: 2 elements). Say what they "
     "mean: prepare { labels = {-1: \"background\", 1: \"..\"} }"},
    {"0, 1 and 255",
     {0, 1, 255},
     3,
     1,
     2,
     false,
     NULL,
     0,
     {0},
     "m.png: a mask of two classes holds 0 and 1, or 0 and 255; found 0, 1, 255 (255: 1 elements). Say what "
     "they mean: prepare { labels = {0: \"background\", 1: \"..\", 255: \"..\"} }"},
    {"0 and 128",
     {0, 128},
     2,
     1,
     2,
     false,
     NULL,
     0,
     {0},
     "m.png: a mask of two classes holds 0 and 1, or 0 and 255; found 0, 128 (128: 1 elements). Say what "
     "they "
     "mean: prepare { labels = {0: \"background\", 128: \"..\"} }"},
    {"not whole",
     {0, 0.5f, 1, 0.5f},
     4,
     1,
     2,
     false,
     NULL,
     0,
     {0},
     "m.png: mask value 0.5 (2 elements) is no whole number: was the mask interpolated, or is this an image? "
     "Masks are resampled with the nearest element"},
    {"NaN",
     {0, NAN, NAN},
     3,
     1,
     2,
     false,
     NULL,
     0,
     {0},
     "m.png: mask value nan (2 elements) is no whole number: was the mask interpolated, or is this an image? "
     "Masks are resampled with the nearest element"},
    {"infinite",
     {0, INFINITY},
     2,
     1,
     2,
     false,
     NULL,
     0,
     {0},
     "m.png: mask value inf (1 elements) is no whole number: was the mask interpolated, or is this an image? "
     "Masks are resampled with the nearest element"},
    {"classes", {0, 3, 2, 1}, 4, 1, 4, false, NULL, 0, {0, 3, 2, 1}, NULL},
    {"too large",
     {0, 3, 2, 3},
     4,
     1,
     3,
     false,
     NULL,
     0,
     {0},
     "m.png: mask value 3 (2 elements), but the module has classes 0..2 (-D classes=N); values found: 0, 2, "
     "3. "
     "Or say what they mean: prepare { labels = {0: \"background\", 2: \"..\", 3: \"..\"} }"},
    {"negative",
     {0, -1},
     2,
     1,
     3,
     false,
     NULL,
     0,
     {0},
     "m.png: mask value -1 (1 elements), but the module has classes 0..2 (-D classes=N); values found: -1, "
     "0. "
     "Or say what they mean: prepare { labels = {-1: \"background\", 0: \"..\"} }"},
    {"255 of three classes",
     {0, 255},
     2,
     1,
     3,
     false,
     NULL,
     0,
     {0},
     "m.png: mask value 255 (1 elements), but the module has classes 0..2 (-D classes=N); values found: 0, "
     "255. Or say what they mean: prepare { labels = {0: \"background\", 255: \"..\"} }"},
    {"a JPEG", {0, 3, 250, 255, 127, 128}, 6, 1, 2, true, NULL, 0, {0, 0, 1, 1, 0, 1}, NULL},
    {"an empty JPEG", {0, 0}, 2, 1, 2, true, NULL, 0, {0, 0}, NULL},
    {"a JPEG of classes",
     {0, 2},
     2,
     1,
     3,
     true,
     NULL,
     0,
     {0},
     "m.png: JPEG changes a mask's numbers; save masks of several classes as PNG"},
    {"rules", {126, 0, 63, 255, 200}, 5, 1, 3, false, organs, 5, {2, 0, 1, CLASS_IGNORE, 1}, NULL},
    {"rules, nearly", {125.9999f, 63.0004f}, 2, 1, 3, false, organs, 5, {2, 1}, NULL},
    {"rules, two classes", {-1, 1}, 2, 1, 2, false, signs, 2, {0, 1}, NULL},
    {"no rule",
     {0, 64, 63},
     3,
     1,
     3,
     false,
     organs,
     5,
     {0},
     "m.png: mask value 64 (1 elements) is not among the module's labels; values found: 0, 63, 64. Add `64: "
     "\"..\"` to its `labels`"},
    {"colours", {0, 255, 0, /**/ 0, 0, 0, /**/ 0, 0, 255}, 3, 3, 3, false, colours, 3, {0, 1, 2}, NULL},
    {"no such colour",
     {0, 255, /**/ 0, 16, /**/ 0, 1},
     2,
     3,
     3,
     false,
     colours,
     3,
     {0},
     "m.png: mask value \"#ff1001\" (1 elements) is not among the module's labels; values found: "
     "\"#000000\", "
     "\"#ff1001\". Add `\"#ff1001\": \"..\"` to its `labels`"},
    {"grey among colours", {0, 0}, 2, 1, 3, false, colours, 3, {0, 0}, NULL},
    {"numbers and colours",
     {0, 0, 255},
     1,
     3,
     2,
     false,
     mixed,
     3,
     {0},
     "m.png: mask value \"#0000ff\" (1 elem"
     "ents) is not among the module's labels; values found: \"#0000ff\". Add `\"#0000ff\": \"..\"` to its "
     "`labels`"},
    {"a number is a grey", {0, 0, /**/ 0, 255, /**/ 0, 0}, 2, 3, 2, false, mixed, 3, {0, 1}, NULL},
    {"an ignored grey",
     {255, 0, /**/ 255, 255, /**/ 255, 0},
     2,
     3,
     2,
     false,
     mixed,
     3,
     {CLASS_IGNORE, 1},
     NULL},
};

static Image image_of(const Case *c) {
  static float value[MOST];
  memcpy(value, c->value, sizeof value);
  return (Image){.spatial = 2,
                 .channels = c->channels,
                 .grid = grid_plain((int64_t[]){c->n, 1, 1}, NULL),
                 .value = value};
}

TEST(values_become_classes_or_an_error) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const Case *c = &cases[i];
    Recipe r = recipe_plain;
    char err[ERR_MAX] = "";
    uint8_t out[MOST];
    r.label = c->rule, r.nlabel = c->rules;
    Image mask = image_of(c);
    bool ok = labels_of(&mask, &r, c->classes, c->lossy, "m.png", out, err);
    if (ok == (c->err != NULL) || (c->err && strcmp(err, c->err) != 0))
      fail_msg("%s:\n%s\nnot\n%s", c->what, ok ? "no error" : err, c->err ? c->err : "");
    for (int k = 0; ok && k < c->n; k++)
      if (out[k] != c->want[k]) fail_msg("%s: element %d is %d, not %d", c->what, k, out[k], c->want[k]);
  }
}

TEST(an_image_is_no_mask) {
  enum { N = 600 };
  static float value[N];
  uint8_t out[N];
  char err[ERR_MAX];
  for (int i = 0; i < N; i++) value[i] = (float)i / 4;
  Image mask = {
      .spatial = 2, .channels = 1, .grid = grid_plain((int64_t[]){20, 30, 1}, NULL), .value = value};
  assert_false(labels_of(&mask, &recipe_plain, 3, false, "m.png", out, err));
  assert_string_equal(err,
                      "m.png: more than 512 different values (0 .. 127.75): this is an image, not a mask");
}

TEST(many_values_are_listed_in_short) {
  float value[] = {0, 10, 20, 30, 40, 50, 60, 70};
  uint8_t out[8];
  char err[ERR_MAX];
  Image mask = {.spatial = 2, .channels = 1, .grid = grid_plain((int64_t[]){2, 4, 1}, NULL), .value = value};
  assert_false(labels_of(&mask, &recipe_plain, 2, false, "m.png", out, err));
  assert_string_equal(err,
                      "m.png: a mask of two classes holds 0 and 1, or 0 and 255; found 0, 10, 20, 30, 40, 50 "
                      "and 2 more (10: 1 elements). Say what they mean: prepare { labels = {0: "
                      "\"background\", 10: \"..\", 20: \"..\", 30: \"..\", 40: \"..\", 50: \"..\", ..} }");
}

RUN_TESTS(NULL, NULL)
