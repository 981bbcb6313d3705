/* device_batch.c - kernels that take a batch from images on the device, by any affine map and with noise,
 * as runtime/batch/take.c does on the host, in the same doubles and with the same bits (codegen/abi.h,
 * NetcView). A task is a row of a sample, lanes are its elements. */
#include <string.h>
#include "ir/gauss.h"
#include "codegen/module/module.h"
#include "codegen/gpu/simt.h"
#include "codegen/emit/core/box.h"

typedef struct {
  KFn *k;
  const Stream *stream;
  int number; /* of the stream */
  bool image; /* else label */
  Type type;
  int64_t stride[MAX_RANK], size[3], extent_stride[3], n, channels; /* n: elements of a sample, per channel */
  int first; /* of three axes, the first that the module has */
  KV pool, views, out;
  KV sample, o[2], base; /* of the row: number of its view, its place, first double of the view */
  KV x, mask;            /* of a turn of the loop: its first element, its lanes */
} Filling;

enum { VIEW_IMAGE, VIEW_LABEL, VIEW_AXES, START = 0, SCALE, SIZE, FROM, BY, AXIS_DOUBLES = 7 };
enum { VIEW_NOISE = VIEW_AXES + 3 * AXIS_DOUBLES };
_Static_assert(sizeof(NetcView) == NETC_VIEW_DOUBLES * sizeof(double) &&
                   offsetof(NetcView, axis) == VIEW_AXES * sizeof(double) &&
                   offsetof(NetcView, axis[0].from) == (VIEW_AXES + FROM) * sizeof(double) &&
                   offsetof(NetcView, axis[1]) == (VIEW_AXES + AXIS_DOUBLES) * sizeof(double) &&
                   offsetof(NetcView, noise) == VIEW_NOISE * sizeof(double),
               "places of numbers in a NetcView");

static KV view_number(const Filling *f, int number) {
  return k_load(f->k, f->views, k_add(f->k, f->base, k_i64(f->k, number)), false);
}
static KV of_axis(const Filling *f, int axis, int number) {
  return view_number(f, VIEW_AXES + axis * AXIS_DOUBLES + number);
}

static KV both(KFn *k, KV a, KV b) { return k_and(k, a, b); }
static KV either(KFn *k, KV a, KV b) { return k_bin(k, K_or, a, b); }
static KV f64(KFn *k, double v) { return k_f64(k, v); }

/* start + scale * (from + by . o), every product and every sum rounded one by one. */
static KV position(const Filling *f, int axis) {
  KFn *k = f->k;
  KV x = k_cast(k, K_F64, k_add(k, k_iota(k), k_cast(k, K_I32, f->x)));
  KV at = of_axis(f, axis, FROM);
  for (int a = 0; a < 2; a++)
    at = k_add(k, at, k_mul(k, of_axis(f, axis, BY + a), k_cast(k, K_F64, f->o[a])));
  at = k_add(k, at, k_mul(k, of_axis(f, axis, BY + 2), x));
  return k_add(k, of_axis(f, axis, START), k_mul(k, of_axis(f, axis, SCALE), at));
}

/* Number of the element at whole places p. */
static KV element(const Filling *f, const KV p[3]) {
  KFn *k = f->k;
  KV at = k_splat(k, k_i32(k, 0));
  for (int a = f->first; a < 3; a++)
    at = k_add(k, k_mul(k, at, k_cast(k, K_I32, of_axis(f, a, SIZE))), k_cast(k, K_I32, p[a]));
  return at;
}

static KV in_image(const Filling *f, const KV p[3]) {
  KFn *k = f->k;
  KV good = f->mask;
  for (int a = f->first; a < 3; a++)
    good = both(k, good, both(k, k_le(k, f64(k, 0), p[a]), k_lt(k, p[a], of_axis(f, a, SIZE))));
  return good;
}

static KV begin_of(const Filling *f, KV channel) {
  KFn *k = f->k;
  KV begin = k_cast(k, K_I32, view_number(f, f->image ? VIEW_IMAGE : VIEW_LABEL)), plane = k_i32(k, 1);
  for (int a = f->first; channel != K_NONE && a < 3; a++)
    plane = k_mul(k, plane, k_cast(k, K_I32, of_axis(f, a, SIZE)));
  return channel == K_NONE ? begin : k_add(k, begin, k_mul(k, plane, k_cast(k, K_I32, channel)));
}

/* ---- images ---- */

