/* use.c - reading files, and the library's entry. */
#include "frontend/eval/eval.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FILE = 4 << 20 };

char *frontend_read(Arena *a, const char *path, size_t *size) {
  struct stat st;
  if (stat(path, &st)) return NULL;
  if (!S_ISREG(st.st_mode)) { /* a terminal or pipe would keep us waiting */
    errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    return NULL;
  }
  FILE *f = fopen(path, "rb");
  if (!f) return NULL;
  char *text = arena_alloc(a, MAX_FILE / 64);
  size_t cap = MAX_FILE / 64, n = 0, got;
  while ((got = fread(text + n, 1, cap - n - 1, f)) > 0) {
    n += got;
    if (n + 1 < cap) continue;
    if (cap >= MAX_FILE) break;
    char *more = arena_alloc(a, cap * 2);
    memcpy(more, text, n);
    text = more;
    cap *= 2;
  }
  bool bad = ferror(f), large = n + 1 >= MAX_FILE;
  int why = errno;
  fclose(f);
  errno = bad ? why : EFBIG;
  if (bad || large) return NULL;
  text[n] = 0;
  int mark = n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0; /* some editors' sign that this is UTF-8 */
  *size = n - (size_t)mark;
  return text + mark;
}

/* `path` as seen from the file that uses it. */
static const char *beside(Eval *c, const char *from, const char *path) {
  const char *slash = strrchr(from, '/');
  if (*path == '/' || !slash) return path;
  return arena_printf(c->arena, "%.*s/%s", (int)(slash - from), from, path);
}

/* Two paths to one file are told apart by their real paths. */
static const char *real_path(Eval *c, const char *path) {
  char buf[PATH_MAX];
  return arena_strdup(c->arena, realpath(path, buf) ? buf : path);
}

/* Names of parameters, those in front of ';' and those behind it together, are different. */
static void check_params(Eval *c, const Ast *def) {
  const Ast *part[] = {def->list, def->list2};
  for (int i = 0; i < 2; i++)
    for (const Ast *p = part[i]; p; p = p->next)
      for (int k = 0; k <= i; k++)
        for (const Ast *q = part[k]; q && q != p; q = q->next)
          if (!strcmp(p->name, q->name)) {
            eval_fail(c, p, "%s has a parameter '%s' already", def->name, p->name);
            return;
          }
}

/* Blocks and nets are known from the start of their file on, whatever their order. */
static void define_all(Eval *c, const Ast *file) {
  for (const Ast *n = file->list; n; n = n->next) {
    if (n->kind != N_BLOCK && n->kind != N_NET) continue;
    check_params(c, n);
    Value *old = scope_find(&c->defs, n->name);
    if (old) {
      eval_fail(c, n, "'%s' is defined already; all files share their names: rename one of the two", n->name);
      if (old->kind == V_BLOCK || old->kind == V_NET) diag_note(&c->diag, &old->u.def->at, "here");
      continue;
    }
    scope_set(c, &c->defs, n->name, (Value){n->kind == N_BLOCK ? V_BLOCK : V_NET, {.def = n}});
  }
}

void run_source(Eval *c, const Source *src) {
  Ast *file = parse_source(&c->diag, src);
  if (!file) { /* its names are missing: going on would only report that */
    c->stopped = true;
    return;
  }
  if (c->opt->dump_ast && c->ninclude <= 1) ast_print(c->opt->dump_ast, file, 0);
  define_all(c, file);
  eval_exec_list(c, file->list);
}

