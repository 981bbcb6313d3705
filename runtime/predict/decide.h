/* decide.h - from the scores of an element to the byte that is kept of it: the class whose score is the
 * largest, the first among equals; or, where predict gives a probability for each region (prepare's
 * `regions`), a bit for each region whose probability is above 0.5. */
#ifndef NETRUN_DECIDE_H
#define NETRUN_DECIDE_H
#include <stdbool.h>
#include <stdint.h>

typedef struct {
  int64_t scores; /* classes, or regions: how many numbers there are of an element */
  bool regions;
} Decision;

typedef struct {
  float most;
  uint8_t byte;
} Decided; /* begins as {0} */

/* Takes score number k, from 0 on. */
static inline void decide(const Decision *d, Decided *to, int64_t k, float score) {
  if (d->regions) to->byte |= (uint8_t)((score > 0.5f) << k);
  else if (k == 0 || score > to->most) to->most = score, to->byte = (uint8_t)k;
}

/* Of n elements, score number k of element i being scores[k * n + i]. */
static inline void decide_all(const Decision *d, const float *scores, int64_t n, uint8_t *out) {
  for (int64_t i = 0; i < n; i++) {
    Decided to = {0};
    for (int64_t k = 0; k < d->scores; k++) decide(d, &to, k, scores[k * n + i]);
    out[i] = to.byte;
  }
}
#endif
