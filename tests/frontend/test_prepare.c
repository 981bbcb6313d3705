/* test_prepare.c - the statement prepare: what it says is what the program has, wherever the values come
 * from. Its errors are in tests/err/prepare. */
#include <string.h>
#include "tests/test.h"
#include "frontend/frontend.h"
#include "ir/prepare.h"

static const char ending[] = "\nnet n(x) { return conv(x, 2, 1) }\ns = n()\n"
                             "predict(image: f32[1, 2, 16, 16]) { return softmax(s(image)) }\n";

static const Prepare *compile(Arena *a, const char *text, Define define, Program **program) {
  FrontendOptions opt = {.diag = stderr, .define = &define, .ndefine = define.name != NULL};
  char err[IR_ERR] = "";
  Program *p = frontend_compile_text(a, "models/test.net", arena_printf(a, "%s%s", text, ending), &opt, NULL);
  if (!p) fail_msg("%s", text);
  if (!ir_verify(p, err)) fail_msg("%s: %s", text, err);
  if (program) *program = p;
  return p->prepare;
}

/* What `prepare { setting }` says. */
static const Prepare *saying(Arena *a, const char *setting) {
  return compile(a, arena_printf(a, "prepare { %s }", setting), (Define){0}, NULL);
}

TEST(a_file_without_the_statement_says_nothing) {
  Arena *a = arena_new();
  assert_null(compile(a, "", (Define){0}, NULL));
  arena_free(a);
}

TEST(an_empty_statement_says_the_defaults) {
  Arena *a = arena_new();
  const Prepare *p = saying(a, "");
  assert_int_equal(p->nchannel, 0);
  assert_int_equal(p->spacing, SPACING_STORED);
  assert_int_equal(p->image_order, ORDER_CUBIC);
  assert_int_equal(p->mask_order, ORDER_NEAREST);
  assert_string_equal(p->orientation, "RAS");
  assert_int_equal(p->plane, PLANE_THICK);
  assert_int_equal(p->crop, CROP_NONE);
  assert_int_equal(p->nintensity, 1);
  assert_int_equal(p->intensity->kind, INTENSITY_AUTO);
  assert_int_equal(p->nlabel, 0);
  assert_float_equal(p->overlap, 0.5, 0);
  assert_int_equal(p->stride[0], 0);
  assert_int_equal(p->weight, WEIGHT_UNIFORM);
  assert_int_equal(p->post, 0);
  assert_float_equal(p->drop, 0, 0);
  arena_free(a);
}

TEST(spacing_is_stored_fixed_or_the_median) {
  Arena *a = arena_new();
  const Prepare *p = saying(a, "spacing = [0.77, none]");
  assert_int_equal(p->spacing, SPACING_FIXED);
  assert_float_equal(p->mm[0], 0.77, 0);
  assert_float_equal(p->mm[1], 0, 0);
  p = saying(a, "spacing = 1.5"); /* along the axes there are */
  assert_float_equal(p->mm[1], 1.5, 0);
  assert_float_equal(p->mm[2], 0, 0);
  assert_int_equal(saying(a, "spacing = \"median\"")->spacing, SPACING_MEDIAN);
  assert_int_equal(saying(a, "spacing = none")->spacing, SPACING_STORED);
  assert_int_equal(saying(a, "spacing = \"stored\"")->spacing, SPACING_STORED);
  assert_float_equal(saying(a, "spacing = [\"stored\", 2]")->mm[0], 0, 0);
  arena_free(a);
}

TEST(all_48_orientations_are_known_and_no_other) {
  Arena *a = arena_new();
  int known = 0;
  for (int i = 0; i < 26 * 26 * 26; i++)
    known +=
        orientation_ok((char[]){(char)('A' + i / 676), (char)('A' + i / 26 % 26), (char)('A' + i % 26), 0});
  assert_int_equal(known, 48);
  assert_false(orientation_ok("RA") || orientation_ok("RASA") || orientation_ok(""));
  assert_string_equal(saying(a, "orientation = \"IPL\"")->orientation, "IPL");
  assert_string_equal(saying(a, "orientation = none")->orientation, "");
  assert_string_equal(saying(a, "orientation = \"stored\"")->orientation, "");
  arena_free(a);
}

