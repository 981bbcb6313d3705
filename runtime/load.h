/* load.h - a compiled module, and a session that runs its functions.
 *
 *   Module *m = module_open("asenet.so", err);
 *   Session *s = session_new(m, threads, err);      // one arena, one thread pool
 *   session_init(s, seed);                          // variables as the module says
 *   const NetcFn *f = module_fn(m, "acts");
 *   memcpy(session_at(s, input), batch, ...);       // inputs may be overwritten by a run: write them every time
 *   fn_run(s, f, (NetcStep){seed, iteration});      // allocates nothing
 *   session_free(s);
 *   module_close(m);
 */
#ifndef NETRUN_LOAD_H
#define NETRUN_LOAD_H
#include "err.h"
#include "pool.h"

typedef struct {
  const NetcModule *desc;
  char *path;
  NetcIsa isa; /* instruction set whose code is run */
  void *handle;
} Module;

/* Opens and checks a module. The environment variable NETRUN_ISA=avx2|avx512|avx512_bf16 chooses the instruction set;
 * otherwise the best one that the machine runs and the module has. */
Module *module_open(const char *path, char err[ERR_MAX]);
void module_close(Module *m);
const char *isa_name(NetcIsa isa);
/* Checks every table of a descriptor for values a host could trip over. `size_bytes` is sizeof(NetcModule). */
bool module_check(const NetcModule *d, char err[ERR_MAX]);

const NetcFn *module_fn(const Module *m, const char *name); /* NULL = none */
/* The first function of a kind; NULL = none. NAME.grads functions are passed over. */
const NetcFn *module_fn_of_kind(const Module *m, NetcFnKind kind);
/* The function called `name`, or an error that lists the functions there are. */
const NetcFn *module_fn_named(const Module *m, const char *name, char err[ERR_MAX]);

typedef struct {
  const Module *module;
  Pool *pool;
  uint8_t *arena;
  int64_t arena_bytes;
  int64_t resident; /* bytes of the process in memory before the arena was made: libraries, tables */
  void ***args;     /* args[fn][i]: address of NetcFn.args[i] */
} Session;

Session *session_new(const Module *m, int threads, char err[ERR_MAX]);
void session_free(Session *s);
static inline void *session_at(const Session *s, const NetcArray *a) { return s->arena + a->offset; }
/* Sets all variables to their initial values; a pure function of seed and the module's tables (init.c). */
void session_init(const Session *s, uint64_t seed);
/* The variable whose recipe v follows: v itself, or where its chain of COPY ends; NULL when that is nowhere. */
const NetcVar *var_origin(const NetcModule *d, const NetcVar *v);
/* Writes the inputs "iteration", "epoch" and "max_iterations" of f, where it has them. */
void session_scalars(const Session *s, const NetcFn *f, double iteration, double epoch,
                     double max_iterations);
bool is_host_scalar(const NetcArray *input);

void fn_run(const Session *s, const NetcFn *f, NetcStep step);
/* Who watches a run: `task` is called by the thread that has run a task, `launch` when all tasks of one are done. */
typedef struct {
  void *user;
  void (*task)(void *user, int launch, int64_t task, double seconds);
  void (*launch)(void *user, int launch, double seconds);
} Observer;
void fn_run_observed(const Session *s, const NetcFn *f, NetcStep step, const Observer *o);
double seconds_now(void); /* a steady clock */
#endif
