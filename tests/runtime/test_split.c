/* test_split.c - lists of cases as people write them, and how cases are divided: by lists, folds, validation
 * parts; which are labelled, where only some have masks. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/data/data.h"
#include "runtime/io/picture.h"
#include "tests/scratch.h"

static char err[ERR_MAX];
static const DataShape shape = {.spatial = 2, .channels = 1, .size = {8, 8}, .classes = 2};

static void write_text(const char *name, const char *text) {
  FILE *f = fopen(in_root(name), "wb");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  fclose(f);
}

/* images/case0.png .. of n cases; masks for those below `masked`. The lists of the test before go. */
static void write_cases(int n, int masked) {
  static const char *const lists[] = {"train.list", "val.list", "test.list", "train.txt"};
  uint8_t gray[64] = {0};
  char name[64];
  for (int i = 0; i < 4; i++) unlink(in_root(lists[i]));
  mkdir(in_root("images"), 0777), mkdir(in_root("masks"), 0777);
  for (int k = 0; k < 64; k++) {
    for (int mask = 0; mask < 2; mask++) {
      snprintf(name, sizeof name, "%s/case%d.png", mask ? "masks" : "images", k);
      unlink(in_root(name));
      gray[9] = (uint8_t)(mask ? 255 : k + 1);
      if (k < (mask ? masked : n)) assert_true(png_write_gray(in_root(name), gray, 8, 8, err));
    }
  }
}

/* The notes of a data set, joined; good until the next one. */
static const char *notes_of(const Dataset *d) {
  static char text[4096];
  const Notes *n = d->shape.notes;
  *text = '\0';
  for (int i = 0; i < n->n; i++) strcat(text, n->text[i]);
  return text;
}

static Dataset *opened(const SplitPlan *plan) {
  static Notes notes;
  char spec[128];
  DataShape with = shape;
  snprintf(spec, sizeof spec, "folder:%s", root);
  notes_free(&notes), notes_init(&notes);
  with.notes = &notes;
  return data_open_split(spec, &with, plan, err);
}

static Dataset *must_open(const SplitPlan *plan) {
  Dataset *d = opened(plan);
  if (!d) fail_msg("%s", err);
  return d;
}

static void refused(const SplitPlan *plan, const char *part) {
  Dataset *d = opened(plan);
  bool ok = d;
  data_close(d);
  if (ok) fail_msg("expected a failure that says '%s'", part);
  if (!strstr(err, part)) fail_msg("'%s' does not say '%s'", err, part);
}

static void says(const char *text, const char *part) {
  if (!text || !strstr(text, part)) fail_msg("'%s' does not say '%s'", text ? text : "(nothing)", part);
}

/* The names of the items of a split, in the items' order: "case0 case3 ". */
static const char *names(const Dataset *d, Split split, bool labeled) {
  static char text[2048];
  *text = '\0';
  for (int i = 0; i < d->nitem; i++)
    if (d->item[i].split == split && d->item[i].labeled >= labeled)
      strcat(strcat(text, d->item[i].name), " ");
  return text;
}

/* ---- how lists are written ---- */

TEST(a_list_is_read_however_it_is_written) {
  static const char *const text[] = {
      "case0\ncase2\n",         /* plain */
      "case0\r\n\r\ncase2\r\n", /* Windows, an empty line */
      "case0\rcase2",           /* old Macintosh, no end of line at the end */
      "\xEF\xBB\xBF"
      "case0\ncase2\n",                                    /* byte order mark */
      "  case0 \t\ncase2 \n",                              /* blanks around */
      "# those that train\ncase0 # the first\n\n case2\n", /* comments */
      "case0.PNG\ncase2.bmp\n", /* endings, also of what the images were made from */
      "./images/case0.png\n/data/set/images/case2.png\n", /* paths */
      "images\\case0.png\nC:\\data\\images\\case2\n",     /* back-slashes */
      "images/case0.png,masks/case0.png\nimages/case2.png;masks/case2.png\n",
      "images/case0.png masks/case0.png\ncase2\tmasks/case2.png\n",
      "image,mask\n\"images/case0.png\",\"masks/case0.png\"\ncase2,x\n", /* a table with a heading, quoted */
      "case0\ncase0\ncase2\n",                                           /* twice is once */
      "case0\ncase2\nimages_train.txt\n",                                /* the list itself, by `ls` */
  };
  write_cases(5, 5);
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    write_text("train.list", text[i]);
    Dataset *d = opened(NULL);
    if (!d) fail_msg("list %d: %s", (int)i, err);
    if (strcmp(names(d, SPLIT_TRAIN, false), "case0 case2 ")) fail_msg("list %d: %s", (int)i, names(d, 0, 0));
    says(notes_of(d), "3 of the 5 images");
    if (strstr(text[i], ".txt")) says(notes_of(d), "train.list:3: 'images_train.txt' is no image");
    data_close(d);
  }
}

