/* parse.c - reads what kir_print writes: a line is an instruction, words are parted by spaces. Numbers of values are names
 * only: the kernel is numbered anew, a constant standing before each instruction that uses it. What the text
 * claims is then checked by kir_verify.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "codegen/kir/kir.h"
#include "codegen/kir/internal.h"

enum { WORDS = 64 };

typedef struct {
  KFn *k;
  Arena *arena;
  const char *at; /* the next line */
  int line;       /* number of the line in `word`, from 1 */
  char *word[WORDS];
  int n, next; /* words of the line, and how many are read */
  KV *value;   /* of v0, v1, .. of the text; K_NONE: not defined */
  int nvalue, capvalue;
  int nmay_alias; /* arguments that the first line tells of */
  char *err;
} Parser;

__attribute__((format(printf, 2, 3))) static bool fail(Parser *p, const char *fmt, ...) {
  if (p->err[0]) return false;
  int n = snprintf(p->err, 256, "line %d: ", p->line);
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(p->err + n, (size_t)(256 - n), fmt, ap);
  va_end(ap);
  return false;
}

/* ---- words ---- */

/* The next line that is not empty, as words; a string is one word, with its first quote. false at the end. */
static bool read_line(Parser *p) {
  p->n = p->next = 0;
  while (!p->n && *p->at) {
    size_t length = strcspn(p->at, "\n");
    char *s = arena_alloc(p->arena, length + 1);
    memcpy(s, p->at, length);
    p->at += length + (p->at[length] == '\n');
    p->line++;
    for (s += strspn(s, " "); *s; s += strspn(s, " ")) {
      if (p->n == WORDS) return fail(p, "more than %d words", WORDS);
      p->word[p->n++] = s;
      if (*s == '"') {
        s = strchr(s + 1, '"');
        if (!s) return fail(p, "the string is not closed");
      } else s += strcspn(s, " ");
      if (*s) *s++ = 0;
    }
  }
  return p->n > 0;
}

static const char *word(Parser *p) { return p->next < p->n ? p->word[p->next++] : ""; }

static bool accept(Parser *p, const char *w) {
  if (p->next == p->n || strcmp(p->word[p->next], w)) return false;
  p->next++;
  return true;
}

static bool expect(Parser *p, const char *w) {
  return accept(p, w) || fail(p, "expected `%s`, found `%.40s`", w, word(p));
}

static bool integer(Parser *p, int64_t *v) {
  char *end;
  const char *w = word(p);
  errno = 0;
  *v = strtoll(w, &end, 10);
  return (!errno && end != w && !*end) || fail(p, "expected an integer, found `%.40s`", w);
}

/* ---- types, constants, values ---- */

/* Longest names first: i1v local, i1 local, i1v, i1*, i1. */
static bool type(Parser *p, KType *t) {
  const char *w = word(p);
  bool local = accept(p, "local"), regs = !local && accept(p, "regs");
  for (int base = 0; base <= K_BF16; base++) {
    const char *name = kir_type_str(kt((KBase)base, false));
    size_t n = strlen(name);
    if (strncmp(w, name, n)) continue;
    const char *rest = w + n;
    *t = kt((KBase)base, *rest == 'v');
    if (local) t->kind = KIND_LOCAL;
    if (regs) t->kind = KIND_REGS, t->vec = 1;
    if (*rest == '*') t->kind = KIND_BUFFER;
    if (!*rest || !strcmp(rest, "v") || (!local && !strcmp(rest, "*"))) return true;
  }
  return fail(p, "`%.40s` is no type", w);
}

/* 4096, 7i, 0.5, 0.5d, true, false */
static bool constant(Parser *p, const char *w, KIns *c) {
  char *end;
  *c = (KIns){.op = K_const, .in = {K_NONE, K_NONE, K_NONE, K_NONE}};
  if (!strcmp(w, "true") || !strcmp(w, "false")) {
    c->type = kt(K_I1, false), c->imm = *w == 't';
    return true;
  }
  errno = 0;
  c->type = kt(K_I64, false), c->imm = strtoll(w, &end, 10);
  bool whole = end != w && !errno;
  if (whole && !*end) return true;
  c->type = kt(K_I32, false);
  if (whole && !strcmp(end, "i")) return true;
  c->imm = 0, c->fimm = strtod(w, &end);
  bool wide = end != w && !strcmp(end, "d");
  if (!wide) c->fimm = (double)(float)c->fimm;
  if (isnan(c->fimm)) c->fimm = (double)NAN; /* which one is not written */
  c->type = kt(wide ? K_F64 : K_F32, false);
  return (end != w && (wide || !*end)) || fail(p, "`%.40s` is neither a value nor a constant", w);
}

/* The number of a word like v12; -1: it is none. */
static int number(const char *w) {
  char *end;
  if (*w != 'v' || w[1] < '0' || w[1] > '9') return -1;
  long n = strtol(w + 1, &end, 10);
  return *end || n > INT32_MAX / 2 ? -1 : (int)n;
}

static bool operand(Parser *p, KV *v) {
  const char *w = word(p);
  int n = number(w);
  KIns c;
  if (n >= 0) {
    *v = n < p->nvalue ? p->value[n] : K_NONE;
    return *v != K_NONE || fail(p, "%s is not defined before this line", w);
  }
  if (!constant(p, w, &c)) return false;
  *v = kir_append(p->k, &c);
  return true;
}

static bool define(Parser *p, const char *w, KV v) {
  int n = number(w);
  if (n < 0 || n > p->k->n + (1 << 20)) return fail(p, "expected a value like v12, found `%.40s`", w);
  while (p->nvalue <= n) *ARENA_PUSH(p->arena, p->value, p->nvalue, p->capvalue) = K_NONE;
  if (p->value[n] != K_NONE) return fail(p, "%s is defined twice", w);
  p->value[n] = v;
  return true;
}

