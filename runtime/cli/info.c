/* info.c - netrun info: what is in a module. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "runtime/device/open.h"
#include "runtime/base/array.h"
#include "runtime/base/augment.h"
#include "runtime/cli/cli.h"
#include "runtime/session/footprint.h"
#include "runtime/session/prepare.h"
#include "runtime/session/validation.h"
#include "runtime/cli/info.h"
#include "runtime/session/session.h"

static const char *const fn_kind[] = {"training step", "predict", "forward"};
static const char *const source_name[] = {"labeled", "unlabeled", "all"};
static const char *const role_name[] = {"parameters", "buffers", "averaged copies", "optimiser state"};

static void print_networks(const NetcModule *d, FILE *out) {
  fprintf(out, "networks\n");
  for (int i = 0; i < d->nnets; i++)
    fprintf(out, "  %-16s %12" PRId64 " parameters %10.3f GMAC per sample\n", d->nets[i].name,
            d->nets[i].parameters, (double)d->nets[i].macs * 1e-9);
}

static void print_memory(const NetcModule *d, FILE *out) {
  int64_t bytes[4] = {0};
  int count[4] = {0};
  for (int i = 0; i < d->nvars; i++) {
    int role = d->vars[i].role & 3;
    bytes[role] += d->vars[i].array.bytes, count[role]++;
  }
  fprintf(out, "memory\n  %-16s %12" PRId64 " bytes (%.2f MiB)\n", "arena", d->arena_bytes,
          (double)d->arena_bytes / 0x1p20);
  for (int r = 0; r < 4; r++)
    if (count[r])
      fprintf(out, "  %-16s %12" PRId64 " bytes in %d variables\n", role_name[r], bytes[r], count[r]);
  for (int i = 0; i < d->nfns; i++) {
    Footprint p = footprint_plan(d, &d->fns[i], 1);
    fprintf(out,
            "  %s: %.2f MiB = variables %.2f + working memory %.2f + next batch %.2f, and %.2f of scratch "
            "for each "
            "thread\n",
            d->fns[i].name, (double)(p.total - p.scratch) / 0x1p20, (double)p.variables / 0x1p20,
            (double)p.working / 0x1p20, (double)p.batch / 0x1p20, (double)p.scratch / 0x1p20);
  }
}

static void print_functions(const NetcModule *d, FILE *out) {
  char buf[128];
  fprintf(out, "functions\n");
  for (int i = 0; i < d->nfns; i++) {
    const NetcFn *f = &d->fns[i];
    double flops = 0;
    for (int k = 0; k < f->nlaunches; k++) flops += (double)d->kernels[f->launches[k].kernel].flops;
    fprintf(out, "  %s: %s, %d launches, %.3f GFLOP\n", f->name,
            f->kind >= 0 && f->kind < 3 ? fn_kind[f->kind] : "?", f->nlaunches, flops * 1e-9);
    for (int k = 0; k < f->ninputs; k++)
      fprintf(out, "    in  %-28s %s\n", f->inputs[k].name, array_str(&f->inputs[k], buf));
    for (int k = 0; k < f->noutputs && k < 16; k++)
      fprintf(out, "    out %-28s %s\n", f->outputs[k].name, array_str(&f->outputs[k], buf));
    if (f->noutputs > 16) fprintf(out, "    and %d further outputs\n", f->noutputs - 16);
  }
}

static void print_augments(FILE *out, const char *what, const NetcAugment *a, int n) {
  for (int i = 0; i < n; i++) fprintf(out, "%s ", i ? "," : what), augment_show(out, &a[i]);
}

static void print_streams(const NetcModule *d, FILE *out) {
  if (d->nstreams) fprintf(out, "streams\n");
  for (int i = 0; i < d->nstreams; i++) {
    const NetcStream *s = &d->streams[i];
    fprintf(out, "  %-16s %s images, fields", s->name,
            s->source >= 0 && s->source < 3 ? source_name[s->source] : "?");
    for (int k = 0; k < s->nfields; k++) fprintf(out, "%s %s", k ? "," : "", s->fields[k].name);
    print_augments(out, "; augmented by", s->augments, s->naugments);
    print_augments(out, "; strong view by", s->strong, s->nstrong);
    if (s->foreground > 0) fprintf(out, "; %g of them around foreground", s->foreground);
    fprintf(out, "\n");
  }
}

void info_text(const Module *m, FILE *out) {
  const NetcModule *d = m->desc;
  fprintf(out, "%s: compiled by %s from %s\n", m->path, d->producer ? d->producer : "?",
          d->source ? d->source : "?");
  fprintf(out, "  options          %s\n", d->options && *d->options ? d->options : "none");
  fprintf(out, "  axes             %d spatial, %" PRId64 " classes\n", d->spatial, d->classes);
  if (d->max_iterations) fprintf(out, "  iterations       %" PRId64 "\n", d->max_iterations);
  if (d->epoch_iterations) fprintf(out, "  epoch            %" PRId64 " iterations\n", d->epoch_iterations);
  validation_tell(d->validation, out);
  fprintf(out, "  runs as          %s, %d kernels\n", isa_name(m->isa), d->nkernels);
  const NetcDevice *g = d->device;
  if (g)
    fprintf(out, "  NVIDIA GPUs      %d kernels of %d codes in %d texts, arena %" PRId64 " bytes\n",
            g->nkernels, g->ncodes, g->ntexts, g->arena_bytes);
  print_networks(d, out);
  print_memory(d, out);
  print_functions(d, out);
  print_streams(d, out);
  prepare_tell(d->prepare, d->spatial, out);
}

static bool print_module(const CliArgs *args, const Module *m, int gpu, char err[ERR_MAX]) {
  if (cli_given(args, "json")) return info_json(m, stdout) || err_memory(err, "the table of kernels", 0);
  if (gpu != ON_HOST) return info_gpu(m, gpu, stdout, err);
  info_text(m, stdout);
  return true;
}

static bool run(const CliArgs *args, char err[ERR_MAX]) {
  int gpu;
  if (!cli_device(args, &gpu, err)) return false;
  if (!args->noperand && gpu == ON_HOST)
    return err_set(err, "usage: netrun info MODULE, or netrun info --device cuda:0 (see netrun info --help)");
  if (!args->noperand) return info_gpu(NULL, gpu, stdout, err);
  Module *m = module_open(args->operand[0], err);
  bool ok = m && print_module(args, m, gpu, err);
  module_close(m);
  return ok;
}

static const CliOption options[] = {
    {"json", NULL, "networks, memory, preparation, validation and kernels as JSON"},
    {"device", "NAME", "cuda:N: what that GPU is, and what of the module it runs; MODULE may be left out"},
    {NULL, NULL, NULL}};
const Command cmd_info = {
    "info",
    "[MODULE]",
    "Networks, parameters, multiply-adds, memory plan, functions and streams of a module.",
    0,
    1,
    options,
    run};
