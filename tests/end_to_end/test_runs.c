/* test_runs.c - what keeps runs apart and their results honest, from the command line: the lock of a run's
 * directory; folds and validation parts that resume and eval agree on; the best weights. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include "runtime/base/err.h"
#include "runtime/io/picture.h"

#define TRAIN NETRUN_BINARY " train m.so --data phantom --iterations 12 --seed 5 "

/* A network of one layer; it learns from labelled images, and may from others. */
#define TINY(validation, batches, loss)                                                                      \
  "net tiny(x; n) { return conv(x, n, 1) }\n"                                                                \
  "student = tiny(2)\n"                                                                                      \
  "train t " validation "{\n"                                                                                \
  "  batch labeled { image: f32[1, 1, 8, 8]  label: label[1, 8, 8] }\n" batches                              \
  "  update student with sgd(0.1) {\n"                                                                       \
  "    y = student(labeled.image)\n"                                                                         \
  "    minimize -mean(onehot(labeled.label, 2) * log_softmax(y))" loss "\n"                                  \
  "  }\n"                                                                                                    \
  "}\n"                                                                                                      \
  "predict(x: f32[1, 1, 8, 8]) { return student(x) }\n"

static void write_net(const char *name, const char *text) {
  FILE *f = fopen(in_root(name), "w");
  assert_non_null(f);
  fputs(text, f), fclose(f);
}

FIXTURE(set_up) {
  if (shell_set_up(state)) return -1;
  write_net("only.net", TINY("", "", ""));
  write_net("semi.net", TINY("", "  batch unlabeled { image: f32[1, 1, 8, 8] }\n",
                             " + 0.1 * mean(student(unlabeled.image) * student(unlabeled.image))"));
  write_net("says.net", TINY("(validate = 4, best = \"VOE\", val = \"25%\") ", "", ""));
  if (sh(NETC_BINARY " %s/models/unet.net -o m.so -D size=[32,32] -D widths=[4,8] -D batch=2", source) ||
      sh(NETC_BINARY " only.net -o only.so") || sh(NETC_BINARY " semi.net -o semi.so") ||
      sh(NETC_BINARY " says.net -o says.so"))
    return fprintf(stderr, "%s", said), -1;
  return 0;
}

/* Whatever the second one wants, it goes away; the first one ends as if it had been alone. */
TEST(a_directory_in_use_is_refused_to_others) {
  runs("(" NETRUN_BINARY
       " train m.so --data phantom --seed 5 --iterations 100000 --out busy >first 2>&1; echo "
       "$? >status) & "
       "while ! [ -s busy/metrics.csv ] || [ $(wc -l < busy/metrics.csv) -lt 4 ]; do sleep 0.02; done; "
       "for how in '' --resume --force; do " TRAIN "--out busy $how; echo \"exit $?\"; done >second 2>&1; "
       "kill -TERM $(sed -n 's/^pid //p' busy/lock); while ! [ -s status ]; do sleep 0.02; done; "
       "grep -c 'netrun: busy is in use by process [0-9]* on host ' second; grep -c 'exit 1' second; cat "
       "status");
  assert_string_equal(said, "3\n3\n0\n");
  runs("test ! -e busy/lock && n=$(($(wc -l < busy/metrics.csv) - 1)) && " NETRUN_BINARY
       " train m.so --data phantom --seed 5 --iterations $n --out alone && cmp busy/metrics.csv "
       "alone/metrics.csv");
}

/* The names in eval.csv of the validation split. */
#define EVALUATED(run)                                                                                       \
  NETRUN_BINARY " eval m.so --data phantom --weights " run " --split val --out ev >table && cut -d, -f1 "    \
                "ev/eval.csv"

TEST(a_fold_is_remembered) {
  runs(TRAIN "--fold 2/4 --out fold");
  says("phantom: 48 training images (48 labelled), 16 validation images, 12 iterations");
  runs(NETRUN_BINARY " train m.so --data phantom --resume --iterations 14 --out fold");
  says("48 training images (48 labelled), 16 validation images, 14 iterations");
  runs(TRAIN "--fold 2/4 --iterations 14 --out straight");
  runs("cmp fold/last.safetensors straight/last.safetensors");
  fails("was trained with --fold 2/4, not with --fold 3/4", TRAIN "--resume --fold 3/4 --out fold");
  fails("was trained without --val, not with --val 20%", TRAIN "--resume --val 20%% --out fold");
  runs(EVALUATED("fold/last.safetensors") " >second && grep -c phantom0 second");
  assert_string_equal(said, "16\n");
  fails("with --fold 2/4, not with --fold 1/4",
        NETRUN_BINARY " eval m.so --data phantom --weights fold/last.safetensors --split val --fold 1/4");
  /* another fold has other cases, and the test split is the same for all */
  runs(TRAIN "--fold 1/4 --out one && " EVALUATED("one/last.safetensors") " >first.txt");
  fails("trained on other parts of the data set",
        NETRUN_BINARY " eval m.so --data phantom --weights fold/last.safetensors,one/last.safetensors "
                      "--split val");
  runs(NETRUN_BINARY " eval m.so --data phantom --weights fold/last.safetensors,one/last.safetensors");
  runs("grep -h phantom0 first.txt second  | sort -u | wc -l");
  assert_string_equal(said, "32\n");
  runs(NETRUN_BINARY " eval m.so --data phantom --weights fold/last.safetensors");
  says("test split, 16 images");
}

