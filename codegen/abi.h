/* abi.h - the contract between a compiled module (asenet.so) and whoever loads it. A standalone header: copy
 * it next to a program that links a module. Everything in it is versioned: a loader refuses another
 * NETC_ABI_VERSION.
 *
 * A module exports one symbol,
 *
 *   const NetcModule *netc_module_query(uint32_t abi_version);     // NULL: another version
 *
 * and needs nothing from its host but libc's memcpy/memset. All tables are constant. All memory a function
 * works in is one arena of `arena_bytes` that the host allocates (64-byte aligned, zeroed once): variables
 * live at fixed offsets at its start, then inputs, results and temporaries, each at the offset planned by the
 * compiler.
 *
 * Axes: `dim` is the logical shape, `order` lists its axes from outermost to innermost in memory. */
#ifndef NETC_ABI_H
#define NETC_ABI_H
#include <stdint.h>

#define NETC_ABI_VERSION  8u
#define NETC_QUERY_SYMBOL "netc_module_query"
enum { NETC_MAX_RANK = 6, NETC_MAX_ARGS = 40, NETC_MAX_PARAMS = 64 };

typedef enum { NETC_F32 = 0, NETC_I32 = 1 } NetcDType;
typedef enum { NETC_INIT_CONST = 0, NETC_INIT_UNIFORM, NETC_INIT_NORMAL, NETC_INIT_COPY } NetcInit;
typedef enum { NETC_ROLE_PARAM = 0, NETC_ROLE_BUFFER, NETC_ROLE_EMA, NETC_ROLE_OPTIM } NetcRole;
typedef enum { NETC_FN_TRAIN = 0, NETC_FN_PREDICT, NETC_FN_FORWARD } NetcFnKind;
typedef enum {
  NETC_FIELD_IMAGE = 0,
  NETC_FIELD_LABEL,
  NETC_FIELD_SDF,
  NETC_FIELD_STRONG,
  NETC_FIELD_REGIONS
} NetcFieldKind;
typedef enum { NETC_SRC_LABELED = 0, NETC_SRC_UNLABELED, NETC_SRC_ALL } NetcSource;
typedef enum {
  NETC_AUG_FLIP = 0,
  NETC_AUG_ROT90,
  NETC_AUG_CROP,
  NETC_AUG_ROTATE,
  NETC_AUG_SCALE,
  NETC_AUG_ELASTIC,
  NETC_AUG_NOISE,
  NETC_AUG_GAMMA,
  NETC_AUG_BRIGHTNESS,
  NETC_AUG_CONTRAST,
  NETC_AUG_BLUR,
  NETC_AUG_LOWRES,
  NETC_AUG_CUTOUT
} NetcAugmentKind; /* ir/augment.def says what each does and what its values mean */
enum { NETC_AUGMENT_VALUES = 3, NETC_AUGMENT_MOST = 32 };

/* Random numbers of batches, by ir/philox.h at (seed, iteration, netc_batch_site, index). Host and device
 * draw the noise alike: element e of an image field (samples, their places, channels, in this order) gains
 * deviation * gauss_of(1 - u, w) of ir/gauss.h, where u is number 2 e and w number 2 e + 1 and the deviation
 * is the sample's. NOISE is the site of the first noise of a list, DRAWS that of the first numbers that are
 * drawn for a sample as a whole; what else is drawn has sites behind these (runtime/batch/draw.h). */
enum {
  NETC_SITE_ORDER = 1000,
  NETC_SITE_AUGMENT = 2000,
  NETC_SITE_NOISE = 3000,
  NETC_SITE_FOREGROUND = 3500,
  NETC_SITE_DRAWS = 4000
};
static inline uint64_t netc_batch_site(uint64_t stream, uint64_t site) { return (stream + 1) << 32 | site; }

/* An array in the arena. */
typedef struct {
  const char *name;
  int32_t dtype, rank;
  int64_t dim[NETC_MAX_RANK];
  uint8_t order[NETC_MAX_RANK + 2];
  int64_t offset; /* bytes from the start of the arena */
  int64_t bytes;
} NetcArray;

/* A variable. Element i (row-major index) of UNIFORM starts as init_a + (init_b - init_a) * u, of NORMAL as
 * init_a + init_b * z, with u, z by ir/philox.h at (seed, iteration 2^32-1, site = FNV-1a 64 of the name, i);
 * COPY copies `init_from`. */
typedef struct {
  NetcArray array;
  int32_t init, role;
  double init_a, init_b;
  const char *init_from;
  int32_t net; /* index into nets, -1 = none */
  int32_t pad;
} NetcVar;

