/* test_augmented_training.c - a module with every augmentation, patches around foreground and a second view
 * is compiled, says so, and trains to the same weights on any number of threads and after a restart. */
#include "tests/end_to_end/shell.h"

static const char net[] =
    "option size = [24, 24]\n"
    "option augment = [\"flip\", rot90, crop, rotate(30, p = 0.5), scale(0.7, 1.4, p = 0.5), elastic(p = "
    "0.5),\n"
    "  blur(0.5, 1), brightness, contrast(p = 1), lowres, gamma(invert = 1, p = 0.1), gamma, noise(0, 0.3)]\n"
    "net tiny(x; n) { return conv(relu(conv(x, 4, 3, pad = 1)), n, 1) }\n"
    "student = tiny(2)\n"
    "train t {\n"
    "  batch labeled (augment = augment, strong = [brightness(0.5, 1.5), cutout], foreground = 0.33) {\n"
    "    image: f32[2, 1, size], strong: f32[2, 1, size], label: label[2, size]\n"
    "  }\n"
    "  update student with sgd(0.01) {\n"
    "    y = onehot(labeled.label, 2)\n"
    "    minimize -mean(y * log_softmax(student(labeled.image)))\n"
    "    minimize -mean(y * log_softmax(student(labeled.strong)))\n"
    "  }\n"
    "}\n"
    "predict(image: f32[1, 1, size]) { return softmax(student(image)) }\n";

static void trains_the_same(const char *size) {
  FILE *f = fopen(in_root("a.net"), "wb");
  assert_non_null(f);
  fputs(net, f);
  fclose(f);
  runs(NETC_BINARY " a.net -o a.so -D size=%s", size);
  runs(NETRUN_BINARY " info a.so");
  says("augmented by flip, rot90, crop, rotate(30, 30, p = 0.5), scale(0.7, 1.4, p = 0.5)");
  says("; strong view by brightness(0.5, 1.5, p = 0.15), cutout; 0.33 of them around foreground");
  runs(NETRUN_BINARY " train a.so --data phantom --iterations 8 --threads 1 --out one --force");
  runs(NETRUN_BINARY " train a.so --data phantom --iterations 8 --threads 3 --out two --force");
  runs("cmp one/last.safetensors two/last.safetensors");
  runs(NETRUN_BINARY " train a.so --data phantom --iterations 3 --out three --force");
  runs(NETRUN_BINARY " train a.so --data phantom --iterations 8 --resume --out three");
  runs("cmp one/last.safetensors three/last.safetensors");
  runs(NETRUN_BINARY " train a.so --data phantom --iterations 8 --seed 1 --out other --force");
  assert_int_equal(sh("cmp -s one/last.safetensors other/last.safetensors"), 1);
}

TEST(slices_train_the_same) { trains_the_same("[24,24]"); }
TEST(volumes_train_the_same) { trains_the_same("[16,16,12]"); }

RUN_TESTS(shell_set_up, scratch_tear_down)
