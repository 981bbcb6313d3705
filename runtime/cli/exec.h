/* exec.h - one function of a module on arrays from files, its results as files: for comparison with other
 * frameworks. */
#ifndef NETRUN_EXEC_H
#define NETRUN_EXEC_H
#include "runtime/session/session.h"

typedef struct {
  const char *name, *path; /* input = path of a .npy file */
} ExecInput;

typedef struct {
  const char *function, *weights /* NULL: initial values from the seed */, *out;
  const ExecInput *input;
  int ninput;
  double iteration, epoch, max_iterations;
  uint64_t seed;
} ExecOptions;

/* Writes OUT/NAME.npy for each output. For a training function also OUT/after.safetensors, and, where the
 * module has FUNCTION.grads, the outputs of that (grad:VARIABLE among them), run from the same state before
 * the step. */
bool exec_run(const Session *s, const ExecOptions *o, char err[ERR_MAX]);
#endif
