/* box.c - elements gathered by strides. */
#include "runtime/prepare/box.h"

void box_values(const Box *b, const float *from, float *to) {
  for (int64_t i = 0; i < b->n[0]; i++)
    for (int64_t j = 0; j < b->n[1]; j++) {
      const float *row = from + b->start + i * b->stride[0] + j * b->stride[1];
      for (int64_t k = 0; k < b->n[2]; k++) *to++ = row[k * b->stride[2]];
    }
}

void box_labels(const Box *b, const uint8_t *from, uint8_t *to) {
  for (int64_t i = 0; i < b->n[0]; i++)
    for (int64_t j = 0; j < b->n[1]; j++) {
      const uint8_t *row = from + b->start + i * b->stride[0] + j * b->stride[1];
      for (int64_t k = 0; k < b->n[2]; k++) *to++ = row[k * b->stride[2]];
    }
}
