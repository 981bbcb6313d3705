/* toy_module.c - a module written by hand, small enough to check with a pencil: per pixel, the logit of class
 * 1 is w * x + b; the step is gradient descent with momentum on the mean cross-entropy, plus an averaged copy
 * of (w, b). It also draws one uniform number per step, so that a wrong iteration or seed shows.
 *
 * TOY_VERSION: the ABI version it claims. TOY_BROKEN: an output outside the arena. TOY_GPU: code for GPUs
 * too, with another plan of memory; the PTX is none, but fake_cuda.c finds the functions here by its
 * entries. */
#include <math.h>
#include <stddef.h>
#include "codegen/abi.h"
#include "ir/philox.h"

#ifndef TOY_VERSION
#define TOY_VERSION NETC_ABI_VERSION
#endif
#ifdef TOY_BROKEN
#define LOSS_AT (ARENA - 2)
#else
#define LOSS_AT 2048
#endif

enum { BATCH = 4, SIDE = 16, PIXELS = SIDE * SIDE };
enum {
  W_AT = 0, /* w, b */
  VELOCITY_AT = 64,
  EMA_AT = 128,
  TABLE_AT = 192, /* f32[2,3], stored column by column */
  COUNT_AT = 256, /* i32: steps taken */
  VARIABLES = 320,
  ITERATION_AT = 320,
  EPOCH_AT = 384,
  MAX_AT = 448,
  PARTIAL_AT = 1024, /* per image: loss, dw, db */
  EXTRA_AT = 2112,
  GRAD_AT = 2176,
  IMAGE_AT = 4096,
  LABEL_AT = IMAGE_AT + BATCH * PIXELS * 4,
  OUT_AT = LABEL_AT + BATCH * PIXELS * 4,
  ARENA = OUT_AT + 2 * PIXELS * 4
};

/* args: w, image, label, partial. One task per image. */
static void forward_backward(void *const *args, const NetcStep *step, int64_t task) {
  const float *w = args[0], *image = (const float *)args[1] + task * PIXELS;
  const int32_t *label = (const int32_t *)args[2] + task * PIXELS;
  float *partial = (float *)args[3] + 3 * task;
  double loss = 0, dw = 0, db = 0;
  (void)step;
  for (int i = 0; i < PIXELS; i++) {
    double z = (double)w[0] * image[i] + w[1], p = 1 / (1 + exp(-z)), y = label[i];
    loss -= y * log(p) + (1 - y) * log(1 - p);
    dw += (p - y) * image[i], db += p - y;
  }
  partial[0] = (float)loss, partial[1] = (float)dw, partial[2] = (float)db;
}

/* args: partial, loss, gradient, extra (epoch plus a random number), epoch. */
static void total(void *const *args, const NetcStep *step, int64_t task) {
  const float *partial = args[0];
  float sum[3] = {0};
  for (int i = 0; i < 3 * BATCH; i++) sum[i % 3] += partial[i];
  *(float *)args[1] = sum[0] / (BATCH * PIXELS);
  for (int k = 0; k < 2; k++) ((float *)args[2])[k] = sum[k + 1] / (BATCH * PIXELS);
  *(float *)args[3] =
      *(const float *)args[4] + philox_uniform(step->seed, step->iteration, 7, (uint64_t)task);
}

/* args: w, velocity, ema, gradient, count */
static void update(void *const *args, const NetcStep *step, int64_t task) {
  float *w = args[0], *v = args[1], *ema = args[2];
  const float *g = args[3];
  (void)step, (void)task;
  for (int k = 0; k < 2; k++) {
    v[k] = 0.9f * v[k] + g[k];
    w[k] -= 0.5f * v[k];
    ema[k] = 0.9f * ema[k] + 0.1f * w[k];
  }
  ++*(int32_t *)args[4];
}