TEST(what_is_no_list_is_refused) {
  static const char utf16[] = {'\xFF', '\xFE', 'c', 0, 'a', 0};
  write_cases(5, 5);
  write_text("train.list", "");
  refused(NULL, "train.list is empty");
  write_text("train.list", " \n\r\n# nothing\n");
  refused(NULL, "train.list is empty");
  FILE *f = fopen(in_root("train.list"), "wb");
  assert_int_equal(fwrite(utf16, 1, sizeof utf16, f), sizeof utf16);
  fclose(f);
  refused(NULL, "UTF-16");
  write_text("train.list", "case0\n"), write_text("train.txt", "case1\n");
  refused(NULL, "both train.list and train.txt");
}

TEST(a_name_that_fits_nothing_is_told_with_its_neighbours) {
  write_cases(5, 5);
  write_text("train.list", "case0\n\nimages/cse3.png\ncase1\nimages/other.png masks/case1.png\n");
  refused(NULL, "train.list:3: 'images/cse3.png' is neither a case nor an image of ");
  says(err, root);
  says(err, "nor are 1 other of its 4 names");
  says(err, "nearest: case3, case0, case1");
  says(err, "--missing skip");
  Dataset *d = must_open(&(SplitPlan){.skip_missing = true});
  assert_string_equal(names(d, SPLIT_TRAIN, false), "case0 case1 ");
  says(notes_of(d), "2 of the 4 names");
  says(notes_of(d), "the first 'images/cse3.png' (line 3)");
  data_close(d);
  write_text("train.list", "a\nb\n");
  refused(&(SplitPlan){.skip_missing = true}, "nor are 1 other of its 2 names");
}

TEST(a_case_is_in_one_list_only) {
  write_cases(5, 5);
  write_text("train.list", "case0\ncase3\n"), write_text("test.list", "case4\n\ncase3\n");
  refused(NULL, "case 'case3' is in ");
  says(err, "train.list (line 2) and in ");
  says(err, "test.list (line 3)");
}

TEST(without_a_training_list_the_rest_trains) {
  write_cases(5, 5);
  write_text("test.list", "case4\ncase1\n");
  Dataset *d = must_open(NULL);
  assert_string_equal(names(d, SPLIT_TRAIN, false), "case0 case2 case3 ");
  assert_string_equal(names(d, SPLIT_TEST, false), "case1 case4 ");
  says(notes_of(d), "no train.list: the 3 images");
  data_close(d);
}

/* ---- folds and validation parts ---- */

TEST(every_training_case_is_in_one_fold) {
  int times[64] = {0}, tests = -1;
  write_cases(23, 23);
  for (int k = 1; k <= 5; k++) {
    char fold[16];
    snprintf(fold, sizeof fold, "%d/5", k);
    Dataset *d = must_open(&(SplitPlan){.fold = fold}), *again = must_open(&(SplitPlan){.fold = fold});
    assert_true(data_split_hash(d) == data_split_hash(again));
    int train = data_count(d, SPLIT_TRAIN, false), val = data_count(d, SPLIT_VAL, false);
    if (tests < 0) tests = data_count(d, SPLIT_TEST, false);
    assert_int_equal(data_count(d, SPLIT_TEST, false), tests); /* and the same ones, see below */
    assert_int_equal(train + val + tests, 23);
    assert_true(val == (23 - tests) / 5 || val == (23 - tests) / 5 + 1);
    for (int i = 0; i < d->nitem; i++)
      times[i] += d->item[i].split == SPLIT_VAL ? 1 : d->item[i].split == SPLIT_TEST ? 10 : 0;
    data_close(d), data_close(again);
  }
  for (int i = 0; i < 23; i++) assert_true(times[i] == 1 || times[i] == 50);
}

