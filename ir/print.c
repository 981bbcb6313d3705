/* print.c - the text form of programs (docs/ir.md). What is written here is what parse.c reads; floats are
 * written with 17 digits so that they come back bit for bit. Places in .net files appear as comments. */
#include "ir/prepare.h"
#include "ir/validate.h"
#include "ir/text.h"
#include <math.h>
#include <string.h>

void print_string(FILE *out, const char *s) {
  fputc('"', out);
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\') fprintf(out, "\\%c", c);
    else if (c < 32 || c == 127) fprintf(out, "\\x%02x", c);
    else fputc(c, out);
  }
  fputc('"', out);
}

void print_double(FILE *out, double v) {
  if (isnan(v)) fputs("nan", out); /* printf may write -nan */
  else fprintf(out, "%.17g", v);
}

static void print_type(FILE *out, Type t) {
  char buf[96];
  fprintf(out, " : %s", type_str(t, buf));
}

static void print_ints(FILE *out, const int64_t *list, int n) {
  fputc('[', out);
  for (int i = 0; i < n; i++) fprintf(out, "%s%lld", i ? "," : "", (long long)list[i]);
  fputc(']', out);
}

static void print_order(FILE *out, const uint8_t *order, int rank) {
  bool identity = true;
  for (int i = 0; i < rank; i++) identity &= order[i] == i;
  if (identity) return;
  fputs(" order [", out);
  for (int i = 0; i < rank; i++) fprintf(out, "%s%d", i ? "," : "", order[i]);
  fputc(']', out);
}

static void print_loc(FILE *out, const Loc *loc) {
  for (const char *word = "  # "; loc; loc = loc->caller, word = ", called at ") {
    fputs(word, out);
    print_string(out, loc->file ? loc->file : "");
    fprintf(out, ":%d:%d", loc->line, loc->col);
  }
}

/* ---- nodes ---- */

static void print_attrs(FILE *out, const Node *n, int nspatial) {
  unsigned use = op_info[n->op].attrs & ~(unsigned)A_SYM;
  const Attrs *at = &n->at;
  const char *sep = " {";
  if (!use) return;
  if (use & A_VALUE) fprintf(out, "%svalue=", sep), print_double(out, at->value), sep = ", ";
  if (use & A_AXIS) fprintf(out, "%saxis=%d", sep, at->axis), sep = ", ";
  if (use & A_AXES) {
    int64_t axes[32];
    int k = 0;
    for (int i = 0; i < 32; i++)
      if (at->axes >> i & 1) axes[k++] = i;
    fprintf(out, "%saxes=", sep), print_ints(out, axes, k), sep = ", ";
  }
  if (use & A_STRIDE) fprintf(out, "%sstride=", sep), print_ints(out, at->geom.stride, nspatial), sep = ", ";
  if (use & A_PAD) fprintf(out, "%spad=", sep), print_ints(out, at->geom.pad, nspatial), sep = ", ";
  if (use & A_SIZE) fprintf(out, "%ssize=", sep), print_ints(out, at->size, nspatial), sep = ", ";
  if (use & A_RANGE)
    fprintf(out, "%slo=%lld, hi=%lld", sep, (long long)at->lo, (long long)at->hi), sep = ", ";
  if (use & A_MODE) fprintf(out, "%smode=%d", sep, at->mode), sep = ", ";
  if (use & A_SITE) fprintf(out, "%ssite=%lld", sep, (long long)at->site), sep = ", ";
  if (at->bf16) fprintf(out, "%sbf16=%d", sep, at->bf16);
  fputc('}', out);
}

static void print_node(FILE *out, const Fn *f, int id) {
  const Node *n = &f->node[id];
  int nspatial = n->nin ? f->node[n->in[0]].type.rank - 2 : 0;
  fprintf(out, "  %%%d = %s", id, op_info[n->op].name);
  for (int i = 0; i < n->nin; i++) fprintf(out, " %%%d", n->in[i]);
  if (op_info[n->op].attrs & A_SYM) fputc(' ', out), print_string(out, n->at.sym);
  print_attrs(out, n, nspatial < 0 ? 0 : nspatial > MAX_SPATIAL ? MAX_SPATIAL : nspatial);
  print_type(out, n->type);
  print_order(out, n->order, n->type.rank);
  if (n->group >= 0) fprintf(out, " group %d", n->group);
  print_loc(out, n->loc);
  fputc('\n', out);
}