/* A place along an axis: the element before it and the way from there, both clamped to the image. */
static void between(const Filling *f, int axis, KV at, KV *whole, KV *part) {
  KFn *k = f->k;
  KV zero = f64(k, 0), last = k_sub(k, of_axis(f, axis, SIZE), f64(k, 1));
  KV p = k_un(k, K_floor, at), r = k_sub(k, at, p);
  KV below = k_lt(k, p, zero), above = k_le(k, last, p);
  *whole = k_select(k, below, zero, k_select(k, above, last, p));
  *part = k_select(k, either(k, below, above), zero, r);
}

static KV nearest(const Filling *f, KV at) { return k_un(f->k, K_floor, k_add(f->k, at, f64(f->k, 0.5))); }

/* Linear along all axes; corners in the host's order, those without weight are not read. */
static KV between_elements(const Filling *f, KV begin) {
  KFn *k = f->k;
  KV near[3], p[3], part[3], q[3], sum = f64(k, 0);
  for (int a = f->first; a < 3; a++) {
    KV at = position(f, a);
    near[a] = nearest(f, at);
    between(f, a, at, &p[a], &part[a]);
  }
  KV good = in_image(f, near);
  for (int corner = 0; corner < 1 << (3 - f->first); corner++) {
    KV weight = f64(k, 1);
    for (int a = f->first; a < 3; a++) {
      bool up = corner >> (a - f->first) & 1;
      weight = k_mul(k, weight, up ? part[a] : k_sub(k, f64(k, 1), part[a]));
      q[a] = k_add(k, p[a], f64(k, up));
    }
    KV at = k_add(k, element(f, q), begin), reads = both(k, good, k_lt(k, f64(k, 0), weight));
    KV v = k_cast(k, K_F64, k_gather_masked(k, f->pool, at, reads));
    sum = k_add(k, sum, k_mul(k, weight, v));
  }
  return k_cast(k, K_F32, sum);
}

/* Whole places: one element, beyond the image zero. The sum with 0 is the host's, which has no -0. */
static KV moved(const Filling *f, KV begin) {
  KFn *k = f->k;
  KV p[3];
  for (int a = f->first; a < 3; a++) p[a] = position(f, a);
  return k_add(k, k_gather_masked(k, f->pool, k_add(k, element(f, p), begin), in_image(f, p)), k_f32(k, 0));
}

static KV horner(KFn *k, KV z, const double *c, int n) {
  KV p = f64(k, c[n - 1]);
  for (int i = n - 2; i >= 0; i--) p = k_add(k, k_mul(k, p, z), f64(k, c[i]));
  return p;
}

/* gauss_of. */
static KV gauss(KFn *k, KV u, KV w) {
  KV bits = k_add(k, k_bitcast(k, K_I32, u), k_i32(k, GAUSS_ONE - GAUSS_ROOT_HALF));
  KV n = k_cast(k, K_F64, k_sub(k, k_bin(k, K_shr, bits, k_i32(k, 23)), k_i32(k, 127)));
  bits = k_add(k, k_and(k, bits, k_i32(k, 0x007FFFFF)), k_i32(k, GAUSS_ROOT_HALF));
  KV g = k_sub(k, k_cast(k, K_F64, k_bitcast(k, K_F32, bits)), f64(k, 1));
  KV s = k_div(k, g, k_add(k, g, f64(k, 2))), z = k_mul(k, s, s);
  KV half = k_add(k, s, k_mul(k, s, k_mul(k, z, horner(k, z, gauss_log, GAUSS_LOG))));
  KV log = k_add(k, k_mul(k, n, f64(k, gauss_ln2)), k_add(k, half, half));
  KV radius = k_un(k, K_sqrt, k_mul(k, f64(k, -2), log));
  KV q = k_un(k, K_floor, k_add(k, k_mul(k, w, f64(k, 4)), f64(k, 0.5)));
  KV t = k_mul(k, k_sub(k, w, k_mul(k, q, f64(k, 0.25))), f64(k, gauss_two_pi)), y = k_mul(k, t, t);
  KV c = k_add(k, f64(k, 1), k_mul(k, y, horner(k, y, gauss_cos, GAUSS_TURN)));
  KV d = k_add(k, t, k_mul(k, t, k_mul(k, y, horner(k, y, gauss_sin, GAUSS_TURN))));
  KV quarter = k_cast(k, K_I32, q), one = k_i32(k, 1), two = k_i32(k, 2);
  KV v = k_select(k, k_eq(k, k_and(k, quarter, one), one), d, c);
  v = k_select(k, k_eq(k, k_and(k, k_add(k, quarter, one), two), two), k_un(k, K_neg, v), v);
  return k_mul(k, radius, v);
}

