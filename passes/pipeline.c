/* pipeline.c - the passes in order, and the driver that runs, verifies and dumps them. */
#include "passes/autodiff/autodiff.h"
#include "passes/fuse/check.h"
#include "passes/fuse/fuse.h"
#include "passes/passes.h"
#include "passes/remat/remat.h"
#include <string.h>

const Pass pass_table[] = {
    {"canon", pass_canon, "rewrites whose gradient is cheaper than the original's"},
    {"autodiff", pass_autodiff, "replaces grad nodes by the nodes that compute them"},
    {"simplify", pass_simplify, "common subexpressions, dead nodes, constants, identities"},
    {"expand", pass_expand,
     "softmax, log_softmax, batchnorm into elementwise ops and reductions; interpolation by axes"},
    {"moments", pass_moments, "mean and variance of large values by reading them once"},
    {"simplify2", pass_simplify, "simplify again, over what expand and moments made"},
    {"layout", pass_layout, "memory orders of variables and values"},
    {"schedule", pass_schedule, "an order in which large values live shortly"},
    {"fuse", pass_fuse, "groups nodes into kernels"},
    {"precision", pass_precision, "which stored values are bf16, under precision=bf16"},
    {"remat", pass_remat, "computes values again instead of keeping them for the backward pass"},
    {NULL, NULL, NULL},
};

static bool dump_wanted(const PassOptions *opt, const char *name) {
  return opt->dump && opt->dump_after && (!strcmp(opt->dump_after, "all") || !strcmp(opt->dump_after, name));
}

static bool dump_name_known(const PassOptions *opt) {
  if (!opt->dump_after || !strcmp(opt->dump_after, "all")) return true;
  for (const Pass *pass = pass_table; pass->name; pass++)
    if (!strcmp(opt->dump_after, pass->name)) return true;
  return false;
}

static bool is_fused(const Pass *pass) {
  return pass->run == pass_fuse || pass->run == pass_precision || pass->run == pass_remat;
}

static bool verify_after(const Pass *pass, const Fn *f, char err[IR_ERR]) {
  char why[IR_ERR];
  if (fn_verify(f, why) && (!is_fused(pass) || fuse_check(f, why))) return true;
  return ir_error(err, "after pass %s: %s", pass->name, why);
}

bool passes_run(Program *p, const PassOptions *opt, char err[IR_ERR]) {
  if (!dump_name_known(opt)) {
    ir_error(err, "no pass is named %.40s; there are", opt->dump_after);
    for (const Pass *pass = pass_table; pass->name; pass++) ir_error_more(err, " %s", pass->name);
    return false;
  }
  for (const Pass *pass = pass_table; pass->name; pass++) {
    for (int i = 0; i < p->nfn; i++) {
      if (opt->fused && pass->run == pass_remat) opt->fused[i] = p->fn[i];
      Fn *f = pass->run(p->fn[i], err);
      if (!f || (opt->verify && !verify_after(pass, f, err))) return false;
      p->fn[i] = f;
    }
    if (dump_wanted(opt, pass->name)) {
      fprintf(opt->dump, "# after %s\n", pass->name);
      ir_print(opt->dump, p);
    }
  }
  return true;
}