/* args: w, image, probabilities (1,16,16,2) in memory: channels last */
static void predict(void *const *args, const NetcStep *step, int64_t task) {
  const float *w = args[0], *x = args[1];
  (void)step;
  float p = 1 / (1 + expf(-(w[0] * x[task] + w[1])));
  ((float *)args[2])[2 * task] = 1 - p;
  ((float *)args[2])[2 * task + 1] = p;
}

#define SCALAR(n, at)                                                                                        \
  { .name = (n), .dtype = NETC_F32, .offset = (at), .bytes = 4 }
#define PAIR(n, at)                                                                                          \
  { .name = (n), .dtype = NETC_F32, .rank = 1, .dim = {2}, .order = {0}, .offset = (at), .bytes = 8 }
#define BATCH_OF(n, type, count, at)                                                                         \
  {                                                                                                          \
    .name = (n), .dtype = (type), .rank = 4, .dim = {(count), 1, SIDE, SIDE}, .order = {0, 2, 3, 1},         \
    .offset = (at), .bytes = (count)*PIXELS * 4                                                              \
  }

static const NetcVar vars[] = {
    {.array = PAIR("net.weight", W_AT), .init = NETC_INIT_UNIFORM, .init_a = -0.1, .init_b = 0.1},
    {.array = PAIR("net.weight.velocity", VELOCITY_AT), .role = NETC_ROLE_OPTIM},
    {.array = PAIR("ema.weight", EMA_AT),
     .init = NETC_INIT_COPY,
     .init_from = "net.weight",
     .role = NETC_ROLE_EMA},
    {.array = {.name = "net.table",
               .dtype = NETC_F32,
               .rank = 2,
               .dim = {2, 3},
               .order = {1, 0},
               .offset = TABLE_AT,
               .bytes = 24},
     .init = NETC_INIT_NORMAL,
     .init_a = 1,
     .init_b = 2,
     .role = NETC_ROLE_BUFFER},
    {.array = {.name = "count", .dtype = NETC_I32, .offset = COUNT_AT, .bytes = 4},
     .role = NETC_ROLE_OPTIM,
     .net = -1}};

static const NetcNet nets[] = {{"net", 2, PIXELS}};

static const NetcSourceLine places[] = {{"toy.net", NULL, 7, -1}, {"blocks/pixel.net", "pixel", 3, 0}};

static const NetcKernel kernels[] = {{"forward_backward",
                                      "map",
                                      {forward_backward, forward_backward},
                                      20 * PIXELS,
                                      8 * PIXELS,
                                      40 * PIXELS,
                                      0},
                                     {"total", "reduce", {total, total}, 3 * BATCH, 48, 3 * BATCH, 0},
                                     {"update", "map", {update, update}, 12, 64, 12, 0},
                                     {"predict", "map", {predict, predict}, 10, 12, 10, 0}};

static const NetcArray inputs[] = {
    SCALAR("iteration", ITERATION_AT), SCALAR("epoch", EPOCH_AT), SCALAR("max_iterations", MAX_AT),
    BATCH_OF("batch.image", NETC_F32, BATCH, IMAGE_AT), BATCH_OF("batch.label", NETC_I32, BATCH, LABEL_AT)};
static const NetcArray outputs[] = {SCALAR("loss", LOSS_AT), SCALAR("extra", EXTRA_AT)};
static const NetcArray grads_outputs[] = {SCALAR("loss", LOSS_AT), PAIR("grad:net.weight", GRAD_AT)};
static const NetcArray predict_inputs[] = {BATCH_OF("image", NETC_F32, 1, IMAGE_AT)};
static const NetcArray predict_outputs[] = {{.name = "out",
                                             .dtype = NETC_F32,
                                             .rank = 4,
                                             .dim = {1, 2, SIDE, SIDE},
                                             .order = {0, 2, 3, 1},
                                             .offset = OUT_AT,
                                             .bytes = 2 * PIXELS * 4}};

