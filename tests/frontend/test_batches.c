/* test_batches.c - what a batch's arguments come to: lists of augmentations with their parameters, the
 * fraction around foreground, second views; on the command line and in the text form, too. */
#include <string.h>
#include "tests/test.h"
#include "frontend/frontend.h"

#define PROGRAM(options, batch)                                                                              \
  options "\nnet tiny(x; n) { return conv(x, n, 1) }\nstudent = tiny(2)\ntrain t {\n  batch a " batch        \
          "\n  update student with sgd(0.1) { minimize mean(student(a.image)) }\n}\n"
#define IMAGE "{ image: f32[2, 1, 8, 8] }"

static Arena *arena;
FIXTURE(set_up) { return (arena = arena_new()) ? 0 : -1; }
FIXTURE(tear_down) { return arena_free(arena), 0; }

static const Stream *stream_of(const char *text, const char *define, const char **options) {
  Define d = {"augment", define};
  FrontendOptions opt = {.diag = stderr, .define = &d, .ndefine = define ? 1 : 0};
  char err[IR_ERR] = "";
  Program *p = frontend_compile_text(arena, "models/test.net", text, &opt, options);
  assert_non_null(p);
  if (!ir_verify(p, err)) fail_msg("%s", err);
  assert_int_equal(p->nstream, 1);
  return &p->stream[0];
}

static void is_augment(const Augment *a, AugmentKind kind, double p, double v0, double v1, double v2) {
  assert_int_equal(a->kind, kind);
  assert_true(a->p == p && a->value[0] == v0 && a->value[1] == v1 && a->value[2] == v2);
}

TEST(a_word_and_an_empty_call_mean_what_the_table_says) {
  const Stream *s = stream_of(
      PROGRAM("", "(source = \"all\", augment = [\"flip\", rot90, scale(), \"gamma\", noise]) " IMAGE), NULL,
      NULL);
  assert_int_equal(s->naugment, 5);
  is_augment(&s->augment[0], AUG_FLIP, 0.5, 0, 0, 0);
  is_augment(&s->augment[1], AUG_ROT90, 1, 0, 0, 0);
  is_augment(&s->augment[2], AUG_SCALE, 0.2, 0.7, 1.4, 0);
  is_augment(&s->augment[3], AUG_GAMMA, 0.3, 0.7, 1.5, 0);
  is_augment(&s->augment[4], AUG_NOISE, 1, 0.1, 0.1, 0);
  assert_true(s->nstrong == 0 && s->foreground == 0);
}

TEST(parameters_go_by_place_or_name) {
  const Stream *s =
      stream_of(PROGRAM("option most = 20",
                        "(source = \"all\", augment = [rotate(most), rotate(10)] [1:] + [scale(hi = 2),\n"
                        "  noise(0.3), blur(0.5, 2, 1, 0.4), cutout(boxes = 3, p = 1)]) " IMAGE),
                NULL, NULL);
  assert_int_equal(s->naugment, 5);
  is_augment(&s->augment[0], AUG_ROTATE, 0.2, 10, 10, 0);
  is_augment(&s->augment[1], AUG_SCALE, 0.2, 0.7, 2, 0);
  is_augment(&s->augment[2], AUG_NOISE, 1, 0.3, 0.3, 0);
  is_augment(&s->augment[3], AUG_BLUR, 0.4, 0.5, 2, 1);
  is_augment(&s->augment[4], AUG_CUTOUT, 1, 0.1, 0.4, 3);
}

TEST(a_list_on_the_command_line_has_calls_too) {
  const char *options;
  const Stream *s = stream_of(PROGRAM("option augment = []", "(source = \"all\", augment = augment) " IMAGE),
                              "[flip,rotate(15, p = 1),noise]", &options);
  assert_int_equal(s->naugment, 3);
  is_augment(&s->augment[1], AUG_ROTATE, 1, 15, 15, 0);
  assert_string_equal(options, "augment=[\"flip\",rotate(15,15,p=1),\"noise\"]");
  s = stream_of(PROGRAM("option augment = [\"flip\", rotate(5), contrast]",
                        "(source = \"all\", augment = augment) " IMAGE),
                NULL, &options);
  assert_int_equal(s->naugment, 3);
  assert_string_equal(options, "augment=[\"flip\",rotate(5,5,p=0.2),\"contrast\"]");
}

/* The name tells a second view from an image. */
TEST(a_field_called_strong_is_a_second_view) {
  const Stream *s =
      stream_of(PROGRAM("", "(source = \"all\", augment = [\"crop\"], strong = [cutout, brightness(0, 2)],\n"
                            "  foreground = 0.33) { image: f32[2, 1, 8, 8], strong: f32[2, 1, 8, 8]\n"
                            "  other: f32[2, 1, 8, 8]; label: label[2, 8, 8] }"),
                NULL, NULL);
  assert_int_equal(s->nfield, 4);
  assert_int_equal(s->field[0].kind, FIELD_IMAGE);
  assert_int_equal(s->field[1].kind, FIELD_STRONG);
  assert_int_equal(s->field[2].kind, FIELD_IMAGE);
  assert_int_equal(s->field[3].kind, FIELD_LABEL);
  assert_int_equal(s->nstrong, 2);
  is_augment(&s->strong[1], AUG_BRIGHTNESS, 0.15, 0, 2, 0);
  assert_true(s->foreground == 0.33);
}

/* A program's own names come before the augmentations'. */
TEST(blocks_may_be_called_as_augmentations_are) {
  const Stream *s =
      stream_of("block blur(x, k) { return avgpool(x, k) }\n"
                "block noise(x) { return x * 2 }\n"
                "net tiny(x; n) {\n  scale = 0.5\n  return conv(blur(noise(x), 2) * scale, n, 1)\n}\n"
                "student = tiny(2)\ntrain t {\n"
                "  batch a (source = \"all\", augment = [\"noise\", \"blur\"]) " IMAGE "\n"
                "  update student with sgd(0.1) { minimize mean(student(a.image)) }\n}\n",
                NULL, NULL);
  assert_int_equal(s->naugment, 2);
}

RUN_TESTS(set_up, tear_down)