/* The noise of an element, by its numbers (codegen/abi.h). */
static KV noise(const Filling *f, KV channel) {
  KFn *k = f->k;
  KV row = k_i64(k, 0);
  for (int a = 0; a < 2; a++) row = k_add(k, k_mul(k, row, k_i64(k, f->size[a])), f->o[a]);
  KV i = k_add(
      k,
      k_mul(k, k_add(k, k_mul(k, f->sample, k_i64(k, f->size[0] * f->size[1])), row), k_i64(k, f->size[2])),
      f->x);
  KV e = k_mul(k, k_add(k, k_iota(k), k_cast(k, K_I32, i)), k_i32(k, (int32_t)(2 * f->channels)));
  if (channel != K_NONE) e = k_add(k, e, k_cast(k, K_I32, k_mul(k, channel, k_i64(k, 2))));
  int64_t site = (int64_t)netc_batch_site((uint64_t)f->number, NETC_SITE_NOISE);
  KV u = k_sub(k, k_f32(k, 1), k_uniform(k, site, e)); /* exact */
  KV w = k_cast(k, K_F64, k_uniform(k, site, k_add(k, e, k_i32(k, 1))));
  return k_cast(k, K_F32, k_mul(k, view_number(f, VIEW_NOISE), gauss(k, u, w)));
}

static bool has(const Stream *s, AugmentKind kind) {
  for (int i = 0; i < s->naugment; i++)
    if (s->augment[i].kind == kind) return true;
  return false;
}

/* May places lie between elements? */
static bool any_place(const Filling *f) {
  return has(f->stream, AUG_ROTATE) || has(f->stream, AUG_SCALE) ||
         (f->first == 1 && has(f->stream, AUG_CROP));
}

static void fill_image(const Filling *f, KV to) {
  KFn *k = f->k;
  bool many = f->channels > 1;
  KV channel = many ? k_for(k, k_i64(k, 0), k_i64(k, f->channels), 1) : K_NONE;
  KV v = any_place(f) ? between_elements(f, begin_of(f, channel)) : moved(f, begin_of(f, channel));
  if (has(f->stream, AUG_NOISE)) v = k_add(k, v, noise(f, channel));
  if (many) to = k_add(k, to, k_mul(k, channel, k_i64(k, f->stride[1])));
  store_lanes(k, f->out, to, f->extent_stride[2], v, true, f->mask);
  if (many) k_end(k);
}

/* ---- labels ---- */

/* The nearest, beyond the image 0; 255 means -1. Four lie in a word. */
static void fill_label(const Filling *f, KV to) {
  KFn *k = f->k;
  KV p[3];
  for (int a = f->first; a < 3; a++) p[a] = nearest(f, position(f, a));
  KV good = in_image(f, p), at = element(f, p);
  KV word = k_add(k, k_bin(k, K_shr, at, k_i32(k, 2)), begin_of(f, K_NONE));
  KV shift = k_mul(k, k_and(k, at, k_i32(k, 3)), k_i32(k, 8));
  KV v = k_and(k, k_bin(k, K_shr, k_gather_masked(k, f->pool, word, good), shift), k_i32(k, 255));
  v = k_select(k, k_eq(k, v, k_i32(k, 255)), k_i32(k, -1), v);
  store_lanes(k, f->out, to, f->extent_stride[2], v, true, f->mask);
}

/* ---- kernels ---- */

static void fill_rows(Filling *f) {
  KFn *k = f->k;
  KV rows = k_i64(k, f->size[0] * f->size[1]), row = k_bin(k, K_rem, k_task(k), rows);
  f->sample = k_div(k, k_task(k), rows);
  f->o[0] = k_div(k, row, k_i64(k, f->size[1])), f->o[1] = k_bin(k, K_rem, row, k_i64(k, f->size[1]));
  f->base = k_mul(k, f->sample, k_i64(k, NETC_VIEW_DOUBLES));
  KV to = k_mul(k, f->sample, k_i64(k, f->stride[0]));
  for (int a = 0; a < 2; a++) to = k_add(k, to, k_mul(k, f->o[a], k_i64(k, f->extent_stride[a])));
  k_if(k, k_le(k, f64(k, 0), view_number(f, f->image ? VIEW_IMAGE : VIEW_LABEL)));
  f->x = k_for(k, k_i64(k, 0), k_i64(k, f->size[2]), SIMT_LANES);
  f->mask = k_first_lanes(k, k_sub(k, k_i64(k, f->size[2]), f->x));
  to = k_add(k, to, k_mul(k, f->x, k_i64(k, f->extent_stride[2])));
  if (f->image) fill_image(f, to);
  else fill_label(f, to);
  k_end(k);
  k_end(k);
}

