/* box.h - part of an array, in another order of axes or backwards. */
#ifndef NETRUN_BOX_H
#define NETRUN_BOX_H
#include <stdint.h>

/* Element (i,j,k) of the box, n of them along each axis, is element start + stride . (i,j,k) of the array. */
typedef struct {
  int64_t n[3], start, stride[3];
} Box;

/* The elements of the box, row-major. */
void box_values(const Box *b, const float *from, float *to);
void box_labels(const Box *b, const uint8_t *from, uint8_t *to);
#endif