static const int64_t args[] = {W_AT,       IMAGE_AT,    LABEL_AT, PARTIAL_AT, /* 0: forward_backward */
                               PARTIAL_AT, LOSS_AT,     GRAD_AT,  EXTRA_AT,   EPOCH_AT, /* 4: total */
                               W_AT,       VELOCITY_AT, EMA_AT,   GRAD_AT,    COUNT_AT, /* 9: update */
                               W_AT,       IMAGE_AT,    OUT_AT};                        /* 14: predict */
static const NetcLaunch step_launches[] = {{0, 4, BATCH, 0, 1}, {1, 5, 1, 4, 1}, {2, 5, 1, 9, -1}};
static const NetcLaunch predict_launches[] = {{3, 3, PIXELS, 14, 0}};

static const NetcFn fns[] = {
    {"toy", NETC_FN_TRAIN, 5, 2, 3, inputs, outputs, step_launches, args, ARENA - VARIABLES, 0},
    {"toy.grads", NETC_FN_TRAIN, 5, 2, 2, inputs, grads_outputs, step_launches, args, ARENA - VARIABLES, 0},
    {"predict", NETC_FN_PREDICT, 1, 1, 1, predict_inputs, predict_outputs, predict_launches, args,
     ARENA - VARIABLES, 0}};

#ifdef TOY_GPU
#include "tests/runtime/fake_kernels.h"
#define ENTRY(name) ".visible .entry " name "(\n)\n{ ret; }\n"
#define TEXT(entries)                                                                                        \
  {                                                                                                          \
    { [NETC_SM_75] = ".version 6.3\n.target sm_75\n" entries }                                               \
  }
static const NetcDeviceText texts[] = {TEXT(ENTRY("toy_forward_backward") ENTRY("toy_total")),
                                       TEXT(ENTRY("toy_update")), TEXT(ENTRY("toy_predict"))};
static const NetcDeviceCode codes[] = {{"toy_forward_backward", 0, 32, 1, 0, 0, 0},
                                       {"toy_total", 0, 32, 1, 0, 0, 0},
                                       {"toy_update", 1, 32, 1, 0, 0, 2},
                                       {"toy_predict", 2, 128, 4, 0, 0, 0}};
enum { FIRST = 77, SECOND = -3 }; /* parameters of the update */
static const uint64_t params[] = {FIRST, (uint64_t)(int64_t)SECOND};
static const NetcDeviceKernel device_kernels[] = {
    {"gpu:forward_backward", "map", 0, 0, 20 * PIXELS, 8 * PIXELS, 40 * PIXELS, NULL},
    {"gpu:total", "reduce", 1, 0, 3 * BATCH, 48, 3 * BATCH, NULL},
    {"gpu:update", "map", 2, 0, 12, 64, 12, params},
    {"gpu:predict", "map", 3, 0, 10, 12, 10, NULL}};
enum {
  G = 8192,
  DEVICE_ARENA = ARENA + G,
  FAR = DEVICE_ARENA - 64
}; /* all but variables lies G bytes further on, */
static const NetcArray device_inputs[] = {SCALAR("iteration", ITERATION_AT + G),
                                          SCALAR("epoch", EPOCH_AT + G), SCALAR("max_iterations", MAX_AT + G),
                                          BATCH_OF("batch.image", NETC_F32, BATCH, IMAGE_AT + G),
                                          BATCH_OF("batch.label", NETC_I32, BATCH, LABEL_AT + G)};
static const NetcArray device_outputs[] = {SCALAR("loss", FAR),
                                           SCALAR("extra", EXTRA_AT + G)}; /* the loss far off */
static const NetcArray device_grads_outputs[] = {SCALAR("loss", FAR), PAIR("grad:net.weight", GRAD_AT + G)};
static const NetcArray device_predict_inputs[] = {BATCH_OF("image", NETC_F32, 1, IMAGE_AT)};
static const NetcArray device_predict_outputs[] = {{.name = "out",
                                                    .dtype = NETC_F32,
                                                    .rank = 4,
                                                    .dim = {1, 2, SIDE, SIDE},
                                                    .order = {0, 2, 3, 1},
                                                    .offset = OUT_AT,
                                                    .bytes = 2 * PIXELS * 4}};
