/* known_net.h - modules whose prediction is known: the class whose centre is nearest to the element's value.
 * One convolution of size 1 gives m x - m^2 / 2 for the centre m, which is largest for the nearest. */
#ifndef NETC_TEST_KNOWN_NET_H
#define NETC_TEST_KNOWN_NET_H
#include <stdio.h>
#include <string.h>
#include "runtime/io/safetensors.h"
#include "tests/end_to_end/shell.h"

/* NAME.so: images of `channels` of that size ("8,8,8"), prepared as the statement's lines say. */
static inline void known_module(const char *name, const char *size, int channels, int classes,
                                const char *prepare) {
  char path[64];
  snprintf(path, sizeof path, "%s.net", name);
  FILE *f = fopen(in_root(path), "w");
  assert_non_null(f);
  fprintf(f,
          "prepare { %s }\nnet lin(x; classes) { return conv(x, classes, 1) }\nstudent = lin(%d)\n"
          "predict(image: f32[2, %d, %s]) { return softmax(student(image)) }\n",
          prepare, classes, channels, size);
  fclose(f);
  runs(NETC_BINARY " %s.net -o %s.so", name, name);
}

/* Of the module's two variables, (classes, channels, 1..) and (classes): only `channel` counts. */
typedef struct {
  const float *centre;
  int classes, channels, channel;
} KnownNet;

static inline bool known_fill(void *user, int i, void *dst, char err[ERR_MAX]) {
  const KnownNet *net = user;
  float *v = dst;
  (void)err;
  for (int k = 0; k < net->classes; k++) {
    float m = net->centre[k];
    if (i == 0) v[k] = -m * m / 2;
    for (int c = 0; i == 1 && c < net->channels; c++) v[k * net->channels + c] = c == net->channel ? m : 0;
  }
  return true;
}

static inline void known_weights(const char *path, int spatial, KnownNet net) {
  char err[ERR_MAX];
  const StTensor t[2] = {
      {.name = (char *)(uintptr_t) "student.conv1.bias", .type = ST_F32, .rank = 1, .dim = {net.classes}},
      {.name = (char *)(uintptr_t) "student.conv1.weight",
       .type = ST_F32,
       .rank = 2 + spatial,
       .dim = {net.classes, net.channels, 1, 1, 1}}};
  if (!st_write(in_root(path), t, 2, NULL, 0, known_fill, &net, err)) fail_msg("%s", err);
}
#endif
