/* test_explain.c - netc --explain: the least times it lists are those of its own numbers of flops and bytes,
 * and add up. */
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tests/test.h"

typedef struct {
  double gflop, executed, gbytes, least; /* of the training function, from its first line */
  double kinds, share, kernels;          /* sums over its two tables */
} Explained;

/* The columns of a row, and 1 or 2 for which table it is in. */
static void read_row(const char *line, int table, Explained *x) {
  double ms, share;
  if (sscanf(line, "%lf %lf", &ms, &share) != 2) return;
  if (table == 1) x->kinds += ms, x->share += share;
  else x->kernels += ms;
}

static Explained explained(const char *rates) {
  char command[512], line[512];
  snprintf(command, sizeof command,
           NETC_BINARY
           " models/unet.net --no-grads --target host --explain -D widths=[32,64,128] -D size=[32,32] %s",
           rates);
  FILE *p = popen(command, "r");
  assert_non_null(p);
  Explained x = {0};
  int table = 0, functions = 0;
  while (fgets(line, sizeof line, p)) {
    if (!strncmp(line, "function ", 9) && ++functions == 1)
      assert_int_equal(
          sscanf(line,
                 "function supervised: %*d launches, %lf Gflop (%lf executed), %lf GB of traffic, at "
                 "least %lf ms",
                 &x.gflop, &x.executed, &x.gbytes, &x.least),
          4);
    if (functions != 1) continue;
    if (strstr(line, "roof ms")) table++;
    else read_row(line, table, &x);
  }
  assert_int_equal(pclose(p), 0);
  assert_int_equal(functions, 2); /* and predict */
  assert_int_equal(table, 2);
  return x;
}

TEST(least_times_add_up) {
  Explained x = explained("");
  assert_true(x.gflop > x.executed && x.executed > 0); /* on small images much of a 3x3 window is padding */
  assert_true(fabs(x.share - 100) < 0.5);
  assert_true(fabs(x.kinds - x.least) < 0.11 && fabs(x.kernels - x.least) < 0.2);
}

/* With memory for free only the flops count, and with arithmetic for free only the bytes. */
TEST(least_times_follow_from_the_rates) {
  Explained flops = explained("--peak-gflops 0.01 --bandwidth 1e9"),
            bytes = explained("--peak-gflops 1e9 --bandwidth 0.001");
  assert_true(fabs(flops.least / (flops.executed * 1e5) - 1) < 0.05);
  assert_true(fabs(bytes.least / (bytes.gbytes * 1e6) - 1) < 0.05);
}

TEST(a_rate_of_zero_is_refused) {
  char line[256] = "";
  FILE *p = popen(NETC_BINARY " models/unet.net --explain --bandwidth 0 2>&1", "r");
  assert_non_null(p);
  assert_non_null(fgets(line, sizeof line, p));
  assert_int_not_equal(pclose(p), 0);
  assert_string_equal(line, "netc: --bandwidth 0: expected a number above 0\n");
}

RUN_TESTS(NULL, NULL)