TEST(a_validation_part_is_made_where_one_is_needed) {
  runs(TRAIN "--eval-every 4 --out made");
  says("note: phantom has no validation cases: --eval-every makes 20% of the training cases those");
  says("51 training images (51 labelled), 13 validation images");
  says("best DI on the val split: 0.");
  runs("test -s made/best.safetensors && wc -l < made/val.csv");
  assert_string_equal(said, "4\n");
  runs(EVALUATED("made/best.safetensors") " | grep -c phantom0");
  assert_string_equal(said, "13\n");
  /* in halves, the second of which need not say it again */
  runs(TRAIN "--eval-every 4 --iterations 6 --out half && " TRAIN "--eval-every 4 --resume --out half");
  says("51 training images (51 labelled), 13 validation images");
  runs(TRAIN "--val 20%% --eval-every 4 --out said && cmp said/best.safetensors made/best.safetensors");
  runs(TRAIN "--out plain");
  fails("the run began without validation cases",
        TRAIN "--resume --eval-every 2 --iterations 14 --out plain");
  fails("--best needs --eval-every", TRAIN "--best DI --out new");
  fails("there is no metric `dicee`; there are di, ja", TRAIN "--eval-every 4 --best dicee --out new");
  runs(TRAIN "--eval-every 4 --best none --out bare && test ! -e bare/best.safetensors");
  runs(TRAIN "--eval-every 4 --best 95hd --out far");
  says("best 95HD");
  runs(TRAIN "--eval-every 4 --best rve --out volume && head -1 volume/val.csv");
  says("95HD,RVE");
  fails("needs a tolerance", TRAIN "--eval-every 4 --best nsd --out new");
  fails("it is one metric, or none", TRAIN "--eval-every 4 --best di,ja --out new");
  runs(TRAIN "--eval-every 4 --eval-split test --out tested && test ! -e tested/best.safetensors");
  runs(TRAIN
       "--eval-every 4 --eval-split test --best DI --out tested --force && test -e tested/best.safetensors");
  says("score too well on it");
}

/* What a run was told of validation holds when it goes on. */
TEST(a_run_goes_on_validating_as_it_began) {
#define GO_ON NETRUN_BINARY " train m.so --data phantom --resume "
  runs(TRAIN "--eval-every 4 --best voe --iterations 8 --out on");
  runs(GO_ON "--iterations 16 --out on");
  says("best VOE on the val split");
  runs(TRAIN "--eval-every 4 --best voe --iterations 16 --out whole");
  runs("cmp on/val.csv whole/val.csv && cut -d, -f1 on/val.csv | tr '\\n' ' '");
  assert_string_equal(said, "iteration 4 8 12 16 ");
  /* what is said goes before it, and is remembered in its place */
  fails("was chosen by VOE on the val split, not by DI", GO_ON "--best DI --iterations 20 --out on");
  runs(GO_ON "--eval-every 6 --iterations 20 --out on && " GO_ON "--iterations 24 --out on");
  runs("cut -d, -f1 on/val.csv | tr '\\n' ' '");
  assert_string_equal(said, "iteration 4 8 12 16 18 24 ");
  runs(GO_ON "--eval-every 0 --iterations 28 --out on && " GO_ON "--iterations 36 --out on");
  runs("tail -n 1 on/val.csv | cut -d, -f1");
  assert_string_equal(said, "24\n");
  /* another split, and no weights kept */
  runs(TRAIN "--eval-every 4 --eval-split train --iterations 4 --out alltrain && " GO_ON
             "--iterations 8 --out "
             "alltrain");
  says("iteration 8: DI");
  says("over 64 images");
  runs("test ! -e alltrain/best.safetensors");
  runs(TRAIN "--eval-every 4 --best none --iterations 4 --out none && " GO_ON "--iterations 8 --out none");
  runs("test ! -e none/best.safetensors && wc -l < none/val.csv");
  assert_string_equal(said, "3\n");
}