void use_file(Eval *c, const Ast *at, const char *path) {
  const int most = (int)(sizeof c->include / sizeof *c->include);
  size_t size;
  const char *shown = beside(c, at->at.file, path), *real = real_path(c, shown);
  for (int i = 0; i < c->ninclude; i++)
    if (!strcmp(c->include[i], real)) {
      eval_fail(c, at, "'%s' uses itself, directly or through others", path);
      return;
    }
  for (int i = 0; i < c->ndone; i++)
    if (!strcmp(c->done[i], real)) return; /* once is enough */
  if (c->ninclude == most) {
    eval_fail(c, at, "more than %d files use each other", most);
    return;
  }
  char *text = frontend_read(c->arena, shown, &size);
  if (!text) {
    eval_fail(c, at, "cannot read '%s': %s", shown, strerror(errno));
    return;
  }
  *ARENA_PUSH(c->arena, c->done, c->ndone, c->capdone) = real;
  c->include[c->ninclude++] = real;
  run_source(c, diag_source(&c->diag, arena_strdup(c->arena, shown), text, size));
  c->ninclude--;
}

/* ---- the library's entry ---- */

static int64_t whole_option(Eval *c, const char *name) {
  Value *v = scope_find(&c->globals, name);
  return v && v->kind == V_NUM && v->u.num >= 0 && v->u.num < 1e15 ? (int64_t)v->u.num : 0;
}

static void check_defines(Eval *c, const Source *src) {
  for (int i = 0; i < c->opt->ndefine; i++) {
    const Define *d = &c->opt->define[i];
    if (c->used[i]) continue;
    const char *values = common_option(d->name), *shown;
    if (values && set_common_option(c->prog, d->name, d->value, &shown)) {
      c->options = arena_printf(c->arena, "%s%s%s=%s", c->options, *c->options ? " " : "", d->name, shown);
      continue;
    }
    Loc *loc = arena_alloc(c->arena, sizeof *loc);
    *loc = (Loc){.file = src->path, .line = 1, .col = 1};
    c->diag.errors++;
    if (c->diag.full) return;
    if (values) {
      fprintf(c->diag.out, "%s: error: -D %s=%s: expected %s\n", src->path, d->name, d->value, values);
      continue;
    }
    fprintf(c->diag.out, "%s: error: there is no option '%s' (-D %s=%s); the options are: %s\n", src->path,
            c->opt->define[i].name, c->opt->define[i].name, c->opt->define[i].value,
            *c->options ? c->options : "none");
  }
}

static Program *compile(Arena *a, const char *path, const char *text, size_t size, const FrontendOptions *opt,
                        const char **options) {
  static const FrontendOptions plain;
  Eval *c = arena_alloc(a, sizeof *c);
  c->arena = a;
  c->opt = opt ? opt : &plain;
  c->options = "";
  c->diag = (Diag){.arena = a,
                   .out = c->opt->diag ? c->opt->diag : stderr,
                   .max_errors = c->opt->max_errors > 0 ? c->opt->max_errors : 20};
  c->used = arena_alloc(a, (size_t)c->opt->ndefine + 1);
  c->prog = prog_new(a);
  c->prog->source = arena_strdup(a, path);
  const Source *src = diag_source(&c->diag, c->prog->source, text, size);
  c->include[c->ninclude++] = real_path(c, path);
  run_source(c, src);
  bool parsed = c->diag.errors == 0;
  if (parsed) check_defines(c, src), check_prepare(c), check_validation(c);
  if (options) *options = c->options;
  if (c->opt->sources) *c->opt->sources = c->diag.sources;
  if (c->diag.errors) return NULL;
  if (c->prog->nfn == 0) {
    fprintf(c->diag.out,
            "%s: error: nothing to compile: the file has neither train nor predict nor forward\n", path);
    return NULL;
  }
  c->prog->max_iterations = whole_option(c, "iterations");
  c->prog->epoch_iterations = whole_option(c, "epoch_iterations");
  return c->prog;
}

Program *frontend_compile_text(Arena *a, const char *path, const char *text, const FrontendOptions *opt,
                               const char **options) {
  return compile(a, path, text, strlen(text), opt, options);
}

Program *frontend_compile(Arena *a, const char *path, const FrontendOptions *opt, const char **options) {
  size_t size;
  char *text = frontend_read(a, path, &size);
  if (text) return compile(a, path, text, size, opt, options);
  FILE *out = opt && opt->diag ? opt->diag : stderr;
  fprintf(out, "%s: error: cannot read the file: %s\n", path, strerror(errno));
  return NULL;
}
