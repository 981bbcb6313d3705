/* footprint.c - what the process has in memory, from /proc, beside what the module's plan says. */
#include "runtime/session/footprint.h"
#include <string.h>
#include <unistd.h>
#include "runtime/base/array.h"

Footprint footprint_plan(const NetcModule *d, const NetcFn *f, int threads) {
  Footprint p = {.variables = d->variable_bytes, .working = f->working, .scratch = f->scratch * threads};
  for (int i = 0; i < d->nstreams && f->kind == NETC_FN_TRAIN; i++)
    for (int k = 0; k < d->streams[i].nfields; k++)
      p.batch += 4 * array_count(&f->inputs[d->streams[i].fields[k].input]);
  p.total = p.variables + p.working + p.batch + p.scratch;
  return p;
}

static int64_t status_bytes(const char *key) {
  FILE *f = fopen("/proc/self/status", "r");
  char line[160];
  long long kib = 0;
  while (f && fgets(line, sizeof line, f))
    if (!strncmp(line, key, strlen(key)) && sscanf(line + strlen(key), ": %lld kB", &kib) == 1) break;
  if (f) fclose(f);
  return kib * 1024;
}

int64_t resident_now(void) { return status_bytes("VmRSS"); }
int64_t resident_peak(void) { return status_bytes("VmHWM"); }

static double mib(int64_t bytes) { return (double)bytes / 0x1p20; }

void footprint_str(const Session *s, const NetcFn *f, char *out, size_t size) {
  Footprint p = footprint_plan(s->module->desc, f, pool_threads(s->pool));
  snprintf(out, size,
           "memory: %.1f MiB planned (variables %.1f, working memory %.1f, next batch %.1f, scratch %.1f), "
           "%.1f MiB before the start; %.1f MiB at the peak",
           mib(p.total), mib(p.variables), mib(p.working), mib(p.batch), mib(p.scratch), mib(s->resident),
           mib(resident_peak()));
}
