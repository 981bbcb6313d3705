/* test_precision.c - precision=bf16 through the two programs: half the working memory, the same bits for any
 * number of threads, and a network that learns the phantom as it does in float32. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include <math.h>
#include "tests/worse.h"

FIXTURE(set_up) {
  if (shell_set_up(state)) return -1;
  static const char *const precision[] = {"f32", "bf16"};
  for (int i = 0; i < 2; i++)
    if (sh(NETC_BINARY " %s/models/unet.net -o %s.so -D size=[48,48] -D batch=2 -D widths=[16,24] -D "
                       "precision=%s --no-grads",
           source, precision[i], precision[i]) ||
        sh(NETRUN_BINARY " train %s.so --data phantom --iterations 60 --seed 5 --out %s", precision[i],
           precision[i]))
      return fprintf(stderr, "%s", said), -1;
  return 0;
}

/* The number behind `name` in what the last command said. */
static double number_after(const char *name) {
  const char *at = strstr(said, name);
  if (!at) fail_msg("expected `%s` in: %s", name, said);
  return atof(at + strlen(name));
}

static double working_memory(const char *module) {
  runs(NETRUN_BINARY " info %s.so", module);
  return number_after("working memory");
}

TEST(bf16_halves_the_working_memory) {
  double whole = working_memory("f32"), half = working_memory("bf16");
  if (!(half < 0.56 * whole && half > 0.44 * whole)) fail_msg("%.0f bytes, with f32 %.0f", half, whole);
  runs(NETRUN_BINARY " info bf16.so");
  assert_non_null(strstr(said, "precision=\"bf16\""));
}

static int read_losses(const char *run, double *loss, int most) {
  char line[256];
  int n = 0;
  snprintf(line, sizeof line, "%s/%s/metrics.csv", root, run);
  FILE *f = fopen(line, "r");
  assert_non_null(f);
  assert_non_null(fgets(line, sizeof line, f)); /* iteration,loss_student */
  while (n < most && fgets(line, sizeof line, f)) loss[n++] = atof(strchr(line, ',') + 1);
  fclose(f);
  return n;
}

/* The first loss differs by the rounding of one pass; later ones by what training makes of it. */
TEST(bf16_has_nearly_the_losses_of_f32) {
  double a[60], b[60], worst = 0;
  assert_int_equal(read_losses("f32", a, 60), 60);
  assert_int_equal(read_losses("bf16", b, 60), 60);
  assert_true(a[0] != b[0]);
  assert_true(fabs(a[0] - b[0]) < 2e-3);
  for (int i = 0; i < 60; i++) worst = worse(worst, a[i] - b[i]);
  if (!(worst < 0.05)) fail_msg("the losses are up to %g apart", worst);
  assert_true(b[59] < 0.5 * b[0]); /* it learns */
}

static double dice(const char *precision) {
  runs(NETRUN_BINARY " eval %s.so --data phantom --weights %s/last.safetensors", precision, precision);
  return number_after("\nDI");
}

TEST(bf16_learns_as_f32_does) {
  double a = dice("f32"), b = dice("bf16");
  if (!(a > 0.7 && fabs(a - b) < 0.03)) fail_msg("Dice is %g in bf16, %g in f32", b, a);
}

TEST(the_bits_are_the_same_for_any_number_of_threads) {
  for (int threads = 1; threads <= 2; threads++)
    runs(NETRUN_BINARY " train bf16.so --data phantom --iterations 6 --seed 5 --out t%d --threads %d",
         threads, threads);
  runs("cmp t1/last.safetensors t2/last.safetensors && cmp t1/metrics.csv t2/metrics.csv");
}

TEST(an_unknown_precision_is_refused) {
  assert_int_equal(sh(NETC_BINARY " %s/models/unet.net -o no.so -D precision=half", source), 1);
  assert_non_null(strstr(said, "-D precision=half: expected f32 or bf16"));
}

RUN_TESTS(set_up, scratch_tear_down)