typedef struct {
  const char *name;
  int64_t parameters; /* learnt values (role PARAM or EMA) */
  int64_t macs;       /* multiply-adds of one forward pass of one sample */
} NetcNet;

/* What changes from call to call. */
typedef struct {
  uint64_t seed, iteration;
} NetcStep;

/* One kernel: does task number `task` of 0..tasks-1, in any order, on any thread; args are addresses in the
 * arena. */
typedef void (*NetcKernelFn)(void *const *args, const NetcStep *step, int64_t task);

/* Instruction sets, best last; a kernel's code for each. A loader takes the last one that its machine runs
 * and that every kernel has code for. The third is AVX-512 with instructions for bf16: only modules that
 * store bf16 have it, and of their kernels those that gain nothing by it have the code of AVX-512 there. */
typedef enum { NETC_ISA_AVX2 = 0, NETC_ISA_AVX512, NETC_ISA_AVX512_BF16, NETC_ISA_COUNT } NetcIsa;

typedef struct {
  const char *name;                  /* descriptor: conv:n4_ic64_oc64_h256_w256_k3_s1_p1:f32 and so on */
  const char *op;                    /* kind: map conv conv_dx conv_dw dw dw_dw dybac matmul move reduce .. */
  NetcKernelFn code[NETC_ISA_COUNT]; /* NULL where not compiled for that set */
  /* Of one launch: the arithmetic it does, the least memory traffic (every distinct operand once), and the
   * arithmetic of what it computes taken literally. `work` differs from `flops` where a kernel finds a
   * cheaper way (Winograd), and where taps of a convolution fall into the padding. `pair_flops` are those of
   * `flops` that code for NETC_ISA_AVX512_BF16 does as dot products of pairs of bf16. */
  int64_t flops, bytes, work, pair_flops;
} NetcKernel;

/* A place in a .net file: the line that asked for a launch, and who called the block it lies in. */
typedef struct {
  const char *file, *block; /* block: name of the block or net around the line, or NULL */
  int32_t line, caller;     /* caller: a smaller index into places, -1 = none */
} NetcSourceLine;

/* One step of a function: run all tasks of a kernel, wait, go on. */
typedef struct {
  int32_t kernel, nargs;
  int64_t tasks;
  int32_t arg;   /* index into the function's `args` (byte offsets in the arena), nargs of them */
  int32_t place; /* index into places, -1 = unknown */
} NetcLaunch;

/* A function. Inputs named "iteration", "epoch" and "max_iterations" (f32, rank 0) are written by the host.
 * In a training function the inputs STREAM.FIELD are the batch, and the outputs are the values to log (rank
 * 0); its variables hold the next state when the last launch is done. NAME.grads is the same function with
 * every gradient as a further output "grad:VARIABLE", and stores left out. */
typedef struct {
  const char *name;
  int32_t kind, ninputs, noutputs, nlaunches;
  const NetcArray *inputs, *outputs;
  const NetcLaunch *launches;
  const int64_t *args;
  int64_t working; /* bytes of the arena it uses behind the variables */
  int64_t scratch; /* bytes its kernels take on the stack of each thread, at most */
} NetcFn;

typedef struct {
  const char *name;    /* as the .net file says: image, label, .. */
  int32_t kind, input; /* index into the training function's inputs */
} NetcField;

typedef struct {
  int32_t kind, pad;
  double p, value[NETC_AUGMENT_VALUES]; /* probability; parameters in the order of ir/augment.def, then 0 */
} NetcAugment;

/* A batch of the training function. */
typedef struct {
  const char *name;
  int32_t source, nfields, naugments, nstrong; /* at most NETC_AUGMENT_MOST each */
  const NetcField *fields;
  const NetcAugment *augments, *strong; /* strong: of fields of kind STRONG, behind the others */
  double foreground;                    /* fraction of the samples that is taken around foreground */
} NetcStream;

/* ---- NVIDIA GPUs ----
 *
 * The same functions once more, with launches, workspaces and a memory plan of their own; variables lie at
 * the same offsets of the device's arena as of the host's. An entry takes its launch's nargs addresses (64
 * bits each, in device memory), the address of a NetcStep in device memory, the number of tasks (64 bits),
 * and the code's nparams words of the kernel (64 bits each): kernels that differ in numbers only share a
 * code. It is launched with ceil(tasks / code.tasks) blocks of code.threads threads, in one dimension, and,
 * where the text is that for sm_90a, code.shared bytes of dynamic shared memory. Launches of a function
 * follow each other in one stream. */