TEST(folds_go_by_case) {
  uint8_t gray[64] = {0};
  char name[64];
  write_cases(0, 0);
  for (int k = 0; k < 24; k++)
    for (int mask = 0; mask < 2; mask++) {
      snprintf(name, sizeof name, "%s/p%d_z%03d.png", mask ? "masks" : "images", k / 3, k);
      assert_true(png_write_gray(in_root(name), gray, 8, 8, err));
    }
  Dataset *d = must_open(&(SplitPlan){.fold = "1/2"});
  assert_int_equal(d->ncase, 8);
  assert_int_equal(data_count(d, SPLIT_VAL, false) % 3, 0);
  for (int i = 0; i < 24; i += 3)
    assert_true(d->item[i].split == d->item[i + 1].split && d->item[i].split == d->item[i + 2].split);
  data_close(d);
  for (int k = 0; k < 24; k++)
    for (int mask = 0; mask < 2; mask++) {
      snprintf(name, sizeof name, "%s/p%d_z%03d.png", mask ? "masks" : "images", k / 3, k);
      unlink(in_root(name));
    }
}

TEST(folds_divide_what_lists_train_and_validate) {
  write_cases(8, 8);
  write_text("train.list", "case0\ncase1\ncase2\n"), write_text("val.list", "case3\ncase4\n");
  write_text("test.list", "case5\n");
  Dataset *d = must_open(NULL), *a = must_open(&(SplitPlan){.fold = "1/5"});
  assert_string_equal(names(d, SPLIT_VAL, false), "case3 case4 ");
  assert_int_equal(data_count(a, SPLIT_VAL, false), 1);
  assert_int_equal(data_count(a, SPLIT_TRAIN, false), 4);
  assert_string_equal(names(a, SPLIT_TEST, false), "case5 ");
  says(notes_of(a), "the 2 images of val.list");
  assert_true(data_split_hash(d) != data_split_hash(a));
  data_close(d), data_close(a);
}

TEST(a_validation_part_is_taken_from_the_training_cases) {
  write_cases(10, 10);
  write_text("train.list", "case0\ncase1\ncase2\ncase3\ncase4\ncase5\ncase6\ncase7\n");
  Dataset *d = must_open(&(SplitPlan){.val = "25%"}), *e = must_open(&(SplitPlan){.val = "3"}),
          *none = must_open(&(SplitPlan){.val = "none"});
  assert_int_equal(data_count(d, SPLIT_VAL, false), 2);
  assert_int_equal(data_count(d, SPLIT_TRAIN, false), 6);
  assert_int_equal(data_count(e, SPLIT_VAL, false), 3);
  for (int i = 0; i < 8; i++) assert_true(d->item[i].split != SPLIT_VAL || e->item[i].split == SPLIT_VAL);
  assert_int_equal(data_count(none, SPLIT_VAL, false), 0);
  assert_true(data_split_val(none, "25%", err)); /* later is the same */
  assert_true(data_split_hash(none) == data_split_hash(d));
  data_close(d), data_close(e), data_close(none);
}

TEST(a_plan_that_cannot_be_is_refused) {
  static const char *const fold[] = {"0/5", "6/5", "1", "1/1", "2/5x", "a/b", "-1/5"};
  write_cases(10, 10);
  write_text("train.list", "case0\ncase1\ncase2\n");
  for (size_t i = 0; i < sizeof fold / sizeof *fold; i++)
    refused(&(SplitPlan){.fold = fold[i]}, "expected K/N, the K-th of N parts");
  refused(&(SplitPlan){.fold = "1/4"}, "only 3 training cases");
  refused(&(SplitPlan){.fold = "1/2", .val = "20%"}, "exclude each other");
  refused(&(SplitPlan){.val = "0"}, "expected a percentage");
  refused(&(SplitPlan){.val = "some"}, "expected a percentage");
  refused(&(SplitPlan){.val = "3"}, "3 training cases, of which at least one must train");
  refused(&(SplitPlan){.val = "100%"}, "at least one must train");
  write_text("val.list", "case3\n");
  refused(&(SplitPlan){.val = "1"}, "val.list names the validation cases");
}

/* ---- labelled cases ---- */

static void labels(Dataset *d, const char *how, const char *want) {
  if (!data_split_labeled(d, how, 1, err)) fail_msg("%s", err);
  assert_string_equal(names(d, SPLIT_TRAIN, true), want);
}

static void no_labels(Dataset *d, const char *how, const char *part) {
  assert_false(data_split_labeled(d, how, 1, err));
  says(err, part);
}

