/* test_gauss.c - gauss_of against the formula by the C library's functions; that generated code gives its
 * bits is for test_gpu_fill. */
#include "tests/test.h"
#include "ir/gauss.h"
#include "ir/philox.h"

TEST(it_is_what_box_and_muller_say) {
  double sum = 0, squares = 0;
  enum { N = 1 << 18 };
  for (int i = 0; i < N; i++) {
    double u = 1 - (double)philox_uniform(3, 0, 1, (uint64_t)i),
           w = (double)philox_uniform(3, 0, 2, (uint64_t)i);
    double want = sqrt(-2 * log(u)) * cos(gauss_two_pi * w), got = gauss_of(u, w);
    if (!(fabs(got - want) <= 2e-15 * (1 + fabs(want))))
      fail_msg("gauss_of(%.17g, %.17g) is %.17g, expected %.17g", u, w, got, want);
    sum += got, squares += got * got;
  }
  assert_true(fabs(sum / N) < 0.01 && fabs(squares / N - 1) < 0.01);
}

TEST(it_is_exact_at_the_ends_of_the_ranges) {
  const double u[] = {0x1p-24, 0x1.fffffep-1, 0.5, 0.70710678, 0x1.6a09e6p-1, 1};
  const double w[] = {0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0x1.fffffep-1, 0x1p-24};
  for (size_t i = 0; i < sizeof u / sizeof *u; i++)
    for (size_t j = 0; j < sizeof w / sizeof *w; j++) {
      double x = (double)(float)u[i], want = sqrt(-2 * log(x)) * cos(gauss_two_pi * w[j]);
      assert_true(fabs(gauss_of(x, w[j]) - want) <= 2e-15 * (1 + fabs(want)));
    }
}

RUN_TESTS(NULL, NULL)
