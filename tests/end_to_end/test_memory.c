/* test_memory.c - memory through the two programs: a smaller budget never gives a larger plan, the least that
 * netc names can be had, values keep their bits under the tightest budget, and what a process really takes is
 * what the plan says. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include <math.h>

/* The number in the last output behind `text`. */
static double number(const char *text) {
  const char *at = strstr(said, text);
  if (!at) fail_msg("expected `%s` in: %s", text, said);
  return strtod(at + strlen(text), NULL);
}

static const char *const nets[] = {"unet.net -D size=[64,64] -D widths=[8,16,32]",
                                   "vnet.net -D size=[64,64,32] -D n_filters=4"};

/* MiB that training takes by the plan for a budget of `mib`. */
static double planned(const char *net, double mib) {
  runs(NETC_BINARY " %s/models/%s --no-grads --emit plan --memory %.1fM | grep 'supervised: variables'",
       source, net, mib);
  return number("= ") / 0x1p20;
}

static double least(const char *net) {
  assert_int_equal(sh(NETC_BINARY " %s/models/%s --no-grads --memory 64K --emit plan", source, net), 1);
  assert_non_null(strstr(said, ".net:")); /* lines of what holds it */
  return number("needs at least ");
}

TEST(a_smaller_budget_never_gives_a_larger_plan) {
  for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
    double lo = least(nets[i]), hi = planned(nets[i], 1e5), before = hi;
    assert_true(lo < 0.95 * hi);
    for (int k = 1; k <= 6; k++) {
      double budget = ceil(10 * (hi - (hi - lo) * k / 6)) / 10, plan = planned(nets[i], budget);
      if (plan > budget || plan > before)
        fail_msg("%s: %f of %f MiB, %f before", nets[i], plan, budget, before);
      before = plan;
    }
    assert_int_not_equal(
        sh(NETC_BINARY " %s/models/%s --no-grads --emit plan --memory %.1fM", source, nets[i], lo - 0.2), 0);
  }
}

TEST(values_keep_their_bits_under_the_tightest_budget) {
  for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
    double lo = least(nets[i]);
    runs(NETC_BINARY " %s/models/%s --no-grads --target host -o wide.so", source, nets[i]);
    runs(NETC_BINARY " %s/models/%s --no-grads --target host -o tight.so --memory %.1fM", source, nets[i],
         lo);
    for (int k = 0; k < 2; k++)
      runs(NETRUN_BINARY " train %s.so --data phantom --iterations 3 --seed 4 --out run_%s --force",
           k ? "tight" : "wide", k ? "tight" : "wide");
    runs("cmp run_wide/metrics.csv run_tight/metrics.csv && cmp run_wide/last.safetensors "
         "run_tight/last.safetensors");
  }
}

/* Within 10 % and what the images and the pictures at the end take. */
TEST(a_process_takes_what_the_plan_says) {
  const double extra = 32;
  runs(NETC_BINARY " %s/models/unet.net -D size=[256,256] -D batch=8 -D widths=[16,32] --target host "
                   "-o big.so",
       source);
  runs(NETRUN_BINARY " train big.so --data phantom --iterations 2 --out run_big --threads 2");
  double plan = number("memory: "), peak = number("before the start; ");
  double start = strtod(strstr(strstr(said, "scratch "), "), ") + 3, NULL);
  assert_true(plan > 200);
  if (fabs(peak - start - plan) > 0.1 * plan + extra) fail_msg("%s", said);
}

RUN_TESTS(shell_set_up, scratch_tear_down)
