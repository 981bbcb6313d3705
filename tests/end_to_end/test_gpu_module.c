/* test_gpu_module.c - netc --target ptx: what it adds to a module, and what it leaves as it was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/scratch.h"
#include "runtime/session/session.h"

static char said[1 << 22]; /* stdout and stderr of the last command */

static int sh(const char *fmt, ...) {
  char cmd[4096];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(cmd, sizeof cmd, fmt, ap);
  va_end(ap);
  FILE *f = popen(cmd, "r");
  assert_non_null(f);
  said[fread(said, 1, sizeof said - 1, f)] = '\0';
  while (fgetc(f) != EOF) {}
  int status = pclose(f);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define OPTIONS "models/unet.net -D batch=2 -D size=[128,128] -D widths=[8,16] --no-grads"

FIXTURE(set_up) {
  return !scratch_set_up(state) && !sh(NETC_BINARY " " OPTIONS " -o %s/both.so --target ptx 2>&1", root) &&
                 !sh(NETC_BINARY " " OPTIONS " -o %s/host.so 2>&1", root)
             ? 0
             : -1;
}

static Module *open_module(const char *name) {
  char err[ERR_MAX] = "";
  Module *m = module_open(in_root(name), err);
  if (!m) fail_msg("%s", err);
  return m;
}

/* There is one for the least family that has what its codes take, and some for tensor cores have another for
 * sm_90a. */
static const char *text_of(const NetcDevice *d, const NetcDeviceCode *c) {
  const NetcDeviceText *t = &d->texts[c->text];
  assert_true(!t->ptx[NETC_SM_75] != !t->ptx[NETC_SM_80] && (!t->ptx[NETC_SM_90A] || t->ptx[NETC_SM_80]));
  return t->ptx[NETC_SM_75] ? t->ptx[NETC_SM_75] : t->ptx[NETC_SM_80];
}

static void check_code(const NetcDevice *d, const NetcDeviceCode *c) {
  char entry[128];
  const char *text = text_of(d, c);
  bool tensor = d->texts[c->text].ptx[NETC_SM_80] != NULL;
  snprintf(entry, sizeof entry, ".visible .entry %s(", c->entry);
  const char *from = strstr(text, entry), *target = strstr(text, tensor ? ".target sm_80" : ".target sm_75");
  assert_non_null(from);
  assert_null(strstr(from + 1, entry)); /* one */
  assert_true(target && !strstr(target + 1, ".target"));
  assert_true((strstr(text, "mma.sync") || strstr(text, "tf32")) == tensor);
  snprintf(entry, sizeof entry, ".maxntid %d, 1, 1", c->threads);
  const char *block = strstr(from, entry), *next = strstr(from + 1, ".visible .entry");
  assert_true(block && (!next || block < next));
  assert_true(c->threads % (32 * c->tasks) == 0 && c->static_shared <= 48 << 10);
  const char *newest = d->texts[c->text].ptx[NETC_SM_90A];
  assert_true(!c->shared || (newest && c->shared > 48 << 10 && c->shared <= 227 << 10));
  if (!newest) return;
  assert_true(strstr(newest, ".target sm_90a") && strstr(newest, "wgmma.mma_async"));
  assert_non_null(strstr(newest, entry)); /* the same block */
  snprintf(entry, sizeof entry, ".visible .entry %s(", c->entry);
  assert_non_null(strstr(newest, entry));
}

static bool same_array(const NetcArray *a, const NetcArray *b) {
  return !strcmp(a->name, b->name) && a->dtype == b->dtype && a->rank == b->rank && a->bytes == b->bytes &&
         !memcmp(a->dim, b->dim, sizeof a->dim) && !memcmp(a->order, b->order, sizeof a->order);
}

/* Whoever feeds a function on the host can feed it on a GPU: the same inputs and outputs, at other
 * offsets. */
static void check_fn(const NetcModule *d, const NetcFn *f, const NetcFn *g) {
  assert_string_equal(f->name, g->name);
  assert_true(f->kind == g->kind && f->ninputs == g->ninputs && f->noutputs == g->noutputs);
  for (int i = 0; i < f->ninputs; i++) assert_true(same_array(&f->inputs[i], &g->inputs[i]));
  for (int i = 0; i < f->noutputs; i++) assert_true(same_array(&f->outputs[i], &g->outputs[i]));
  for (int i = 0; i < g->nlaunches; i++) {
    const NetcDeviceKernel *k = &d->device->kernels[g->launches[i].kernel];
    char parameter[160];
    const NetcDeviceCode *c = &d->device->codes[k->code];
    const char *text = text_of(d->device, c);
    int last = g->launches[i].nargs + 1 + c->nparams; /* addresses, step, tasks, numbers */
    snprintf(parameter, sizeof parameter, "%s_param_%d\n", c->entry, last);
    assert_non_null(strstr(text, parameter));
    snprintf(parameter, sizeof parameter, "%s_param_%d", c->entry, last + 1);
    assert_null(strstr(text, parameter));
    assert_true(!c->nparams || k->params);
    assert_true(g->launches[i].tasks > 0);
  }
}

TEST(a_module_has_code_for_gpus) {
  Module *m = open_module("both.so");
  const NetcModule *d = m->desc;
  assert_non_null(d->device);
  assert_true(d->device->ncodes > 10 && d->device->nkernels >= d->device->ncodes);
  for (int i = 0; i < d->device->ncodes; i++) check_code(d->device, &d->device->codes[i]);
  int entries = 0, shared = 0, newest = 0;
  for (int i = 0; i < d->device->ntexts; i++)
    for (int sm = 0; sm < NETC_SM_90A; sm++)
      for (const char *at = d->device->texts[i].ptx[sm]; at && (at = strstr(at, ".entry ")); at++) entries++;
  assert_int_equal(entries, d->device->ncodes);
  for (int i = 0; i < d->device->ntexts; i++) newest += d->device->texts[i].ptx[NETC_SM_90A] != NULL;
  assert_true(newest > 0);
  for (int i = 0; i < d->device->nkernels; i++)
    shared += d->device->codes[d->device->kernels[i].code].nparams > 0;
  assert_true(shared > 10);
  for (int i = 0; i < d->nfns; i++) check_fn(d, &d->fns[i], &d->device->fns[i]);
  module_close(m);
  assert_int_equal(sh(NETRUN_BINARY " info %s/both.so 2>&1", root), 0);
  assert_non_null(strstr(said, "NVIDIA GPUs"));
}

/* With and without a GPU's code the host's tables are the same, and a module that has none says so. */
TEST(the_hosts_tables_are_the_same_with_a_gpus_code_and_without) {
  Module *a = open_module("both.so"), *b = open_module("host.so");
  assert_null(b->desc->device);
  assert_int_equal(a->desc->arena_bytes, b->desc->arena_bytes);
  assert_int_equal(a->desc->nkernels, b->desc->nkernels);
  for (int i = 0; i < a->desc->nkernels; i++)
    assert_string_equal(a->desc->kernels[i].name, b->desc->kernels[i].name);
  for (int i = 0; i < a->desc->nvars; i++)
    assert_true(a->desc->vars[i].array.offset == b->desc->vars[i].array.offset);
  module_close(a), module_close(b);
  assert_int_equal(sh(NETRUN_BINARY " info %s/host.so 2>&1", root), 0);
  assert_null(strstr(said, "NVIDIA"));
}

/* Whole f32 is for every GPU. */
TEST(tf32_can_be_off) {
  assert_int_equal(sh(NETC_BINARY " " OPTIONS " --emit ptx -D tf32=off 2>&1"), 0);
  assert_true(!strstr(said, "sm_80") && !strstr(said, "sm_90a"));
  assert_int_equal(sh(NETC_BINARY " " OPTIONS " --emit ptx -D tf32=off 2>&1 | grep -c mma"), 1);
  assert_int_equal(sh(NETC_BINARY " " OPTIONS " --emit ptx 2>&1 | grep -q mma.sync"), 0);
}

TEST(texts_are_printed_and_wrong_targets_refused) {
  assert_int_equal(sh(NETC_BINARY " " OPTIONS " --emit ptx 2>&1"), 0);
  assert_non_null(strstr(said, ".target sm_75"));
  assert_non_null(strstr(said, ".visible .entry netc_"));
  assert_int_equal(sh(NETC_BINARY " " OPTIONS " -o %s/x.so --target sm_75 2>&1", root), 1);
  assert_non_null(strstr(said, "expected host, portable, x86-64-v3, x86-64-v4, x86-64-v4+bf16 or ptx"));
}

RUN_TESTS(set_up, scratch_tear_down)