TEST(cases_with_masks_are_the_labelled_ones) {
  write_cases(12, 3);
  write_text("train.list", "case0 case1\ncase1\ncase2\ncase3\ncase4\ncase5\ncase6\ncase7\ncase8\ncase9\n");
  Dataset *d = must_open(NULL);
  assert_int_equal(data_count(d, SPLIT_TRAIN, false), 10);
  assert_string_equal(names(d, SPLIT_TRAIN, true), "case0 case1 case2 ");
  labels(d, "3", "case0 case1 case2 ");
  labels(d, "30%", "case0 case1 case2 ");
  assert_true(data_split_labeled(d, "10%", 7, err));
  assert_int_equal(data_count(d, SPLIT_TRAIN, true), 1);
  assert_true(strstr("case0 case1 case2 ", names(d, SPLIT_TRAIN, true)));
  no_labels(d, "4", "only 3 of the 10 training cases of folder have masks");
  no_labels(d, "50%", "that is 5 cases, but only 3");
  no_labels(d, "11", "there are only 10 training cases");
  write_text("some.list", "case1\ncase4\n");
  no_labels(d, in_root("some.list"), "some.list:2: 'case4' is to be labelled, but case4 has no mask");
  data_close(d);
}

TEST(the_first_of_the_list_are_those_of_the_literature) {
  write_cases(12, 12);
  write_text("train.list", "case7\ncase2\ncase7\ncase11\ncase0\ncase5\n"), write_text("test.list", "case1\n");
  Dataset *d = must_open(NULL);
  labels(d, "first:1", "case7 ");
  labels(d, "first:3", "case11 case2 case7 "); /* items are in the order of their names */
  labels(d, "first:5", "case0 case11 case2 case5 case7 ");
  no_labels(d, "first:6", "only 5 training cases");
  no_labels(d, "first:50%", "expected first:N");
  no_labels(d, "first:x", "expected first:N");
  data_close(d);
  d = must_open(&(SplitPlan){.fold = "1/5"}); /* of those that train, in this fold */
  assert_true(data_split_labeled(d, "first:4", 1, err));
  assert_int_equal(data_count(d, SPLIT_TRAIN, true), 4);
  bool among =
      !strstr("case5 ", names(d, SPLIT_VAL, false)); /* the last one of the list validates, or another */
  assert_int_equal(strstr(notes_of(d), "1 of the first 4 cases of train.list validate") != NULL, among);
  data_close(d);
  write_cases(12, 12);
  d = must_open(NULL);
  no_labels(d, "first:3", "no train.list");
  data_close(d);
}

TEST(a_list_of_labelled_cases_names_training_cases) {
  write_cases(6, 6);
  write_text("train.list", "case0\ncase1\ncase2\n"), write_text("val.list", "case3\n");
  write_text("test.list", "case4\n");
  Dataset *d = must_open(NULL);
  write_text("some.list", "images\\case1.PNG\r\ncase2\r\n");
  labels(d, in_root("some.list"), "case1 case2 ");
  write_text("some.list", "case1\ncase3\n");
  labels(d, in_root("some.list"), "case1 ");
  says(notes_of(d), "1 images that ");
  write_text("some.list", "case1\ncase4\n");
  no_labels(d, in_root("some.list"), "some.list:2: 'case4' is a test case");
  write_text("some.list", "case1\ncase5\n"); /* which no list names */
  no_labels(d, in_root("some.list"), "some.list:2: 'case5' is neither");
  write_text("some.list", "case3\n");
  no_labels(d, in_root("some.list"), "names no training case");
  no_labels(d, "nosuch", "neither a percentage (10%), a number of cases nor first:N");
  data_close(d);
}

/* An HDF5 file of a case, by its path, of which the file's own name says nothing. */
TEST(a_case_is_found_by_the_path_of_its_file) {
  char dir[2][64], command[320];
  write_cases(0, 0);
  assert_int_equal(rmdir(in_root("masks")), 0), assert_int_equal(rmdir(in_root("images")), 0);
  for (int k = 0; k < 2; k++) {
    snprintf(dir[k], sizeof dir[k], "A%d", k);
    mkdir(in_root(dir[k]), 0777);
    snprintf(dir[k], sizeof dir[k], "A%d/mri_norm2.h5", k);
    snprintf(command, sizeof command, "cp tests/fixtures/hdf5/groups.h5 %s", in_root(dir[k]));
    assert_int_equal(system(command), 0);
  }
  write_text("train.list", "A1/mri_norm2.h5\n"), write_text("test.list", "./A0\n");
  const DataShape cube = {.spatial = 3, .channels = 1, .size = {8, 8, 8}, .classes = 2};
  char spec[128];
  snprintf(spec, sizeof spec, "la:%s", root);
  Dataset *d = data_open(spec, &cube, err);
  if (!d) fail_msg("%s", err);
  assert_string_equal(names(d, SPLIT_TRAIN, false), "A1 ");
  assert_string_equal(names(d, SPLIT_TEST, false), "A0 ");
  data_close(d);
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
