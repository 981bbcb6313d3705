/* area.c - lengths and areas of pieces of surface, from thirteen neighbourhoods and their symmetries. */
#include <math.h>
#include <stdint.h>
#include "runtime/metrics/area.h"

/* Marching cubes cuts edges in their middle, so that a piece consists of few kinds of triangles. In eighths:
 * of the area of the normal (1,1,1), which cuts off a corner; of faces normal to axis a; of slopes along
 * axis a, which halve the angle between the two other axes. */
typedef struct {
  uint8_t code, corner, face[3], slope[3];
} Piece;

/* One neighbourhood for all that rotations, reflections and exchanging inside and outside lead to. */
static const Piece pieces[] = {
    {1, 1, {0}, {0}},        /* one element */
    {3, 0, {0}, {0, 0, 4}},  /* two, side by side along axis 2 */
    {6, 2, {0}, {0}},        /* two that share an edge */
    {24, 2, {0}, {0}},       /* two that share the corner alone */
    {7, 3, {4, 0, 0}, {0}},  /* three in a plane */
    {25, 1, {0}, {4, 0, 0}}, /* two side by side along axis 0, and one apart */
    {22, 3, {0}, {0}},       /* three, no two side by side */
    {15, 0, {8, 0, 0}, {0}}, /* four in a plane */
    {23, 6, {0}, {0}},       /* one and its three neighbours */
    {27, 4, {0}, {2, 2, 0}}, /* four in a row that turns out of its plane */
    {30, 4, {4, 0, 0}, {0}}, /* three in a plane, and one apart */
    {60, 0, {0}, {0, 0, 8}}, /* two and two, side by side along axis 2 */
    {105, 4, {0}, {0}},      /* four, no two side by side */
};

/* Axis a of the image is axis p[a] of the neighbourhood, reflected where bit a of `mirror` is set. */
static unsigned image_of(unsigned code, const uint8_t p[3], unsigned mirror) {
  unsigned out = 0;
  for (unsigned e = 0; e < 8; e++) {
    if (!(code >> e & 1)) continue;
    unsigned to = 0;
    for (int a = 0; a < 3; a++) to |= ((e >> (2 - p[a]) & 1) ^ (mirror >> a & 1)) << (2 - a);
    out |= 1u << to;
  }
  return out;
}

static double piece_area(const Piece *q, const uint8_t p[3], const double s[3]) {
  double face[3] = {s[1] * s[2], s[0] * s[2], s[0] * s[1]};
  double sum = q->corner * sqrt(face[0] * face[0] + face[1] * face[1] + face[2] * face[2]);
  for (int a = 0; a < 3; a++) {
    double b = face[(a + 1) % 3], c = face[(a + 2) % 3];
    sum += q->face[p[a]] * face[a] + q->slope[p[a]] * sqrt(b * b + c * c);
  }
  return sum / 8;
}

static void area_table(const double *spacing, double area[AREA_CODES]) {
  static const uint8_t order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  area[0] = area[255] = 0;
  for (unsigned k = 0; k < sizeof pieces / sizeof *pieces; k++)
    for (int p = 0; p < 6; p++) {
      double here = piece_area(&pieces[k], order[p], spacing);
      for (unsigned mirror = 0; mirror < 8; mirror++) {
        unsigned code = image_of(pieces[k].code, order[p], mirror);
        area[code] = area[255 - code] = here;
      }
    }
}

/* One element of four or three cut off half a diagonal, two side by side make a straight line. */
static void length_table(const double *spacing, double length[AREA_CODES]) {
  double diagonal = sqrt(spacing[0] * spacing[0] + spacing[1] * spacing[1]);
  for (int code = 0; code < 16; code++) length[code] = diagonal / 2;
  length[0] = length[15] = 0;
  length[3] = length[12] = spacing[1];
  length[5] = length[10] = spacing[0];
  length[6] = length[9] = diagonal;
}

void surface_area_table(int spatial, const double *spacing, double area[AREA_CODES]) {
  if (spatial == 2) length_table(spacing, area);
  else area_table(spacing, area);
}
