/* view.c - drawing where in its image a sample lies. */
#include <math.h>
#include <string.h>
#include "runtime/batch/view.h"

typedef struct {
  bool flip[3];
  int turns;
} Mirror;

/* Place o of the sample, turned and flipped. */
static void mirror(const View *v, const Mirror *m, const int64_t o[3], int64_t p[3]) {
  memcpy(p, o, 3 * sizeof *p);
  int f = v->first;
  int64_t h = v->size[f], w = v->size[f + 1], y = p[f], x = p[f + 1];
  switch (m->turns) {
  case 1: p[f] = x, p[f + 1] = w - 1 - y; break;
  case 2: p[f] = h - 1 - y, p[f + 1] = w - 1 - x; break;
  case 3: p[f] = h - 1 - x, p[f + 1] = y; break;
  }
  for (int a = 0; a < 3; a++)
    if (m->flip[a]) p[a] = v->size[a] - 1 - p[a];
}

/* The same as a map: what it does to the origin and to steps along each axis. */
static void mirror_map(View *v, const Mirror *m) {
  int64_t zero[3] = {0, 0, 0}, from[3], to[3];
  mirror(v, m, zero, from);
  for (int b = 0; b < 3; b++) {
    int64_t o[3] = {b == 0, b == 1, b == 2};
    mirror(v, m, o, to);
    for (int a = 0; a < 3; a++) v->of.axis[a].by[b] = (double)(to[a] - from[a]);
  }
  for (int a = 0; a < 3; a++) v->of.axis[a].from = (double)from[a];
}