/* ---- instructions ---- */

static bool operands(Parser *p, KIns *i, int n) {
  for (int o = 0; o < n; o++)
    if (!operand(p, &i->in[o])) return false;
  return true;
}

/* What stands between an op's name and its operands. */
static bool attributes(Parser *p, KIns *i) {
  if (kir_has_number(i->op) && !integer(p, &i->imm)) return false;
  if (p->next < p->n && *p->word[p->next] == '"') i->name = p->word[p->next++] + 1;
  if (i->op != K_arg) return true;
  if (i->imm != p->k->nargs) return fail(p, "argument %d comes next", p->k->nargs);
  if (p->k->nargs++ >= 64) return fail(p, "more than 64 arguments");
  if (accept(p, "nontemporal")) p->k->nontemporal |= UINT64_C(1) << i->imm;
  return true;
}

static bool op_named(Parser *p, const char *name, KOp *op) {
  for (int o = 0; o < K_OP_COUNT; o++)
    if (!strcmp(kop_info[o].name, name) && o != K_const) return *op = (KOp)o, true;
  return fail(p, "there is no operation `%.40s`", name);
}

static bool block(Parser *p, KIns *i) {
  if (i->op == K_for) {
    const char *counter = word(p);
    i->type = kt(K_I64, false);
    return expect(p, "=") && operand(p, &i->in[0]) && expect(p, "to") && operand(p, &i->in[1]) &&
           expect(p, "step") && operand(p, &i->in[2]) && expect(p, "{") &&
           define(p, counter, kir_append(p->k, i));
  }
  if (i->op == K_if && (!operand(p, &i->in[0]) || !expect(p, "{"))) return false;
  kir_append(p->k, i);
  return true;
}

static bool instruction(Parser *p) {
  KIns i = {.type = kt(K_VOID, false), .in = {K_NONE, K_NONE, K_NONE, K_NONE}};
  const char *made = number(p->word[0]) >= 0 ? word(p) : NULL;
  if (made && !expect(p, "=")) return false;
  if (!op_named(p, word(p), &i.op)) return false;
  const KOpInfo *info = &kop_info[i.op];
  if ((*info->kind == 'V') != (made != NULL))
    return fail(p, made ? "%s makes no value" : "%s makes a value: v.. = %s ..", info->name, info->name);
  if (*info->kind == 'B') return block(p, &i);
  if (!attributes(p, &i) || !operands(p, &i, info->operands)) return false;
  if (made && (!expect(p, ":") || !type(p, &i.type))) return false;
  KV v = kir_append(p->k, &i);
  return !made || define(p, made, v);
}

static bool may_alias(Parser *p) {
  int *list = arena_alloc(p->arena, 64 * sizeof *list), n = 0;
  int64_t v;
  for (p->k->may_alias = list; !accept(p, "]"); list[n++] = (int)v)
    if (n == 64 || !integer(p, &v) || v < -1 || v >= 64)
      return fail(p, "expected at most 64 numbers of arguments");
  p->nmay_alias = n;
  return true;
}

/* kernel "NAME" lanes N [opaque] [warps N] [params N] [may_alias [ .. ]] { */
static bool head(Parser *p) {
  int64_t lanes, warps = 1, params = 0;
  if (!expect(p, "kernel")) return false;
  const char *name = word(p);
  if (*name != '"') return fail(p, "expected the kernel's name in quotes");
  if (!expect(p, "lanes") || !integer(p, &lanes)) return false;
  bool opaque = accept(p, "opaque");
  if (accept(p, "warps") && !integer(p, &warps)) return false;
  if (accept(p, "params") && (!integer(p, &params) || params < 0 || params > 1024))
    return fail(p, "params are 0 to 1024");
  if (lanes < 1 || lanes > 1024 || warps < 1 || warps > 1024) return fail(p, "lanes and warps are 1 to 1024");
  p->k = k_new(p->arena, name + 1, (int)lanes);
  p->k->warps = (int)warps;
  p->k->opaque = opaque;
  p->k->nparams = (int)params;
  p->nvalue = 0;
  return (!accept(p, "may_alias") || (expect(p, "[") && may_alias(p))) && expect(p, "{");
}

static bool body(Parser *p) {
  KIns other = {.op = K_else, .type = kt(K_VOID, false), .in = {K_NONE, K_NONE, K_NONE, K_NONE}}, end = other;
  end.op = K_end;
  for (int depth = 0; read_line(p);) {
    bool closes = accept(p, "}");
    if (closes && p->next == p->n && !depth)
      return !p->k->may_alias || p->nmay_alias == p->k->nargs ||
             fail(p, "%d arguments, and `may_alias` tells of %d", p->k->nargs, p->nmay_alias);
    if (closes && p->next == p->n) kir_append(p->k, &end), depth--;
    else if (closes && (!expect(p, "else") || !expect(p, "{"))) return false;
    else if (closes) kir_append(p->k, &other);
    else if (!instruction(p)) return false;
    else depth += p->k->ins[p->k->n - 1].op == K_for || p->k->ins[p->k->n - 1].op == K_if;
    if (p->next < p->n) return fail(p, "unexpected `%.40s`", p->word[p->next]);
  }
  return fail(p, "the kernel is not closed");
}

KFn *kir_parse(Arena *a, const char **text, char err[256]) {
  Parser p = {.arena = a, .at = *text, .err = err};
  err[0] = 0;
  if (!read_line(&p)) return NULL;
  if (!head(&p) || !body(&p)) return NULL;
  *text = p.at;
  return kir_verify(p.k, err) ? p.k : NULL;
}