static const int64_t device_args[] = {W_AT,        IMAGE_AT + G, LABEL_AT + G, PARTIAL_AT + G, PARTIAL_AT + G,
                                      FAR,         GRAD_AT + G,  EXTRA_AT + G, EPOCH_AT + G,   W_AT,
                                      VELOCITY_AT, EMA_AT,       GRAD_AT + G,  COUNT_AT,       W_AT,
                                      IMAGE_AT,    OUT_AT};
static const NetcFn device_fns[] = {{"toy", NETC_FN_TRAIN, 5, 2, 3, device_inputs, device_outputs,
                                     step_launches, device_args, DEVICE_ARENA - VARIABLES, 0},
                                    {"toy.grads", NETC_FN_TRAIN, 5, 2, 2, device_inputs, device_grads_outputs,
                                     step_launches, device_args, DEVICE_ARENA - VARIABLES, 0},
                                    {"predict", NETC_FN_PREDICT, 1, 1, 1, device_predict_inputs,
                                     device_predict_outputs, predict_launches, device_args, ARENA - VARIABLES,
                                     0}};
static const NetcDevice device = {DEVICE_ARENA, 4, 4, 3, 0, texts, codes, device_kernels, NULL, device_fns};
#define DEVICE &device

/* Does nothing unless it gets its parameters. */
static void update_by(void *const *arg, const NetcStep *step, int64_t task) {
  if ((uintptr_t)arg[5] == FIRST && (intptr_t)arg[6] == SECOND) update(arg, step, task);
}

static const FakeKernel whole[] = {{.entry = "toy_forward_backward", .nargs = 4, .whole = forward_backward},
                                   {.entry = "toy_total", .nargs = 5, .whole = total},
                                   {.entry = "toy_update", .nargs = 5, .nparams = 2, .whole = update_by},
                                   {.entry = "toy_predict", .nargs = 3, .whole = predict}};
const FakeKernels *fake_kernels(void);
const FakeKernels *fake_kernels(void) {
  static const FakeKernels all = {4, whole};
  return &all;
}
#else
#define DEVICE NULL
#endif

static const NetcField fields[] = {{"image", NETC_FIELD_IMAGE, 3}, {"label", NETC_FIELD_LABEL, 4}};
static const NetcAugment augments[] = {{.kind = NETC_AUG_FLIP, .p = 0.5}};
static const NetcStream streams[] = {{.name = "batch",
                                      .source = NETC_SRC_LABELED,
                                      .nfields = 2,
                                      .naugments = 1,
                                      .fields = fields,
                                      .augments = augments}};

static const NetcModule module = {.abi_version = TOY_VERSION,
                                  .struct_bytes = sizeof(NetcModule),
                                  .producer = "by hand",
                                  .source = "toy_module.c",
                                  .options = "batch=4 size=[16,16]",
                                  .fingerprint = 0x746f79,
                                  .arena_bytes = ARENA,
                                  .variable_bytes = VARIABLES,
                                  .nvars = 5,
                                  .nnets = 1,
                                  .nkernels = 4,
                                  .nfns = 3,
                                  .nstreams = 1,
                                  .spatial = 2,
                                  .vars = vars,
                                  .nets = nets,
                                  .kernels = kernels,
                                  .fns = fns,
                                  .streams = streams,
                                  .places = places,
                                  .nplaces = 2,
                                  .classes = 2,
                                  .epoch_iterations = 5,
                                  .max_iterations = 12,
                                  .device = DEVICE};

const NetcModule *netc_module_query(uint32_t abi_version);
const NetcModule *netc_module_query(uint32_t abi_version) {
  return abi_version == TOY_VERSION ? &module : NULL;
}
