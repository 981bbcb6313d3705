/* view.c - where the pixels and channels of a weight gradient's operand lie in memory.
 *
 * Windows that lie apart, those of a convolution without padding whose stride is no less than its taps, meet every pixel of x at most
 * once. Such a convolution is one of a single tap, whose pixels are the windows: the taps of a window times their channels are
 * the channels. Those of the taps along the innermost axis are neighbours in memory, a run; the other taps are so many runs, at steps of
 * their own. dW, (K.., C, O) in memory, is then that of the pointwise convolution as it lies.
 */
#include "codegen/emit/wgrad/wgrad.h"

WgradView view_of(int naxes, const int64_t *extent, int64_t channels) {
  WgradView v = {.naxes = naxes, .run = channels};
  int64_t step = channels;
  for (int a = naxes - 1; a >= 0; step *= extent[a], a--) v.step[a] = step;
  return v;
}

bool windows_apart(const ConvShape *s) {
  bool apart = false;
  for (int a = 0; a < s->ns; a++) {
    if (s->geom.pad[a] != 0 || s->k[a] > s->geom.stride[a]) return false;
    apart = apart || s->geom.stride[a] > 1;
  }
  return apart;
}

WgradView view_windows(ConvShape *s) {
  int64_t extent[MAX_AXES] = {s->n};
  int last = s->ns - 1;
  for (int a = 0; a < s->ns; a++) extent[1 + a] = s->in[a];
  WgradView v = view_of(s->ns + 1, extent, s->cin);
  v.run *= s->k[last];
  for (int a = 0; a < last; a++) v.taps[a] = s->k[a], v.tap_step[a] = v.step[1 + a];
  v.naxes_taps = last;
  s->cin *= conv_taps(s);
  for (int a = 0; a < s->ns; a++) {
    v.step[1 + a] *= s->geom.stride[a];
    s->in[a] = s->out[a];
    s->k[a] = 1;
  }
  s->geom = geom_unit;
  return v;
}

int64_t view_runs(const WgradView *v, int64_t channels) { return channels > v->run ? channels / v->run : 1; }

int64_t view_run_at(const WgradView *v, int64_t run) {
  int64_t at = 0;
  for (int a = v->naxes_taps - 1; a >= 0; run /= v->taps[a], a--) at += run % v->taps[a] * v->tap_step[a];
  return at;
}

KV view_channel(KFn *k, const WgradView *v, KV channel) {
  if (!v->naxes_taps) return channel;
  KV at = k_rem(k, channel, k_i64(k, v->run)), run = k_div(k, channel, k_i64(k, v->run));
  for (int a = v->naxes_taps - 1; a >= 0; a--) {
    at = k_add(k, at, k_mul(k, k_rem(k, run, k_i64(k, v->taps[a])), k_i64(k, v->tap_step[a])));
    run = k_div(k, run, k_i64(k, v->taps[a]));
  }
  return at;
}
