/* checkpoint.h - the variables of a session as a .safetensors file: every variable under its name, row-major
 * in its logical shape, so that the file does not depend on how a module lays things out. */
#ifndef NETRUN_CHECKPOINT_H
#define NETRUN_CHECKPOINT_H
#include "runtime/session/session.h"
#include "runtime/io/safetensors.h"

/* What a checkpoint says of the run it belongs to. Empty strings and zeros: it says nothing of that. */
typedef struct {
  uint64_t iteration; /* iterations done */
  uint64_t seed;
  double epoch;
  int64_t max_iterations;
  uint64_t split;                     /* how the data set was divided: data_split_hash */
  double best_value;                  /* of the metric `best` */
  char data[128], labeled[128];       /* name of the data set, --labeled */
  char fold[24], val[24], missing[8]; /* --fold, --val, --missing */
  char case_by[256];                  /* --case-by */
  char best[16], best_split[8];       /* the weights are the best so far by this metric, on this split */
  int64_t eval_every; /* iterations from one validation to the next, 0: there is none; on .. */
  char eval_split[8],
      eval_best[16];      /* .. this split, the best weights by this metric being kept, or "none" */
  char fingerprint[2048]; /* what preparation took from the training set: fingerprint_text */
} Progress;

/* Refuses to write a variable that is not finite, naming it. */
bool checkpoint_save(const Session *s, const char *path, const Progress *at, char err[ERR_MAX]);
/* Loads variables by name. fn NULL: every variable must be there (resume). Otherwise only those that fn works
 * on, optimiser state excepted: what else the file has is loaded too, the rest is left as it is. Refuses
 * files of another network (listing the first differences) and values that are not finite; the session is
 * untouched then. `at` may be NULL. */
bool checkpoint_load(const Session *s, const char *path, const NetcFn *fn, Progress *at, char err[ERR_MAX]);
/* The same for nfn functions, none of them NULL: the file is read once. */
bool checkpoint_load_for(const Session *s, const char *path, const NetcFn *const *fn, int nfn, Progress *at,
                         char err[ERR_MAX]);
/* Reads only what the file says of its run. */
bool checkpoint_progress(const char *path, Progress *at, char err[ERR_MAX]);
#endif
