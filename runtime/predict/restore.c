/* restore.c - back to the file's grid, plane by plane. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/predict/restore.h"

static Between between(const Place *p, int a, int64_t i) {
  int64_t n = p->own[p->axis[a]], turned = p->step[a] < 0 ? n - 1 - i : i, last = p->dim[a] - 1;
  int64_t in_box = turned - p->crop_from[a];
  if (in_box < 0 || in_box >= p->crop_dim[a]) return (Between){-1, -1, 0};
  double x = p->from[a] + p->step[a] * (double)i, f;
  x = x < 0 ? 0 : x > (double)last ? (double)last : x;
  int64_t k = (int64_t)floor(x + 1e-6);
  f = x - (double)k;
  if (f < 1e-6 || k == last) return (Between){k, k, 0};
  return (Between){k, k + 1, (float)f};
}

bool restore_new(Restore *r, const Place *place, Decision decision, Pool *pool, char err[ERR_MAX]) {
  *r = (Restore){.place = place, .decision = decision, .pool = pool};
  for (int a = 0; a < 3; a++) {
    int s = place->axis[a];
    r->where[s] = a;
    if (!(r->at[s] = malloc((size_t)place->own[s] * sizeof **r->at))) {
      restore_free(r);
      return err_memory(err, "the way back to the file's grid", place->own[s] * (int64_t)sizeof **r->at);
    }
    for (int64_t i = 0; i < place->own[s]; i++) r->at[s][i] = between(place, a, i);
  }
  return true;
}

void restore_free(Restore *r) {
  for (int s = 0; s < 3; s++) free(r->at[s]), r->at[s] = NULL;
}

/* ---- a plane of the file ---- */

typedef struct {
  Restore *r;
  const Slab *slab;
  int own[3]; /* axes of the file that the slab's axes are */
  int64_t i;  /* of the plane, along own[0] */
  int64_t own_step[3], small_step[3];
} FilePlane;

static const float *row_of(const Slab *b, int64_t k, int64_t a, int64_t row) {
  return b->value + ((k * b->ring + a % b->ring) * b->rows + row - b->lo) * b->columns;
}

static float mix(float a, float b, float f) { return a + f * (b - a); }

/* Class k at a place: linear along the axes on which it lies between elements. */
static float value_at(const Slab *b, int64_t k, const Between *x, const Between *y, const Between *z) {
  float v[2];
  for (int n = 0; n < 2; n++) {
    const float *p = row_of(b, k, n ? x->next : x->k, y->k);
    v[n] = z->f > 0 ? mix(p[z->k], p[z->next], z->f) : p[z->k];
    if (y->f > 0) {
      const float *q = row_of(b, k, n ? x->next : x->k, y->next);
      v[n] = mix(v[n], z->f > 0 ? mix(q[z->k], q[z->next], z->f) : q[z->k], y->f);
    }
    if (!(x->f > 0)) return v[0];
  }
  return mix(v[0], v[1], x->f);
}

static void restore_row(void *ctx, int64_t j) {
  const FilePlane *p = ctx;
  Restore *r = p->r;
  const Slab *b = p->slab;
  const Between *x = &r->at[p->own[0]][p->i], *y = &r->at[p->own[1]][j];
  if (y->k < b->lo || y->k >= b->hi) return;
  int64_t n = r->place->own[p->own[2]], all = r->place->own[0] * r->place->own[1] * r->place->own[2];
  int64_t at = p->i * p->own_step[0] + j * p->own_step[1];
  for (int64_t l = 0; l < n; l++) {
    const Between *z = &r->at[p->own[2]][l];
    int64_t e = at + l * p->own_step[2];
    if (z->k < 0) continue;
    Decided to = {0};
    for (int64_t k = 0; k < r->decision.scores; k++) {
      float v = value_at(b, k, x, y, z);
      if (r->prob) r->prob[k * all + e] = v;
      decide(&r->decision, &to, k, v);
    }
    if (r->mask) r->mask[e] = to.byte;
  }
}

/* What is decided on the prepared grid of row `task` of the finished planes. */
static void small_row(void *ctx, int64_t task) {
  const FilePlane *p = ctx;
  const Slab *b = p->slab;
  int64_t a = b->from + task / (b->hi - b->lo), row = b->lo + task % (b->hi - b->lo);
  uint8_t *out = p->r->small + a * p->small_step[0] + row * p->small_step[1];
  for (int64_t c = 0; c < b->columns; c++) {
    Decided to = {0};
    for (int64_t k = 0; k < b->classes; k++) decide(&p->r->decision, &to, k, row_of(b, k, a, row)[c]);
    out[c * p->small_step[2]] = to.byte;
  }
}

static void strides(const int64_t dim[3], const int axis[3], int64_t step[3]) {
  const int64_t element[3] = {dim[1] * dim[2], dim[2], 1};
  for (int i = 0; i < 3; i++) step[i] = element[axis[i]];
}

void restore_planes(Restore *r, const Slab *b) {
  FilePlane p = {.r = r, .slab = b};
  for (int i = 0; i < 3; i++) p.own[i] = r->place->axis[b->axis[i]];
  strides(r->place->own, p.own, p.own_step), strides(r->place->dim, b->axis, p.small_step);
  if (r->small) pool_run(r->pool, small_row, &p, (b->to - b->from) * (b->hi - b->lo));
  for (p.i = 0; (r->mask || r->prob) && p.i < r->place->own[p.own[0]]; p.i++) {
    const Between *x = &r->at[p.own[0]][p.i];
    if (x->k >= 0 && x->next >= b->from && x->next < b->to)
      pool_run(r->pool, restore_row, &p, r->place->own[p.own[1]]);
  }
}

void restore_rest(Restore *r) {
  const int64_t *own = r->place->own;
  int64_t all = own[0] * own[1] * own[2], e = 0;
  for (int64_t i = 0; i < own[0]; i++)
    for (int64_t j = 0; j < own[1]; j++) {
      bool row = r->at[0][i].k >= 0 && r->at[1][j].k >= 0;
      for (int64_t l = 0; l < own[2]; l++, e++) {
        if (row && r->at[2][l].k >= 0) continue;
        if (r->mask) r->mask[e] = 0;
        for (int64_t k = 0; r->prob && k < r->decision.scores; k++)
          r->prob[k * all + e] = k == 0 && !r->decision.regions;
      }
    }
}