static double clamp(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

/* Begin of the window along an axis. Enlarged windows (zoom < 1) keep centres of elements centres; others
 * begin at an element, and an image that is too small lies in their middle. */
static double window_start(const View *v, int a, double zoom, double u, const int64_t *voxel) {
  double size = (double)v->size[a], spare = (double)v->dim[a] - zoom * size;
  if (zoom < 1) {
    double rim = 0.5 * zoom - 0.5;
    if (!voxel) return u * spare + 0.5 * zoom - 0.5;
    return clamp((double)voxel[a] - zoom * (size - 1) / 2, rim, spare + rim);
  }
  if (spare < 0) return -floor(-spare / 2);
  return voxel ? clamp((double)(voxel[a] - v->size[a] / 2), 0, spare) : floor(u * (spare + 1));
}

static void draw_window(View *v, const Placing *p, const int64_t *voxel, const Chance *d) {
  uint64_t at = d->sample * 16;
  bool crop = step_taken(d, &p->crop);
  double cut = crop && v->first == 1 ? p->crop.a->value[0] : 0;
  double zoom = cut > 0 ? (1 - cut) + cut * chance_at(d, NETC_SITE_AUGMENT, at + 4) : 1;
  for (int a = v->first; a < 3; a++) {
    double u = crop ? chance_at(d, NETC_SITE_AUGMENT, at + 5 + (uint64_t)a) : 0.5;
    v->of.axis[a].scale = zoom, v->of.axis[a].start = window_start(v, a, zoom, u, voxel);
  }
  v->whole = zoom == 1;
}

static void draw_mirror(View *v, const Placing *p, const Chance *d) {
  Mirror m = {.turns = 0};
  uint64_t at = d->sample * 16;
  for (int a = v->first; p->flip.a && a < 3; a++)
    m.flip[a] = chance_at(d, NETC_SITE_AUGMENT, at + (uint64_t)a) < p->flip.a->p;
  if (step_taken(d, &p->rot90)) { /* unequal sides allow half turns only */
    int t = (int)(4 * chance_at(d, NETC_SITE_AUGMENT, at + 3));
    m.turns = v->size[v->first] == v->size[v->first + 1] ? t : t & 2;
  }
  mirror_map(v, &m);
}

/* Cosine and sine, exact at quarter turns. */
static void turn_of(double degrees, double *c, double *s) {
  double quarter = round(degrees / 90), rest = (degrees - 90 * quarter) * (M_PI / 180);
  double x = cos(rest), y = sin(rest);
  switch ((int)quarter & 3) {
  case 0: *c = x, *s = y; break;
  case 1: *c = -y, *s = x; break;
  case 2: *c = -x, *s = -y; break;
  default: *c = y, *s = -x;
  }
}

/* r = r * (rotation in the plane of axes a and b). */
static void rotate_plane(double r[3][3], int a, int b, double degrees) {
  double c, s;
  turn_of(degrees, &c, &s);
  for (int i = 0; i < 3; i++) {
    double x = r[i][a], y = r[i][b];
    r[i][a] = x * c + y * s, r[i][b] = y * c - x * s;
  }
}

void view_turn(View *v, const double degrees[3], double enlarge) {
  double r[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
  rotate_plane(r, v->first, v->first + 1, degrees[0]);
  if (v->first == 0) rotate_plane(r, 0, 2, degrees[1]), rotate_plane(r, 1, 2, degrees[2]);
  View old = *v;
  for (int a = v->first; a < 3; a++) {
    double scale = old.of.axis[a].scale, from = 0;
    double middle = old.of.axis[a].start + scale * (double)(v->size[a] - 1) / 2;
    for (int b = 0; b < 3; b++) v->of.axis[a].by[b] = 0;
    for (int j = v->first; j < 3; j++) {
      double l = r[a][j] * scale / enlarge;
      from += l * (old.of.axis[j].from - (double)(v->size[j] - 1) / 2);
      for (int b = 0; b < 3; b++) v->of.axis[a].by[b] += l * old.of.axis[j].by[b];
    }
    v->of.axis[a].from = middle + from, v->of.axis[a].start = 0, v->of.axis[a].scale = 1;
  }
  v->whole = false;
}

void view_place(const View *v, const double o[3], double at[3]) {
  for (int a = 0; a < 3; a++) {
    double x = v->of.axis[a].from;
    for (int b = 0; b < 3; b++) x += v->of.axis[a].by[b] * o[b];
    at[a] = v->of.axis[a].start + v->of.axis[a].scale * x;
  }
}

static double minor(const View *v, int a, int b) {
  int a1 = (a + 1) % 3, a2 = (a + 2) % 3, b1 = (b + 1) % 3, b2 = (b + 2) % 3;
  return v->of.axis[a1].by[b1] * v->of.axis[a2].by[b2] - v->of.axis[a1].by[b2] * v->of.axis[a2].by[b1];
}

/* A turned view may have lost the voxel in a corner: then it becomes the view's middle. start is 0 and
 * scale 1 here. */
static void keep_voxel(View *v, const int64_t *voxel) {
  double det = 0, o[3] = {0, 0, 0}, middle[3], at[3];
  bool inside = true;
  for (int b = 0; b < 3; b++) det += v->of.axis[0].by[b] * minor(v, 0, b);
  for (int b = 0; b < 3; b++) {
    for (int a = 0; a < 3; a++) o[b] += minor(v, a, b) / det * ((double)voxel[a] - v->of.axis[a].from);
    middle[b] = (double)(v->size[b] - 1) / 2;
    inside &= b < v->first || (o[b] >= 0 && o[b] <= (double)(v->size[b] - 1));
  }
  view_place(v, middle, at);
  for (int a = v->first; !inside && a < 3; a++) v->of.axis[a].from += (double)voxel[a] - at[a];
}

static void draw_turn(View *v, const Placing *p, const int64_t *voxel, const Chance *d) {
  bool rotate = step_taken(d, &p->rotate), scale = step_taken(d, &p->scale);
  double degrees[3] = {0, 0, 0}, enlarge = 1;
  for (int i = 0; rotate && i < 3; i++) {
    double most = p->rotate.a->value[i > 0];
    degrees[i] = between(-most, most, chance_step(d, &p->rotate, DRAW_VALUE + (uint64_t)i));
  }
  if (scale)
    enlarge =
        factor_between(p->scale.a->value[0], p->scale.a->value[1], chance_step(d, &p->scale, DRAW_VALUE),
                       chance_step(d, &p->scale, DRAW_VALUE + 1));
  if (!rotate && !scale) return;
  view_turn(v, degrees, enlarge);
  if (voxel) keep_voxel(v, voxel);
}

View view_draw(const Placing *p, int spatial, const int64_t *size, const int64_t *dim, const int64_t *voxel,
               const Chance *d) {
  View v = {.first = 3 - spatial, .size = {1, 1, 1}, .dim = {1, 1, 1}};
  for (int a = 0; a < 3; a++) v.of.axis[a].scale = 1;
  for (int a = v.first; a < 3; a++) v.size[a] = size[a - v.first], v.dim[a] = dim[a - v.first];
  for (int a = 0; a < 3; a++) v.of.axis[a].size = (double)v.dim[a];
  draw_mirror(&v, p, d);
  draw_window(&v, p, voxel, d);
  draw_turn(&v, p, voxel, d);
  return v;
}