/* Families of PTX text, the least first: a loader takes the last one there is that its device runs. The text
 * of a family runs on its compute capability and on all newer ones, but that of SM_90A on 9.0 only. */
typedef enum { NETC_SM_75 = 0, NETC_SM_80, NETC_SM_90A, NETC_SM_COUNT } NetcSm;

/* What a driver compiles at once: the entries of some codes that are needed together. */
typedef struct {
  const char *ptx[NETC_SM_COUNT]; /* ended by a 0; NULL where there is none */
} NetcDeviceText;

typedef struct {
  const char *entry;      /* its name in the text */
  int32_t text;           /* index into texts */
  int32_t threads, tasks; /* of a block */
  int32_t shared;         /* bytes of dynamic shared memory of a block of sm_90a's text; others take none */
  int32_t static_shared;  /* and of static, which the texts declare, the most of any */
  int32_t nparams;        /* at most NETC_MAX_PARAMS */
} NetcDeviceCode;

typedef struct {
  const char *name, *op; /* as NetcKernel's */
  int32_t code, pad;     /* index into codes */
  int64_t flops, bytes, work;
  const uint64_t *params; /* the code's nparams */
} NetcDeviceKernel;

/* How one sample of a batch is taken from its image: its element at o, three axes, those a 2-D module lacks
 * of extent 1 and first, is what the image has at start + scale * (from + by . o) along each axis, computed
 * in this order (by . o: each product added to what stands before it), between elements linearly (labels: the
 * nearest). Up to half an element beyond the outermost centres the image has what it has there, further out
 * it is 0. */
typedef struct {
  double image,
      label; /* begin in the pool, in words of 4 bytes; below 0: not there, the sample is left as it is */
  struct {
    double start, scale, size, from, by[3]; /* size: the image's */
  } axis[3];
  double noise; /* deviation of the sample's noise; 0: it has none */
} NetcView;
enum { NETC_VIEW_DOUBLES = 24 };

/* A field of a stream's batch, made on the device. The kernel's arguments are the pool (images of floats
 * (C,S), labels of bytes), the N NetcViews, and the field's array; its step is that of the batch. Streams
 * have all of their images and labels made so, or none. */
typedef struct {
  int32_t stream, field, kernel, pad; /* index into the module's streams, their fields, and kernels above */
  int64_t tasks;
} NetcDeviceFill;

typedef struct {
  int64_t arena_bytes;
  int32_t ncodes, nkernels, ntexts, nfills;
  const NetcDeviceText *texts;
  const NetcDeviceCode *codes;
  const NetcDeviceKernel *kernels;
  const NetcDeviceFill *fills;
  const NetcFn *fns; /* as many as the module's, in the same order; launches index `kernels` above */
} NetcDevice;

/* ---- preparation ----
 *
 * How images and masks of files become a module's arrays: the statement `prepare` of the .net file
 * (docs/language.md says what each setting means, ir/prepare.def lists the words). The host does it; a module
 * gets, and gives, arrays that are prepared. */
typedef enum { NETC_SPACING_STORED = 0, NETC_SPACING_FIXED, NETC_SPACING_MEDIAN } NetcSpacing;
typedef enum { NETC_ORDER_NEAREST = 0, NETC_ORDER_LINEAR, NETC_ORDER_CUBIC } NetcOrder;
typedef enum {
  NETC_PLANE_THICK = 0,
  NETC_PLANE_AXIAL,
  NETC_PLANE_CORONAL,
  NETC_PLANE_SAGITTAL,
  NETC_PLANE_STORED
} NetcPlane;
typedef enum { NETC_CROP_NONE = 0, NETC_CROP_NONZERO } NetcCrop;
typedef enum {
  NETC_INTENSITY_AUTO = 0,
  NETC_INTENSITY_NONE,
  NETC_INTENSITY_ZSCORE,
  NETC_INTENSITY_NONZERO,
  NETC_INTENSITY_FOREGROUND,
  NETC_INTENSITY_MINMAX,
  NETC_INTENSITY_FIXED
} NetcIntensityKind;
typedef enum { NETC_WEIGHT_UNIFORM = 0, NETC_WEIGHT_GAUSSIAN } NetcWeight;
enum { NETC_POST_LARGEST = 1, NETC_POST_FILL = 2 };
enum { NETC_MAX_CLASSES = 255, NETC_NO_COLOUR = -1, NETC_CLASS_IGNORED = -1, NETC_MAX_REGIONS = 8 };

/* What is done to the values x of a channel, which are those of the file: with `clip` they are cut to lo..hi
 * first. */
