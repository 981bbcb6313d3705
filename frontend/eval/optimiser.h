/* optimiser.h - optimisers as values, and their steps as arithmetic of the graph. */
#ifndef NETC_OPTIMISER_H
#define NETC_OPTIMISER_H
#include "frontend/eval/eval.h"

enum { MAX_OPTIM_STATE = 4, MAX_OPTIM_SHARED = 4 };

/* One parameter in one update. */
typedef struct {
  const Optimiser *o;
  int var, nth;      /* index into Program.var; how often its network was updated before in this iteration */
  int weight, grad;  /* nodes: its value, its gradient */
  const int *shared; /* nodes of rank 0 that begin made */
} OptimStep;

typedef struct OptimiserKind {
  const char *name, *params;
  const char *state[MAX_OPTIM_STATE + 1]; /* ends with NULL */
  /* Reads the arguments behind the learning rate; false after reporting. */
  bool (*args)(Eval *c, const Ast *at, Value *arg, Optimiser *o);
  /* lr: node of rank 0. Fills what step reads as `shared`. */
  void (*begin)(Eval *c, const Optimiser *o, int lr, int shared[MAX_OPTIM_SHARED]);
  void (*step)(Eval *c, const OptimStep *s);
} OptimiserKind;
extern const OptimiserKind optimiser_table[]; /* optimiser.def; ends with name NULL */

/* The builtin of every optimiser: which one it is says c->who. */
Value make_optimiser(Eval *c, const Ast *at, Value *arg);
/* An input that the host writes: iteration, epoch, max_iterations. */
int clock_input(Eval *c, const char *name);
/* A step of every parameter: var[i] by grad[i]; nth[i] as in OptimStep. */
void optimiser_run(Eval *c, const Optimiser *o, int n, const int *var, const int *grad, const int *nth);
#endif
