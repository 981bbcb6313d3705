/* ptxas.h - what NVIDIA's assembler says of a text; it is found on PATH or in /usr/local/cuda/bin. */
#ifndef NETC_TEST_PTXAS_H
#define NETC_TEST_PTXAS_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/test.h"
#include "codegen/util/bytes.h"

typedef struct {
  int kernels, spills, registers, shared; /* the most of any */
  int advice;                             /* of wgmma: they are serialized, say */
  int warnings;                           /* and errors */
} Totals;

/* NULL: it is not at hand. */
static inline const char *find_ptxas(void) {
  static const char *const place[] = {"ptxas", "/usr/local/cuda/bin/ptxas"};
  char command[128];
  for (int i = 0; i < 2; i++) {
    snprintf(command, sizeof command, "%s --version >/dev/null 2>&1", place[i]);
    if (system(command) == 0) return place[i];
  }
  return NULL;
}

static inline void read_report(FILE *f, Totals *t) {
  char line[1024];
  while (fgets(line, sizeof line, f)) {
    const char *used = strstr(line, "Used "), *shared = strstr(line, " bytes smem");
    int stack, stores, loads, registers;
    if (sscanf(line, "%d bytes stack frame, %d bytes spill stores, %d bytes spill loads", &stack, &stores,
               &loads) == 3)
      t->spills += stores + loads > 0;
    t->advice += strstr(line, "wgmma") != NULL;
    t->warnings += strstr(line, "warning") || strstr(line, "error");
    if (!used || sscanf(used, "Used %d registers", &registers) != 1) continue;
    t->kernels++;
    if (registers > t->registers) t->registers = registers;
    while (shared && shared > line && shared[-1] >= '0' && shared[-1] <= '9') shared--;
    if (shared && atoi(shared) > t->shared) t->shared = atoi(shared);
  }
}

/* The test fails where ptxas does. kind: "sm_80". */
static inline void assemble(const char *ptxas, const char *kind, const Bytes *text, Totals *t) {
  char path[] = "/tmp/netc_ptx_XXXXXX", command[256], report[64];
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text->data, text->n), (ssize_t)text->n);
  close(fd);
  snprintf(report, sizeof report, "%s.report", path);
  snprintf(command, sizeof command, "%s -arch=%s -v -o /dev/null %s >%s 2>&1", ptxas, kind, path, report);
  int status = system(command);
  FILE *f = fopen(report, "r");
  assert_non_null(f);
  if (status) {
    char why[400] = "";
    size_t n = fread(why, 1, sizeof why - 1, f);
    fail_msg("%s: ptxas -arch=%s: %.*s", path, kind, (int)n, why);
  }
  read_report(f, t);
  fclose(f);
  unlink(path), unlink(report);
}

/* Where ptxas is at hand it takes the text of one kernel without a word: no spills, nothing serialized. */
static inline void assembles_well(const char *kind, const Bytes *text) {
  const char *ptxas = find_ptxas();
  Totals t = {0};
  if (!ptxas) return;
  assemble(ptxas, kind, text, &t);
  assert_true(t.kernels == 1 && !t.spills && !t.advice && !t.warnings);
}
#endif