/* A scheme and how it prints as an option. */
TEST(intensities_are_values_with_their_numbers) {
  Arena *a = arena_new();
  const Intensity *i = saying(a, "intensity = window(-200, 250)")->intensity;
  assert_int_equal(i->kind, INTENSITY_ZSCORE);
  assert_true(i->clip && i->lo == -200 && i->hi == 250);
  i = saying(a, "intensity = fixed(0.485, 0.229, scale = 255, clip = [0, 200])")->intensity;
  assert_int_equal(i->kind, INTENSITY_FIXED);
  assert_true(i->mean == 0.485 && i->deviation == 0.229 && i->scale == 255 && i->clip && i->hi == 200);
  const Prepare *p = saying(a, "intensity = [foreground(), minmax(clip = [0, 9])]");
  assert_int_equal(p->nintensity, 2);
  assert_int_equal(p->intensity[0].kind, INTENSITY_FOREGROUND);
  assert_true(!p->intensity[0].clip && p->intensity[1].clip);
  assert_int_equal(saying(a, "intensity = none")->intensity->kind, INTENSITY_NONE);
  assert_int_equal(saying(a, "intensity = \"nonzero\"")->intensity->kind, INTENSITY_NONZERO);
  arena_free(a);
}

TEST(classes_are_numbered_as_they_appear_behind_the_background) {
  Arena *a = arena_new();
  const Prepare *p = saying(a, "labels = {2: \"liver\", 0: \"background\", -63: \"liver\", 255: \"ignore\"}");
  static const LabelRule want[] = {{2, -1, 1}, {0, -1, 0}, {-63, -1, 1}, {255, -1, CLASS_IGNORED}};
  assert_int_equal(p->nclass, 2);
  assert_string_equal(p->class_name[0], "background");
  assert_string_equal(p->class_name[1], "liver");
  assert_int_equal(p->nlabel, 4);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(p->label[i].value, want[i].value);
    assert_int_equal(p->label[i].colour, want[i].colour);
    assert_int_equal(p->label[i].cls, want[i].cls);
  }
  assert_true(prepare_ignores(p));
  p = saying(a, "labels = {\"#000000\": \"background\"\n \"#fF0010\": \"tumour\"\n}");
  assert_int_equal(p->label[1].colour, 0xff0010);
  assert_false(prepare_ignores(p));
  p = saying(a, "labels = [\"background\", \"ignore\", \"liver\"]");
  assert_int_equal(p->label[1].cls, CLASS_IGNORED);
  assert_int_equal(p->label[2].value, 2);
  assert_int_equal(p->label[2].cls, 1);
  arena_free(a);
}

TEST(patches_and_masks_are_told_how_to_be_joined) {
  Arena *a = arena_new();
  const Prepare *p =
      saying(a, "stride = [4, 8]; window = \"gaussian\"; postprocess = [\"fill\"]; drop = 12.5");
  assert_int_equal(p->stride[0], 4);
  assert_int_equal(p->stride[1], 8);
  assert_int_equal(p->weight, WEIGHT_GAUSSIAN);
  assert_int_equal(p->post, 1 << POST_FILL);
  assert_float_equal(p->drop, 12.5, 0);
  p = saying(a, "stride = 4");
  assert_int_equal(p->stride[1], 4);
  assert_int_equal(p->stride[2], 0);
  arena_free(a);
}

/* Values are those of options, and those are what the command line says. */
TEST(options_give_values_to_the_statement) {
  static const char text[] = "option intensity = auto(), labels = {0: \"background\", 1: \"liver\"}\n"
                             "option spacing = none\n"
                             "prepare { intensity = intensity; labels = labels; spacing = spacing }";
  Arena *a = arena_new();
  const Prepare *p = compile(a, text, (Define){0}, NULL);
  assert_int_equal(p->intensity->kind, INTENSITY_AUTO);
  assert_int_equal(p->label[1].value, 1);
  p = compile(a, text, (Define){"intensity", "window(-200, 250)"}, NULL);
  assert_int_equal(p->intensity->kind, INTENSITY_ZSCORE);
  p = compile(a, text, (Define){"intensity", "[minmax(), none]"}, NULL);
  assert_int_equal(p->intensity[1].kind, INTENSITY_NONE);
  p = compile(a, text, (Define){"intensity", "zscore"}, NULL);
  assert_int_equal(p->intensity->kind, INTENSITY_ZSCORE);
  p = compile(a, text, (Define){"labels", "{0: background, 63: spleen, 9: \"ignore\"}"}, NULL);
  assert_string_equal(p->class_name[1], "spleen");
  assert_int_equal(p->label[1].value, 63);
  p = compile(a, text, (Define){"labels", "[background, tumour]"}, NULL);
  assert_string_equal(p->class_name[1], "tumour");
  p = compile(a, text, (Define){"spacing", "[2, 3]"}, NULL);
  assert_float_equal(p->mm[1], 3, 0);
  arena_free(a);
}

