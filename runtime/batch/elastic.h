/* elastic.h - a smooth displacement of a sample's elements: a uniform cubic B-spline over control points
 * that lie `spacing` elements apart (Rueckert et al., IEEE TMI 18(8), 1999). Control points move along each
 * axis by at most 0.4 of the spacing, so the map is one to one (Choi and Lee, Graphical Models 62(3),
 * 2000). */
#ifndef NETRUN_ELASTIC_H
#define NETRUN_ELASTIC_H
#include "runtime/batch/draw.h"

typedef struct Elastic Elastic;
/* For samples of `size` (three axes, `first` the first that is there). NULL: no memory. */
Elastic *elastic_new(int first, const int64_t size[3], double spacing);
void elastic_free(Elastic *e);
/* A field for a sample: each coordinate of each control point is drawn from -m to m, m from 0 to amount x
 * spacing. */
void elastic_draw(Elastic *e, const Step *s, const Chance *d);
/* Displacements of the elements (o0, o1, 0..size[2]-1): along axis a in *u[a]; of axes that are not there 0.
 * They last until the next call. */
void elastic_row(Elastic *e, int64_t o0, int64_t o1, const double *u[3]);
#endif