void fn_print(FILE *out, const Fn *f) {
  fprintf(out, "fn %s ", word_fn[f->kind]);
  print_string(out, f->name);
  fputs(" {\n", out);
  for (int i = 0; i < f->n; i++) print_node(out, f, i);
  for (int i = 0; i < f->ngroup; i++) {
    fprintf(out, "  kernel %d kind %d", i, f->group[i].kind);
    if (f->group[i].anchor >= 0) fprintf(out, " anchor %%%d", f->group[i].anchor);
    fputc('\n', out);
  }
  for (int i = 0; i < f->nstore; i++) {
    fputs("  store ", out);
    print_string(out, f->prog->var[f->store[i].var].name);
    fprintf(out, " = %%%d\n", f->store[i].node);
  }
  for (int i = 0; i < f->nout; i++) {
    fputs("  output ", out);
    print_string(out, f->out[i].name);
    fprintf(out, " = %%%d\n", f->out[i].node);
  }
  fputs("}\n", out);
}

/* ---- programs ---- */

static void print_var(FILE *out, const Program *p, const Var *v) {
  fputs("var ", out);
  print_string(out, v->name);
  print_type(out, v->type);
  fprintf(out, " init %s ", word_init[v->init.kind]);
  if (v->init.kind == INIT_COPY) print_string(out, v->init.from);
  else print_double(out, v->init.a);
  if (v->init.kind == INIT_UNIFORM || v->init.kind == INIT_NORMAL)
    fputc(' ', out), print_double(out, v->init.b);
  fprintf(out, " role %s", word_role[v->role]);
  if (v->net >= 0) fputs(" net ", out), print_string(out, p->net[v->net].name);
  print_order(out, v->order, v->type.rank);
  fputc('\n', out);
}

static void print_augments(FILE *out, const char *what, const Augment *a, int n) {
  for (int i = 0; i < n; i++) {
    if (i) fputc(',', out);
    else fprintf(out, " %s [", what);
    fputs(augment_info[a[i].kind].word, out);
    if (augment_plain(&a[i])) continue;
    fputc('(', out);
    for (int k = 0; k < augment_params(a[i].kind); k++) print_double(out, a[i].value[k]), fputc(',', out);
    print_double(out, a[i].p);
    fputc(')', out);
  }
  if (n) fputc(']', out);
}

static void print_stream(FILE *out, const Stream *s) {
  fputs("stream ", out);
  print_string(out, s->name);
  fprintf(out, " source %s", word_source[s->source]);
  print_augments(out, "augment", s->augment, s->naugment);
  print_augments(out, "strong", s->strong, s->nstrong);
  if (s->foreground > 0) fputs(" foreground ", out), print_double(out, s->foreground);
  fputs(" {\n", out);
  for (int i = 0; i < s->nfield; i++) {
    fprintf(out, "  %s ", word_field[s->field[i].kind]);
    print_string(out, s->field[i].name);
    print_type(out, s->field[i].type);
    fputc('\n', out);
  }
  fputs("}\n", out);
}

void ir_print(FILE *out, const Program *p) {
  fputs("program ", out);
  print_string(out, p->source);
  fprintf(out, " classes %lld epoch_iterations %lld max_iterations %lld sites %lld", (long long)p->classes,
          (long long)p->epoch_iterations, (long long)p->max_iterations, (long long)p->sites);
  if (p->storage == BF16) fputs(" storage bf16", out);
  if (!p->winograd) fputs(" winograd off", out);
  if (!p->tf32) fputs(" tf32 off", out);
  fputc('\n', out);
  for (int i = 0; i < p->nnet; i++) {
    fputs("net ", out);
    print_string(out, p->net[i].name);
    fprintf(out, " macs %lld\n", (long long)p->net[i].macs);
  }
  for (int i = 0; i < p->nvar; i++) print_var(out, p, &p->var[i]);
  for (int i = 0; i < p->nstream; i++) print_stream(out, &p->stream[i]);
  if (p->prepare) prepare_print(out, p);
  if (p->validation) validation_print(out, p->validation);
  for (int i = 0; i < p->nfn; i++) {
    fputc('\n', out);
    fn_print(out, p->fn[i]);
  }
}