TEST(options_are_shown_as_they_are_written) {
  static const char text[] = "option i = fixed(1, 2, scale = 3, clip = [4, 5])\noption j = [zscore(), none]\n"
                             "option k = {0: \"background\", \"#ff0000\": \"tumour\"}\n"
                             "forward f(x: f32[1, 1, 8, 8]) { return x }";
  Arena *a = arena_new();
  const char *options;
  assert_non_null(frontend_compile_text(a, "models/test.net", text, NULL, &options));
  assert_string_equal(options, "i=fixed(1,2,scale=3,clip=[4,5]) j=[zscore(),none] "
                               "k={0:\"background\",\"#ff0000\":\"tumour\"}");
  arena_free(a);
}

/* Where neither an option nor predict says how many classes there are, the labels do. */
TEST(labels_say_how_many_classes_there_are) {
  static const char text[] = "prepare { labels = [\"background\", \"liver\", \"spleen\"] }\n"
                             "forward f(x: f32[1, 1, 8, 8]) { return x }";
  Arena *a = arena_new();
  Program *p = frontend_compile_text(a, "models/test.net", text, NULL, NULL);
  assert_non_null(p);
  assert_int_equal(p->classes, 3);
  compile(a, "prepare { }", (Define){0}, &p);
  assert_int_equal(p->classes, 2);
  arena_free(a);
}

/* Wherever labels stand; a name alone is a list of one. */
TEST(regions_are_unions_of_the_classes_of_labels) {
  Arena *a = arena_new();
  static const char text[] =
      "option regions = {\"whole\": [\"oedema\", \"core\"], \"core\": \"core\"}\n"
      "prepare { regions = regions; labels = {0: \"background\", 1: \"core\", 2: \"oedema\"} }";
  Program *program;
  const Prepare *p = compile(a, text, (Define){0}, &program);
  assert_int_equal(p->nregion, 2);
  assert_string_equal(p->region[0], "whole");
  assert_string_equal(p->region[1], "core");
  assert_true(p->member[0] == 0 && p->member[1] == 3 && p->member[2] == 1);
  assert_int_equal(region_class(p, 0), 2);
  assert_int_equal(region_class(p, 1), 1);
  assert_int_equal(program->classes, 3); /* of labels: predict gives two probabilities */
  p = compile(a, text, (Define){"regions", "{both: [core, oedema], core: core}"}, NULL);
  assert_string_equal(p->region[0], "both");
  arena_free(a);
}

/* A field of a batch is what its name says; an input of a function may be called as it likes. */
TEST(the_field_regions_is_of_the_regions) {
  Arena *a = arena_new();
  Program *program;
  compile(a,
          "prepare { labels = [\"background\", \"a\", \"b\"]; regions = {\"a\": \"a\", \"b\": \"b\"} }\n"
          "net m(x) { return conv(x, 2, 1) }\nt = m()\ntrain u {\n"
          "  batch labeled (strong = [blur]) { image: f32[2, 2, 16, 16]; regions: f32[2, 2, 16, 16]\n"
          "strong: f32[2, 2, 16, 16] }\n"
          "  update t with sgd(1) { minimize mean(t(labeled.image) * labeled.regions * labeled.strong) }\n}\n"
          "forward f(regions: f32[1, 1, 8, 8]) { return regions }",
          (Define){0}, &program);
  assert_int_equal(program->stream[0].field[1].kind, FIELD_REGIONS);
  assert_int_equal(program->stream[0].field[2].kind, FIELD_STRONG);
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
