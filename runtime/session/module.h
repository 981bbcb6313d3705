/* module.h - a compiled module (codegen/abi.h): opened, checked, its functions found. */
#ifndef NETRUN_MODULE_H
#define NETRUN_MODULE_H
#include <stdbool.h>
#include "codegen/abi.h"
#include "runtime/base/err.h"

typedef struct {
  const NetcModule *desc;
  char *path;
  NetcIsa isa; /* instruction set whose code is run */
  void *handle;
} Module;

/* Opens and checks a module. The environment variable NETRUN_ISA=avx2|avx512|avx512_bf16 chooses the
 * instruction set; otherwise the best one that the machine runs and the module has. */
Module *module_open(const char *path, char err[ERR_MAX]);
void module_close(Module *m);
const char *isa_name(NetcIsa isa);
/* Checks every table of a descriptor for values a host could trip over. `size_bytes` is
 * sizeof(NetcModule). */
bool module_check(const NetcModule *d, char err[ERR_MAX]);

const NetcFn *module_fn(const Module *m, const char *name); /* NULL = none */
/* The first function of a kind; NULL = none. NAME.grads functions are passed over. */
const NetcFn *module_fn_of_kind(const Module *m, NetcFnKind kind);
/* The function called `name`, or an error that lists the functions there are. */
const NetcFn *module_fn_named(const Module *m, const char *name, char err[ERR_MAX]);
/* The variable whose recipe v follows: v itself, or where its chain of COPY ends; NULL when that is
 * nowhere. */
const NetcVar *var_origin(const NetcModule *d, const NetcVar *v);
#endif
