/* open.c - a session on the host or on a GPU: its arena, and whoever runs functions for it. */
#include "runtime/device/open.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "runtime/device/cuda.h"
#include "runtime/device/host.h"
#include "runtime/session/footprint.h"

/* Bytes the machine could hand out now, swap included; -1 = unknown. */
static int64_t memory_available(void) {
  FILE *f = fopen("/proc/meminfo", "r");
  if (!f) return -1;
  char line[128];
  long long kib, total = 0;
  bool known = false;
  while (fgets(line, sizeof line, f)) {
    if (sscanf(line, "MemAvailable: %lld kB", &kib) == 1) total += kib, known = true;
    if (sscanf(line, "SwapFree: %lld kB", &kib) == 1) total += kib;
  }
  fclose(f);
  return known ? total * 1024 : -1;
}

static int64_t read_number(const char *path) {
  FILE *f = fopen(path, "r");
  if (!f) return -1;
  long long n;
  bool ok = fscanf(f, "%lld", &n) == 1; /* "max" is no number: no limit */
  fclose(f);
  return ok ? n : -1;
}

/* What the process's control group leaves, where it has a limit (containers); -1 = no limit known. */
static int64_t memory_in_group(void) {
  int64_t max = read_number("/sys/fs/cgroup/memory.max"), used = read_number("/sys/fs/cgroup/memory.current");
  return max < 0 || used < 0 ? -1 : max > used ? max - used : 0;
}

static bool make_arena(Session *s, char err[ERR_MAX]) {
  int64_t bytes = s->arena_bytes, free_bytes = memory_available(), group = memory_in_group();
  if (free_bytes < 0 || (group >= 0 && group < free_bytes)) free_bytes = group;
  void *p = MAP_FAILED;
  if (free_bytes < 0 || bytes <= free_bytes)
    p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    return err_set(
        err,
        "%s needs an arena of %lld bytes (%.2f GiB) and %.2f GiB of memory are free: compile it with a "
        "smaller -D batch or -D size",
        s->module->path, (long long)bytes, (double)bytes / 0x1p30, (double)free_bytes / 0x1p30);
  madvise(p, (size_t)bytes, MADV_HUGEPAGE); /* advice only: a kernel without huge pages runs the same */
  madvise(p, (size_t)bytes, MADV_DONTFORK); /* children (runtime/io/child.c) need none of it */
  s->arena = p;
  return true;
}

/* The host's side of a GPU's session: pages that nobody touches take no memory. */
static bool reserve_arena(Session *s, char err[ERR_MAX]) {
  void *p = mmap(NULL, (size_t)s->arena_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return err_memory(err, "room for inputs and variables", s->arena_bytes);
  madvise(p, (size_t)s->arena_bytes, MADV_DONTFORK);
  s->arena = p;
  return true;
}

Session *session_on(const Module *m, int threads, int gpu, char err[ERR_MAX]) {
  Session *s = calloc(1, sizeof *s);
  if (!s) {
    err_memory(err, "a session", (int64_t)sizeof *s);
    return NULL;
  }
  s->module = m;
  s->resident = resident_now();
  s->arena_bytes = m->desc->arena_bytes > 0 ? m->desc->arena_bytes : 64;
  bool ok = gpu == ON_HOST ? make_arena(s, err) : reserve_arena(s, err);
  ok = ok && (s->pool = pool_new(threads, err)) != NULL;
  if (ok && (gpu == ON_HOST ? host_open(s, err) : cuda_device_open(s, gpu, err))) return s;
  session_free(s);
  return NULL;
}

Session *session_new(const Module *m, int threads, char err[ERR_MAX]) {
  return session_on(m, threads, ON_HOST, err);
}