TEST(a_module_says_how_its_runs_validate) {
#define SAYS NETRUN_BINARY " train says.so --data phantom "
  runs(NETRUN_BINARY " info says.so");
  says("  validation       every 4 iterations, the weights of the best VOE are kept, on 25% of the training "
       "cases");
  runs(NETRUN_BINARY " info says.so --json | tr -d ' \\t\\n'");
  says("\"prepare\":null,\"validate\":{\"every\":4,\"best\":\"VOE\",\"val\":\"25%\"}");
  runs(SAYS "--iterations 8 --out says");
  says("the module, which validates every 4 iterations, makes 25% of the training cases those");
  says("48 training images (48 labelled), 16 validation images");
  says("best VOE on the val split");
  runs("cut -d, -f1 says/val.csv | tr '\\n' ' '");
  assert_string_equal(said, "iteration 4 8 ");
  runs(SAYS "--resume --iterations 12 --out says && wc -l < says/val.csv");
  says("4\n");
  /* the command line goes before it */
  runs(SAYS "--eval-every 5 --best di --val 8 --iterations 10 --out other");
  says("56 training images (56 labelled), 8 validation images");
  says("best DI on the val split");
  runs("cut -d, -f1 other/val.csv | tr '\\n' ' '");
  assert_string_equal(said, "iteration 5 10 ");
  runs(SAYS "--eval-every 0 --iterations 4 --out never && test ! -e never/val.csv");
  says("64 training images (64 labelled), 4 iterations");
  runs(SAYS "--fold 1/4 --best none --iterations 4 --out fold1 && test ! -e fold1/best.safetensors");
  says("48 training images (48 labelled), 16 validation images");
}

/* set/images/c0.png .. c9.png, with masks for the first `masked`. */
static void write_set(int masked) {
  uint8_t gray[64];
  char name[64], err[ERR_MAX];
  runs("rm -rf set && mkdir -p set/images set/masks");
  for (int k = 0; k < 10; k++) {
    for (int i = 0; i < 64; i++) gray[i] = (uint8_t)(i % 8 < 2 + k % 4 ? 200 : 40);
    snprintf(name, sizeof name, "set/images/c%d.png", k);
    assert_true(png_write_gray(in_root(name), gray, 8, 8, err));
    snprintf(name, sizeof name, "set/masks/c%d.png", k);
    for (int i = 0; i < 64; i++) gray[i] = gray[i] > 100 ? 255 : 0;
    if (k < masked) assert_true(png_write_gray(in_root(name), gray, 8, 8, err));
  }
}

/* Where only some images have masks, those are the labelled ones, for whom unlabelled ones are of use. */
TEST(images_without_masks_are_unlabelled) {
  write_set(3);
  runs("for k in 0 1 2 3 4 5 6 7; do echo c$k; done >set/train.list; echo c9 >set/test.list");
  runs(NETRUN_BINARY " train semi.so --data folder:set --iterations 3 --out semi");
  says("note: 1 of the 10 images of set are in none of its lists");
  says("8 training images (3 labelled)");
  runs(NETRUN_BINARY " train semi.so --data folder:set --iterations 3 --labeled first:2 --out semi2");
  says("8 training images (2 labelled)");
  fails("only 3 of the 8 training cases of folder have masks",
        NETRUN_BINARY " train semi.so --data folder:set --iterations 3 --labeled 50%% --out new");
  fails("5 of the 8 training images of set have no mask, the first is c3",
        NETRUN_BINARY " train only.so --data folder:set --iterations 3 --out new");
  runs(NETRUN_BINARY " train only.so --data folder:set --iterations 3 --labeled 3 --out only");
  says("8 training images (3 labelled)");
}

TEST(a_data_set_that_changed_is_noticed) {
  write_set(10);
  runs(NETRUN_BINARY " train only.so --data folder:set --iterations 3 --val 25%% --out changed");
  says("6 training images (6 labelled), 2 validation images");
  runs("rm set/images/c4.png");
  fails("bring them and their lists back",
        NETRUN_BINARY " train only.so --data folder:set --iterations 5 --resume --out changed");
  runs(NETRUN_BINARY " eval only.so --data folder:set --split val --weights changed/last.safetensors");
  says("note: the images of folder:set, or how train, val and test share them");
  write_set(10);
  runs(NETRUN_BINARY " train only.so --data folder:set --iterations 5 --resume --out changed");
  says("2 validation images");
}

TEST(lists_that_do_not_fit_are_told) {
  write_set(10);
  runs("printf 'c0\\nc1\\nc19\\n' > set/train.list");
  fails("set/train.list:3: 'c19' is neither a case nor an image of set; nearest: c1, c9, c0",
        NETRUN_BINARY " train only.so --data folder:set --iterations 2 --out fresh");
  fails("it can be skip", NETRUN_BINARY " train only.so --data folder:set --missing keep --out fresh");
  runs("test ! -e fresh");
  runs(NETRUN_BINARY " train only.so --data folder:set --missing skip --iterations 2 --out fresh");
  says("note: 1 of the 3 names of set/train.list are no case or image of set and left out");
  says("2 training images (2 labelled)");
  runs(NETRUN_BINARY " train only.so --data folder:set --resume --iterations 3 --out fresh"); /* remembered */
}

RUN_TESTS(set_up, scratch_tear_down)
