/* ptx_texts.c - PTX of several codes as one text: a driver takes a text at a time, with work of its own for
 * each, and several at once.
 *
 * A code belongs to the least of the functions that use it, so that predicting has none of training's
 * compiled. The codes of a function are cut into texts of TEXT_BYTES or so: there are several for the threads
 * that compile them, and none takes long. A text is for one family of GPUs, and where its codes have a form
 * for sm_90a, there is a second one of those. */
#include <stdlib.h>
#include <string.h>
#include "codegen/module/module.h"
#include "codegen/gpu/simt.h"

enum { TEXT_BYTES = 256 << 10 };

typedef struct {
  int64_t bytes; /* of the PTX of all codes it uses */
  bool *uses;    /* per code */
} Use;

static Use *uses_of(const Module *m) {
  Use *u = arena_alloc(m->arena, ((size_t)m->prog->nfn + 1) * sizeof *u);
  for (int f = 0; f < m->prog->nfn; f++) {
    const Emit *e = m->fn[f].e;
    u[f].uses = arena_alloc(m->arena, (size_t)m->ncode + 1);
    for (int l = 0; l < e->nlaunch; l++) {
      int code = m->code_of[0][e->launch[l].kernel];
      if (!u[f].uses[code]) u[f].bytes += (int64_t)m->code[code].object.n;
      u[f].uses[code] = true;
    }
  }
  return u;
}

/* The least function that uses the code. */
static int owner(const Module *m, const Use *u, int code) {
  int least = -1;
  for (int f = 0; f < m->prog->nfn; f++)
    if (u[f].uses[code] && (least < 0 || u[f].bytes < u[least].bytes)) least = f;
  return least;
}

/* As its header says. */
static NetcSm family_of(const Bytes *ptx) {
  char target[32];
  for (int sm = NETC_SM_COUNT - 1; sm > 0; sm--) {
    snprintf(target, sizeof target, ".target %s", simt_sm_name((NetcSm)sm));
    if (strstr((const char *)ptx->data, target)) return (NetcSm)sm;
  }
  return NETC_SM_75;
}

/* The first of a text with its header, of the others what follows theirs: targets and versions are the
 * same. */
static void append(Bytes *text, const char *ptx) {
  static const char end[] = ".address_size 64\n";
  const char *body = strstr(ptx, end);
  if (text->n && body) ptx = body + strlen(end);
  bytes_add(text, ptx, strlen(ptx));
}

DeviceTexts device_texts(const Module *m) {
  size_t n = (size_t)m->ncode + 1;
  DeviceTexts t = {.text = arena_alloc(m->arena, n * sizeof *t.text),
                   .family = arena_alloc(m->arena, n * sizeof *t.family),
                   .newest = arena_alloc(m->arena, n * sizeof *t.newest),
                   .of = arena_alloc(m->arena, n * sizeof *t.of)};
  const Use *u = uses_of(m);
  /* The text begun last for a function, or for none, a family, and with another for sm_90a: its number +
   * 1. */
  int(*last)[NETC_SM_COUNT][2] = arena_alloc(m->arena, ((size_t)m->prog->nfn + 1) * sizeof *last);
  for (int i = 0; i < m->ncode; i++) {
    const char *ptx = (const char *)m->code[i].object.data;
    NetcSm family = family_of(&m->code[i].object);
    bool newest = m->code[i].k->sm90 != NULL;
    int *at = &last[owner(m, u, i) + 1][family][newest];
    if (!*at || t.text[*at - 1].n >= TEXT_BYTES) t.family[t.n] = family, *at = ++t.n;
    t.of[i] = *at - 1;
    append(&t.text[*at - 1], ptx);
    if (newest) append(&t.newest[*at - 1], ptx + strlen(ptx) + 1);
  }
  for (int i = 0; i < t.n; i++) {
    bytes_add(&t.text[i], "", 1);
    if (t.newest[i].n) bytes_add(&t.newest[i], "", 1);
  }
  return t;
}

void device_texts_free(DeviceTexts *t) {
  for (int i = 0; i < t->n; i++) bytes_free(&t->text[i]), bytes_free(&t->newest[i]);
}
