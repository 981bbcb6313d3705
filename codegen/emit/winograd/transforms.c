/* transforms.c - the matrices of F(2,3) and F(4,3), and code that applies them (transforms.h). */
#include "codegen/emit/winograd/transforms.h"
#include <math.h>

/* ---- matrices ---- */

static const Wino f2 = {
    .m = 2,
    .n = 4,
    .bt = {4, 4, {{-1, 0, 1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}}},
    .g = {4, 3, {{-1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}}},
    .at = {2, 4, {{1, 1, 1, 0}, {0, 1, -1, 1}}},
};

/* Points 0, p, -p, q, -q and infinity. Row of B^T of a point: the coefficients of the product of (x - other
 * point); of infinity: of all. Row of G: powers of the point over the product of its distances to the
 * others. */
#define P    (5.0 / 8)
#define Q    (3.0 / 2)
#define P2   (P * P)
#define Q2   (Q * Q)
#define OF_0 (1 / (P2 * Q2))
#define OF_P (1 / (2 * P2 * (P2 - Q2)))
#define OF_Q (1 / (2 * Q2 * (Q2 - P2)))
static const Wino f4 = {
    .m = 4,
    .n = 6,
    .bt = {6,
           6,
           {{P2 * Q2, 0, -P2 - Q2, 0, 1, 0},
            {0, -P *Q2, -Q2, P, 1, 0},
            {0, P *Q2, -Q2, -P, 1, 0},
            {0, -Q *P2, -P2, Q, 1, 0},
            {0, Q *P2, -P2, -Q, 1, 0},
            {0, P2 *Q2, 0, -P2 - Q2, 0, 1}}},
    .g = {6,
          3,
          {{OF_0, 0, 0},
           {OF_P, P *OF_P, P2 *OF_P},
           {OF_P, -P *OF_P, P2 *OF_P},
           {OF_Q, Q *OF_Q, Q2 *OF_Q},
           {OF_Q, -Q *OF_Q, Q2 *OF_Q},
           {0, 0, 1}}},
    .at = {4,
           6,
           {{1, 1, 1, 1, 1, 0},
            {0, P, -P, Q, -Q, 0},
            {0, P2, P2, Q2, Q2, 0},
            {0, P *P2, -P *P2, Q *Q2, -Q *Q2, 1}}},
};

const Wino *wino_of(int m) { return m == 4 ? &f4 : &f2; }

WinoMatrix wino_transposed(const WinoMatrix *w) {
  WinoMatrix t = {.rows = w->cols, .cols = w->rows};
  for (int i = 0; i < t.rows; i++)
    for (int j = 0; j < t.cols; j++) t.a[i][j] = w->a[j][i];
  return t;
}

/* ---- code ---- */

/* A sum of values times coefficients, in order. */
typedef struct {
  int n;
  KV v[2 * WINO_MAX_N];
  double c[2 * WINO_MAX_N];
} Sum;

static void add_term(Sum *s, double c, KV v) {
  if (c == 0) return;
  s->c[s->n] = c;
  s->v[s->n++] = v;
}

static KV constant(KFn *k, double c, KV like) {
  KV v = k_f32(k, c);
  return like >= 0 && k->ins[like].type.vec ? k_splat(k, v) : v;
}

static KV plus_term(KFn *k, KV sum, double c, KV v) {
  if (c == 1) return k_add(k, sum, v);
  if (c == -1) return k_sub(k, sum, v);
  return k_fma(k, constant(k, c, v), v, sum);
}

/* The sum starts with a term that needs no multiplication, if there is one. */
static KV sum_value(KFn *k, const Sum *s, KV like) {
  int first = 0;
  while (first < s->n && s->c[first] != 1) first++;
  if (s->n == 0) return constant(k, 0, like);
  if (first == s->n) first = 0;
  KV sum = s->c[first] == 1 ? s->v[first] : k_mul(k, constant(k, s->c[first], s->v[first]), s->v[first]);
  for (int i = 0; i < s->n; i++)
    if (i != first) sum = plus_term(k, sum, s->c[i], s->v[i]);
  return sum;
}

