/* test_matmul.c - matmul in both modes and inner, exactly, on small integers; any number of axes behind the
 * first. */
#include "tests/test.h"
#include "tests/codegen/emit/one_group.h"

static Type shape(int rank, const int64_t *d) {
  Type t = {F32, rank, {0}};
  for (int i = 0; i < rank; i++) t.dim[i] = d[i];
  return t;
}

static void matmul(int64_t m, int rank, const int64_t *b, bool trans, bool weights) {
  Arena *a = arena_new();
  Fn *f =
      one_begin(a, arena_printf(a, "matmul_m%d_k%d_rank%d%s", (int)m, (int)b[0], rank, trans ? "_t" : ""));
  int64_t ad[2] = {trans ? b[0] : m, trans ? m : b[0]};
  int ia = ir_input(f, "a", shape(2, ad)), ib = ir_input(f, "b", shape(rank, b)),
      y = ir_matmul(f, ia, ib, trans);
  fn_output(f, "y", y);
  one_layout(f, weights ? ib : -1);
  one_check(f, G_MATMUL, y, emit_matmul, 0);
  arena_free(a);
}

static void inner(int64_t m, int rank, const int64_t *b, bool weights) {
  Arena *a = arena_new();
  Fn *f = one_begin(a, arena_printf(a, "inner_m%d_k%d_rank%d", (int)m, (int)b[0], rank));
  int64_t ad[6];
  for (int i = 0; i < rank; i++) ad[i] = i ? b[i] : m;
  int ia = ir_input(f, "a", shape(rank, ad)), ib = ir_input(f, "b", shape(rank, b)), y = ir_inner(f, ia, ib);
  fn_output(f, "y", y);
  one_layout(f, weights ? ib : -1);
  one_check(f, G_MATMUL, y, emit_matmul, 0);
  arena_free(a);
}

static const struct {
  int64_t m;
  int rank;
  int64_t b[5];
} cases[] = {
    {1, 2, {1, 1}},           {4, 2, {17, 5}},    {8, 2, {64, 17}},      {6, 2, {4, 576}},
    {13, 2, {33, 100}},       {2, 1, {9}},        {4, 4, {4, 16, 3, 3}}, {3, 4, {4, 5, 3, 3}},
    {2, 5, {4, 17, 3, 3, 3}}, {8, 3, {3, 7, 11}}, {1, 2, {3, 9000}},     {5, 2, {2, 33}},
};

TEST(matmul_is_exact_in_both_modes) {
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    matmul(cases[i].m, cases[i].rank, cases[i].b, i % 2, false);
}

TEST(inner_is_exact) {
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    inner(cases[i].m, cases[i].rank, cases[i].b, false);
}

/* One operand in the order of weights: the first axis is innermost. */
TEST(an_operand_in_the_order_of_weights_is_read_right) {
  static const int64_t b[4] = {5, 6, 3, 3};
  matmul(4, 4, b, false, true);
  inner(4, 4, b, true);
}

RUN_TESTS(NULL, NULL)