/* The batch as the training function's input wants it; samples one behind the other, and numbers that fit 32
 * bits. */
static bool describe(Filling *f, const Field *field, const Input *in) {
  f->type = field->type;
  f->image = !field_info[field->kind].mask;
  f->first = 5 - f->type.rank;
  f->channels = f->type.dim[1];
  if (in->order[0] != 0 || f->type.rank < 4 || f->type.rank > 5 || 2 * type_count(f->type) > INT32_MAX)
    return false;
  for (int a = 0; a < f->type.rank; a++) f->stride[a] = order_stride(f->type, in->order, a);
  for (int a = 0; a < 3; a++) {
    f->size[a] = a < f->first ? 1 : f->type.dim[2 + a - f->first];
    f->extent_stride[a] = a < f->first ? 0 : f->stride[2 + a - f->first];
  }
  return true;
}

static const Input *input_of(const FnPlan *p, const Stream *s, const Field *field) {
  for (int i = 0; i < p->ninput; i++) {
    size_t n = strlen(s->name);
    const char *name = p->input[i].name;
    if (!strncmp(name, s->name, n) && name[n] == '.' && !strcmp(name + n + 1, field->name))
      return &p->input[i];
  }
  return NULL;
}

static void make_kernel(Module *m, Emit *e, Filling *f, int field) {
  static const int apart[NETC_MAX_ARGS] = {-1, -1, -1};
  const char *name = arena_printf(m->arena, "fill:%s.%s", f->stream->name, f->stream->field[field].name);
  KFn *k = f->k = k_new(e->code, name, SIMT_LANES);
  k->nregs = m->machine->isa[0].nregs, k->may_alias = apart;
  f->pool = k_arg(k, f->image ? K_F32 : K_I32, "images");
  f->views = k_arg(k, K_F64, "views");
  f->out = k_arg(k, f->image ? K_F32 : K_I32, "batch");
  fill_rows(f);
  if (k->err[0]) ir_error(e->err, "kernel %s: %s", name, k->err);
  int64_t bytes = 2 * type_bytes(f->type);
  Kernel kernel = {.name = name, .op = "fill", .k = {k}, .hash = {kir_hash(k)}, .bytes = bytes};
  *ARENA_PUSH(m->arena, m->fill, m->nfill, m->capfill) =
      (Fill){f->number, field, e->nkernel, f->type.dim[0] * f->size[0] * f->size[1]};
  *ARENA_PUSH(e->arena, e->kernel, e->nkernel, e->capkernel) = kernel;
}

/* The table says which augmentations a device makes; a view has room for the deviation of one noise. */
static bool makes_all(const Stream *s) {
  int noises = 0;
  bool all = true;
  for (int i = 0; i < s->naugment; i++) {
    all &= augment_info[s->augment[i].kind].by_device;
    noises += s->augment[i].kind == AUG_NOISE;
  }
  return all && noises <= 1;
}

bool emit_fills(Module *m, char err[IR_ERR]) {
  const FnPlan *train = module_training(m);
  if (!train) return true;
  Emit *e = m->fn[m->prog->nfn - 1].e; /* has all kernels so far */
  for (int s = 0; s < m->prog->nstream; s++) {
    const Stream *stream = &m->prog->stream[s];
    Filling f[sizeof stream->field / sizeof *stream->field];
    bool all = makes_all(stream);
    for (int i = 0; i < stream->nfield; i++) {
      const Input *in = input_of(train, stream, &stream->field[i]);
      f[i] = (Filling){.stream = stream, .number = s};
      if (field_info[stream->field[i].kind].by_device)
        all = all && in && describe(&f[i], &stream->field[i], in);
    }
    for (int i = 0; all && i < stream->nfield; i++)
      if (field_info[stream->field[i].kind].by_device) make_kernel(m, e, &f[i], i);
  }
  m->kernel = e->kernel, m->nkernel = e->nkernel;
  if (e->err[0]) ir_error(err, "%s", e->err);
  return !e->err[0];
}