/* Rows r and s that agree up to sign, in some columns with the same sign and in some with opposite ones. */
static bool opposite_rows(const WinoMatrix *w, int r, int s) {
  bool even = false, odd = false;
  for (int j = 0; j < w->cols; j++) {
    if (fabs(w->a[r][j]) != fabs(w->a[s][j])) return false;
    if (w->a[r][j] == 0) continue;
    if (w->a[r][j] == w->a[s][j]) even = true;
    else odd = true;
  }
  return even && odd;
}

/* out[r], out[s] = even +- f * odd, where f is the odd part's last coefficient: that term needs no
 * multiplication. */
static void apply_rows(KFn *k, const WinoMatrix *w, int r, int s, const KV *in, KV *out) {
  Sum even = {0}, odd = {0};
  double f = 1;
  for (int j = 0; j < w->cols; j++)
    if (w->a[r][j] != w->a[s][j]) f = w->a[r][j];
  for (int j = 0; j < w->cols; j++)
    if (w->a[r][j] == w->a[s][j]) add_term(&even, w->a[r][j], in[j]);
    else add_term(&odd, w->a[r][j] / f, in[j]);
  KV e = sum_value(k, &even, in[0]), o = sum_value(k, &odd, in[0]);
  out[r] = plus_term(k, e, f, o);
  out[s] = plus_term(k, e, -f, o);
}

/* Columns i and j that agree up to sign in the rows still to do. */
static bool opposite_columns(const WinoMatrix *w, const bool *done, int i, int j) {
  bool even = false, odd = false;
  for (int r = 0; r < w->rows; r++) {
    if (done[r]) continue;
    if (fabs(w->a[r][i]) != fabs(w->a[r][j])) return false;
    if (w->a[r][i] == 0) continue;
    if (w->a[r][i] == w->a[r][j]) even = true;
    else odd = true;
  }
  return even && odd;
}

/* The rows still to do, out of sums and differences of opposite columns. */
static void apply_columns(KFn *k, const WinoMatrix *w, const bool *done, const KV *in, KV *out) {
  int other[WINO_MAX_N];
  KV sum[WINO_MAX_N], difference[WINO_MAX_N];
  for (int j = 0; j < w->cols; j++) other[j] = -1;
  for (int i = 0; i < w->cols; i++)
    for (int j = i + 1; j < w->cols && other[i] < 0; j++) {
      if (other[j] >= 0 || !opposite_columns(w, done, i, j)) continue;
      other[i] = j, other[j] = i;
      sum[i] = k_add(k, in[i], in[j]);
      difference[i] = k_sub(k, in[i], in[j]);
    }
  for (int r = 0; r < w->rows; r++) {
    if (done[r]) continue;
    Sum s = {0};
    for (int j = 0; j < w->cols; j++) {
      if (other[j] >= 0 && other[j] < j) continue;
      bool same = other[j] >= 0 && w->a[r][j] == w->a[r][other[j]];
      add_term(&s, w->a[r][j], other[j] < 0 ? in[j] : same ? sum[j] : difference[j]);
    }
    out[r] = sum_value(k, &s, in[0]);
  }
}

void wino_apply(KFn *k, const WinoMatrix *w, const KV *in, KV *out) {
  bool done[WINO_MAX_N] = {false}, rest = false;
  for (int r = 0; r < w->rows; r++)
    for (int s = r + 1; s < w->rows && !done[r]; s++) {
      if (done[s] || !opposite_rows(w, r, s)) continue;
      apply_rows(k, w, r, s, in, out);
      done[r] = done[s] = true;
    }
  for (int r = 0; r < w->rows; r++) rest = rest || !done[r];
  if (rest) apply_columns(k, w, done, in, out);
}
