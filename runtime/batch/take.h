/* take.h - taking a sample from its image through a view: between elements linearly, labels the nearest. */
#ifndef NETRUN_TAKE_H
#define NETRUN_TAKE_H
#include "runtime/batch/elastic.h"
#include "runtime/batch/view.h"

typedef struct Rows Rows; /* where a row's elements lie; room for one */
Rows *rows_new(int64_t width);
void rows_free(Rows *r);

/* image: `channels` planes of the view's dim; planes: as many of its size. label, labels likewise. Either
 * source may be NULL and is then not taken. e: a displacement in the sample's elements, before the map, or
 * NULL. */
void take_sample(const View *v, Elastic *e, Rows *r, const float *image, int channels, float *planes,
                 const uint8_t *label, uint8_t *labels);
#endif