typedef struct {
  int32_t kind, clip;            /* NetcIntensityKind; 0 or 1 */
  double lo, hi;                 /* lo < hi; without clip 0 */
  double mean, deviation, scale; /* FIXED: (x / scale - mean) / deviation; else 0, 1, 1 */
} NetcIntensity;

/* One value of the mask files, or one colour, and the class it is. Several may be one class. */
typedef struct {
  int64_t value;  /* where colour is NETC_NO_COLOUR */
  int32_t colour; /* 0xRRGGBB, of masks in colour; or NETC_NO_COLOUR */
  int32_t cls;    /* index into classes, or NETC_CLASS_IGNORED: batches' labels are -1 there */
} NetcLabelRule;

/* A union of classes that the module predicts by itself: predict's channel r is the probability that an
 * element lies in region r, whatever the others say. */
typedef struct {
  const char *name;
  int32_t cls; /* what a mask of classes says of elements that lie in it and in no later one that has a class;
                  -1: nothing */
  int32_t pad;
} NetcRegion;

/* The statement. Lists of three follow the axes of the module's arrays (as many as `spatial`), 0 beyond. */
typedef struct {
  const char *const *channels;      /* their names; NULL: unnamed */
  const NetcIntensity *intensities; /* one for all channels, or one for each */
  const NetcLabelRule *labels; /* NULL: what docs/data.md says of masks; a value without a rule is an error */
  const char *const *classes;  /* names, background first; NULL where labels is */
  const NetcRegion *regions;   /* NULL: predict gives a probability for each class */
  const uint8_t *members;      /* by class: bit r says that it belongs to region r; NULL where regions is */
  int32_t nchannels, nintensities, nlabels, nclasses, nregions;
  int32_t spacing;                 /* NetcSpacing */
  int32_t image_order, mask_order; /* NetcOrder, for resampling to the spacing; masks: NEAREST or LINEAR */
  int32_t plane;                   /* NetcPlane, of 2-D modules on volumes */
  int32_t crop;                    /* NetcCrop */
  int32_t weight;                  /* NetcWeight, of overlapping patches */
  uint32_t post;                   /* NETC_POST_ bits, of predicted masks */
  int32_t ignore; /* 1: a label is ignored. What is made of masks but labels takes it as class 0 */
  int32_t pad;
  char orientation[8]; /* "RAS" and so on: what the array's axes point to; "": as stored */
  double mm[3];        /* FIXED: distance of elements in millimetres; 0: as stored along this axis */
  int64_t stride[3];   /* from patch to patch, in elements; all 0: by overlap */
  double overlap;      /* of neighbouring patches, a fraction of their extents in [0, 1) */
  double drop;         /* components of predicted masks below this many mm^3 are dropped; 0: none */
} NetcPrepare;

/* ---- validation ----
 *
 * What `train NAME (validate = .., best = .., val = ..)` of the .net file says of its runs; options of the
 * run go before it. */
typedef struct {
  int64_t every; /* iterations from one validation to the next; 0: only where the run asks for it */
  /* the metric, by its column in ir/metrics.def, by which the best weights are kept; NULL: none are */
  const char *best;
  /* training cases that validate where the data set has none for it: "20%" or "12"; NULL: 20% */
  const char *val;
} NetcValidation;

typedef struct {
  uint32_t abi_version, struct_bytes;
  const char *producer; /* "netc 0.1.0" */
  const char *source;   /* path of the .net file, as given */
  const char *options;  /* the -D options and defaults in force: "batch=4 size=[256,256] ..." */
  /* hash of names, shapes and roles of all variables: weights of another network are refused */
  uint64_t fingerprint;
  int64_t arena_bytes, variable_bytes; /* variables are the first variable_bytes of the arena */
  int32_t nvars, nnets, nkernels, nfns, nstreams, spatial; /* spatial: 2 or 3 */
  const NetcVar *vars;
  const NetcNet *nets;
  const NetcKernel *kernels;
  const NetcFn *fns;
  const NetcStream *streams;
  const NetcSourceLine *places;
  int64_t nplaces;
  int64_t classes, epoch_iterations, max_iterations; /* 0 where the file does not say */
  const NetcDevice *device;                          /* NULL: compiled for the host alone */
  const NetcPrepare *prepare;                        /* NULL: the file does not say; docs/data.md's rules */
  const NetcValidation *validation;                  /* NULL: the file does not say */
} NetcModule;

typedef const NetcModule *(*NetcQueryFn)(uint32_t abi_version);
#endif
