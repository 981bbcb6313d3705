/* program.c - the parts of a file: options, batches, train, predict, forward. */
#include "frontend/eval/eval.h"
#include <string.h>

/* ---- options ---- */

/* A -D value is an expression of constants; a bare word is a string. */
static Value define_value(Eval *c, const Ast *n) {
  if (!n) return v_poison();
  if (n->kind == N_NAME) return v_str(n->name);
  if (n->kind == N_MAP) return eval_map(c, n, define_value);
  if (n->kind != N_LIST) return eval_expr(c, n);
  Value v[64];
  int count = 0;
  for (const Ast *e = n->list; e; e = e->next) {
    if (count == 64) return v_poison();
    v[count] = define_value(c, e);
    if (v[count++].kind == V_POISON) return v_poison();
  }
  return v_list(c, count, v);
}

static bool constant(Value v) {
  if (v.kind == V_MAP) {
    for (int i = 0; i < v.u.map->n; i++)
      if (!constant(v.u.map->e[i].key) || !constant(v.u.map->e[i].value)) return false;
    return true;
  }
  if (v.kind == V_LIST) {
    for (int i = 0; i < v.u.list->n; i++)
      if (v.u.list->v[i].kind == V_LIST || !constant(v.u.list->v[i])) return false;
    return true;
  }
  return v.kind == V_NUM || v.kind == V_BOOL || v.kind == V_STR || v.kind == V_NONE ||
         v.kind == V_INTENSITY || v.kind == V_AUGMENT;
}

/* v takes the place of the default: one of its kind. For an intensity stand also none, its name, a list of
 * them; for a map none, and a list, which is one from 0, 1, .. (prepare_labels.c). */
static bool replaces(Value v, Value initial) {
  if (v.kind == initial.kind || initial.kind == V_NONE || initial.kind == V_POISON) return true;
  if (initial.kind == V_MAP) return v.kind == V_NONE || v.kind == V_LIST;
  return initial.kind == V_INTENSITY && (v.kind == V_NONE || v.kind == V_STR || v.kind == V_LIST);
}

/* The value given on the command line for option n, or its default. */
static Value option_value(Eval *c, const Ast *n, Value initial) {
  for (int i = 0; i < c->opt->ndefine; i++) {
    const Define *d = &c->opt->define[i];
    if (strcmp(d->name, n->name)) continue;
    c->used[i] = true;
    Ast *e = parse_value(c->arena, d->value);
    Value v = define_value(c, e);
    if (!e || v.kind == V_POISON)
      return eval_fail(c, n, "-D %s=%s: the value must be a number, a list, a string, on or off", d->name,
                       d->value);
    if (!replaces(v, initial))
      return eval_fail(c, n, "-D %s=%s: the option is %s (default %s)", d->name, d->value, kind_str(initial),
                       value_str(c, initial));
    initial = v;
  }
  return initial;
}

typedef struct {
  const char *name, *values, *word[2], *shown[2];
  void (*set)(Program *p, int value);
} CommonOption;

static void set_precision(Program *p, int value) { p->storage = value ? BF16 : F32; }
static void set_winograd(Program *p, int value) { p->winograd = value; }
static void set_tf32(Program *p, int value) { p->tf32 = value; }

static const CommonOption common[] = {
    {"precision", "f32 or bf16", {"f32", "bf16"}, {"\"f32\"", "\"bf16\""}, set_precision},
    {"winograd", "on or off", {"off", "on"}, {"off", "on"}, set_winograd},
    {"tf32", "on or off", {"off", "on"}, {"off", "on"}, set_tf32},
};

static const CommonOption *find_common(const char *name) {
  for (size_t i = 0; i < sizeof common / sizeof *common; i++)
    if (!strcmp(common[i].name, name)) return &common[i];
  return NULL;
}

const char *common_option(const char *name) {
  const CommonOption *o = find_common(name);
  return o ? o->values : NULL;
}

bool set_common_option(Program *p, const char *name, const char *text, const char **shown) {
  const CommonOption *o = find_common(name);
  for (int i = 0; o && i < 2; i++) {
    if (strcmp(text, o->word[i])) continue;
    o->set(p, i);
    if (shown) *shown = o->shown[i];
    return true;
  }
  return false;
}

/* The value of a declared option as the command line would say it. */
static void declared_common(Eval *c, const Ast *n, Value v) {
  const char *text = v.kind == V_STR ? v.u.str : value_str(c, v);
  if (!set_common_option(c->prog, n->name, text, NULL))
    eval_fail(c, n, "%s must be %s, it is %s", n->name, common_option(n->name), value_str(c, v));
}

void exec_option(Eval *c, const Ast *n) {
  if (c->frame) {
    eval_fail(c, n, "options are declared at the top level of the file");
    return;
  }
  Value v = eval_expr(c, n->a);
  if (v.kind != V_POISON && !constant(v)) {
    eval_fail(
        c, n,
        "an option is a number, a string, on/off, none, an intensity, an augmentation, or a flat list or "
        "a map of these, not %s",
        kind_str(v));
    v = v_poison();
  }
  if (scope_find(&c->globals, n->name)) {
    eval_fail(c, n, "'%s' is declared already", n->name);
    return;
  }
  v = option_value(c, n, v);
  scope_set(c, &c->globals, n->name, v);
  c->options =
      arena_printf(c->arena, "%s%s%s=%s", c->options, *c->options ? " " : "", n->name, value_str(c, v));
  int64_t length;
  if ((!strcmp(n->name, "iterations") || !strcmp(n->name, "epoch_iterations")) && v.kind != V_POISON)
    arg_int(c, n, n->name, v, 0, (int64_t)1 << 40, &length);
  if (common_option(n->name) && v.kind != V_POISON) declared_common(c, n, v);
  if (!strcmp(n->name, "classes") && v.kind != V_POISON)
    arg_int(c, n, "classes", v, 1, 256, &c->prog->classes);
}

/* ---- types of inputs ---- */

/* What a field of a batch is: of the kinds of one type, the first of which is `first`, that of this name;
 * else the first. */
static FieldKind named_kind(FieldKind first, const char *name) {
  for (int i = 0; i < FIELD_KINDS; i++)
    if (!strcmp(field_info[i].type, field_info[first].type) && !strcmp(field_info[i].word, name))
      return (FieldKind)i;
  return first;
}

static bool element_type(Eval *c, const Ast *n, FieldKind *kind) {
  const char *types = "";
  for (int i = 0; i < FIELD_KINDS; i++) {
    if (!strcmp(n->str, field_info[i].type)) return *kind = (FieldKind)i, true;
    if (strstr(types, field_info[i].type)) continue;
    types = arena_printf(c->arena, "%s%s%s", types, *types ? ", " : "", field_info[i].type);
  }
  return eval_error(c, n, "the type is one of %s, not '%s'", types, n->str);
}

/* f32[N,C,S..] as written; label[N,S..] and sdf[N,S..] have one channel. A list among the extents is spliced
 * in. */
static bool input_type(Eval *c, const Ast *n, FieldKind *kind, Type *t) {
  if (!element_type(c, n, kind)) return false;
  Value v[MAX_RANK + 1];
  int count = 0;
  bool fits = true;
  for (const Ast *e = n->list; e && fits; e = e->next) {
    Value x = eval_expr(c, e);
    if (x.kind == V_POISON) return false;
    const Value *each = x.kind == V_LIST ? x.u.list->v : &x;
    int many = x.kind == V_LIST ? x.u.list->n : 1;
    for (int i = 0; i < many && fits; i++) {
      if (count == 1 && field_info[*kind].mask) v[count++] = v_num(1);
      int64_t extent;
      fits = count < MAX_RANK;
      if (!arg_int(c, e, arena_printf(c->arena, "an extent of %s", n->name), each[i], 1, 1 << 24, &extent))
        return false;
      if (fits) v[count++] = each[i];
    }
  }
  if (!fits || count < 3)
    return eval_error(c, n,
                      "%s: a batch, channels and two or three spatial extents are expected, here are %d",
                      n->name, count);
  if (!arg_shape(c, n, n->name, v_list(c, count, v), field_info[*kind].element, t)) return false;
  if (t->rank > 2 + MAX_SPATIAL)
    return eval_error(c, n, "%s: at most %d spatial axes are possible", n->name, MAX_SPATIAL);
  return true;
}

/* ---- batches ---- */

static bool stream_source(Eval *c, const Ast *at, const char *word, StreamSource *out) {
  static const char *const names[] = {"labeled", "unlabeled", "all"};
  for (int i = 0; i < 3; i++)
    if (!strcmp(word, names[i])) return *out = (StreamSource)i, true;
  return eval_error(
      c, at,
      "the source of a batch is \"labeled\", \"unlabeled\" or \"all\", not \"%.40s\"; write batch NAME "
      "(source = \"..\")",
      word);
}

static bool batch_options(Eval *c, const Ast *n, Stream *s) {
  bool source = false;
  for (const Ast *o = n->list2; o; o = o->next) {
    const char *word;
    Value v = eval_expr(c, o->a);
    if (v.kind == V_POISON) return false;
    if (o->name && !strcmp(o->name, "source")) {
      if (!arg_str(c, o, "source", v, &word) || !stream_source(c, o, word, &s->source)) return false;
      source = true;
    } else if (o->name && !strcmp(o->name, "augment")) {
      if (!arg_augments(c, o, v, false, &s->augment, &s->naugment)) return false;
    } else if (o->name && !strcmp(o->name, "strong")) {
      if (!arg_augments(c, o, v, true, &s->strong, &s->nstrong)) return false;
    } else if (o->name && !strcmp(o->name, "foreground")) {
      if (!arg_foreground(c, o, v, &s->foreground)) return false;
    } else
      return eval_error(
          c, o, "a batch takes source = \"..\", augment = [..], strong = [..] and foreground = FRACTION");
  }
  return source || stream_source(c, n, n->name, &s->source);
}

/* All that the host feeds comes from one data set: one spatial size, and images of one number of channels. */
static bool same_extents(Eval *c, const Ast *at, const Stream *s, const Field *f) {
  char a[96], b[96];
  for (int k = 0; k <= c->prog->nstream; k++) {
    const Stream *other = k < c->prog->nstream ? &c->prog->stream[k] : s;
    for (int i = 0; i < other->nfield; i++) {
      const Field *g = &other->field[i];
      bool images = !field_info[f->kind].mask && !field_info[g->kind].mask,
           same = f->type.rank == g->type.rank;
      for (int d = images ? 1 : 2; d < f->type.rank && same; d++) same = f->type.dim[d] == g->type.dim[d];
      if (!same)
        return eval_error(c, at, "%s is %s, but %s of the batch %s is %s: all come from images of one size",
                          f->name, type_str(f->type, a), g->name, other->name, type_str(g->type, b));
    }
  }
  return true;
}

static int regions_of(const Eval *c) { return c->prog->prepare ? c->prog->prepare->nregion : 0; }

static bool check_regions(Eval *c, const Ast *at, const Field *f) {
  char was[96];
  if (!field_info[f->kind].regions) return true;
  if (!regions_of(c))
    return eval_error(c, at, "the field %s is of the regions of prepare, which names none: regions = {..}",
                      f->name);
  return f->type.dim[1] == regions_of(c) ||
         eval_error(c, at, "%s is %s; it must be (N,%d,S), a channel for each of the regions of prepare",
                    f->name, type_str(f->type, was), regions_of(c));
}

static bool batch_fields(Eval *c, const Ast *n, Stream *s) {
  const int most = (int)(sizeof s->field / sizeof *s->field);
  for (const Ast *t = n->list; t; t = t->next) {
    Field f = {.name = t->name};
    if (s->nfield == most) return eval_error(c, t, "a batch has at most %d fields", most);
    if (!input_type(c, t, &f.kind, &f.type)) return false;
    f.kind = named_kind(f.kind, f.name);
    for (int i = 0; i < s->nfield; i++)
      if (!strcmp(s->field[i].name, f.name))
        return eval_error(c, t, "the batch has a field '%s' already", f.name);
    if (s->nfield && f.type.dim[0] != s->field[0].type.dim[0])
      return eval_error(c, t, "%s has %lld samples, %s has %lld", f.name, (long long)f.type.dim[0],
                        s->field[0].name, (long long)s->field[0].type.dim[0]);
    if (s->source == SRC_UNLABELED && field_info[f.kind].mask)
      return eval_error(
          c, t,
          "unlabelled images come without labels; where a study needs their masks, write batch NAME "
          "(source = \"all\")");
    if (!check_regions(c, t, &f) || !same_extents(c, t, s, &f)) return false;
    s->field[s->nfield++] = f;
  }
  return s->nfield > 0 || eval_error(c, n, "the batch has no fields");
}

static const Stream *find_stream(const Program *p, const char *name) {
  for (int i = 0; i < p->nstream; i++)
    if (!strcmp(p->stream[i].name, name)) return &p->stream[i];
  return NULL;
}

void exec_batch(Eval *c, const Ast *n) {
  Stream s = {.name = n->name};
  Batch *b = arena_alloc(c->arena, sizeof *b);
  Value v = v_poison();
  if (!c->fn || c->fn->kind != FN_TRAIN) {
    eval_fail(c, n, "batch stands only inside train");
    return;
  }
  if (batch_options(c, n, &s) && batch_fields(c, n, &s) && check_views(c, n, &s)) {
    bool again = find_stream(c->prog, n->name) != NULL;
    if (again && !c->want_grads) eval_fail(c, n, "there is a batch '%s' already", n->name);
    if (!again) *ARENA_PUSH(c->arena, c->prog->stream, c->prog->nstream, c->prog->capstream) = s;
    Stream *own = arena_alloc(c->arena, sizeof *own); /* the program's list may move */
    *own = s;
    b->stream = own;
    v = (Value){V_BATCH, {.batch = b}};
    c->fn->loc = eval_loc(c, n);
    for (int i = 0; i < s.nfield; i++) /* the host feeds every field, read or not */
      ir_input(c->fn, arena_printf(c->arena, "%s.%s", s.name, s.field[i].name), s.field[i].type);
  }
  eval_assign(c, n, n->name, v);
}

/* ---- functions ---- */

static void run_body(Eval *c, Fn *f, const Ast *n, Mode mode, Frame *frame) {
  eval_begin_fn(c, f);
  f->loc = &n->at;
  c->frame = frame;
  c->mode = mode;
  c->in_update = false;
  eval_exec(c, n->b);
  c->frame = NULL;
  c->mode = MODE_DEFAULT;
}

static void keep_sites(Eval *c) {
  if (c->prog->sites > c->sites_max) c->sites_max = c->prog->sites;
}

/* A batch of which nothing is used would be loaded in every iteration. */
static void check_batches_used(Eval *c) {
  Fn *f = c->fn;
  for (int s = 0; s < c->prog->nstream; s++) {
    const Stream *stream = &c->prog->stream[s];
    size_t len = strlen(stream->name);
    const Loc *loc = NULL;
    bool used = false;
    for (int i = 0; i < f->n; i++) {
      const Node *in = &f->node[i];
      if (in->op != OP_input || strncmp(in->at.sym, stream->name, len) || in->at.sym[len] != '.') continue;
      if (!loc) loc = in->loc;
      for (int k = i + 1; k < f->n; k++)
        for (int j = 0; j < f->node[k].nin; j++) used |= f->node[k].in[j] == i;
    }
    if (!used && loc)
      diag_error(&c->diag, loc, "nothing of the batch '%s' is used: take it out, or use it", stream->name);
  }
}

/* A teacher that nobody moves stays what the student was before the first iteration. */
static void check_averages(Eval *c, const Ast *n) {
  for (const Instance *i = c->instances; i; i = i->next)
    if (i->average_of && i->name && i->average_of->updates && !i->updates)
      eval_fail(c, n, "%s is the average of %s, but train %s never moves it: write `update %s`", i->name,
                i->average_of->name, n->name, i->name);
}

void exec_train(Eval *c, const Ast *n) {
  if (c->frame || c->train) {
    if (c->frame) eval_fail(c, n, "train stands at the top level of a file");
    else
      eval_fail(c, n, "there is a train block already, '%s' in line %d", c->train->name, c->train->at.line);
    return;
  }
  c->train = n;
  exec_validation(c, n);
  int passes = c->opt->grads ? 2 : 1;
  for (int i = 0; i < passes && (i == 0 || c->diag.errors == 0); i++) {
    Frame frame = {.result = v_none()};
    c->want_grads = i == 1;
    c->prog->sites = 0; /* both functions see the same random numbers */
    run_body(c, fn_new(c->prog, i ? arena_printf(c->arena, "%s.grads", n->name) : n->name, FN_TRAIN), n,
             MODE_TRAIN, &frame);
    keep_sites(c);
    if (i == 0 && c->diag.errors == 0) check_batches_used(c), check_averages(c, n);
    bool idle = c->fn->nout == 0 && c->diag.errors == 0;
    eval_end_fn(c);
    if (idle) eval_fail(c, n, "train %s updates nothing", n->name);
  }
  c->want_grads = false;
  c->prog->sites = c->sites_max;
}

/* The result of predict: one tensor of probabilities (N,classes,S). */
static void predict_outputs(Eval *c, const Ast *n, Value v) {
  char buf[96];
  if (v.kind != V_TENSOR) {
    eval_fail(c, n, "predict returns one tensor of probabilities, here %s", kind_str(v));
    return;
  }
  Type t = value_type(c, v), in = c->fn->node[0].type;
  bool shape = t.rank == in.rank && t.dim[0] == in.dim[0];
  for (int i = 2; i < t.rank && shape; i++) shape = t.dim[i] == in.dim[i];
  char was[96];
  if (!shape)
    eval_fail(c, n, "predict returns %s for the image %s; it must be (N,classes,S)", type_str(t, buf),
              type_str(in, was));
  else if (regions_of(c) && t.dim[1] == regions_of(c) && t.dt == F32) fn_output(c->fn, "prob", v.u.node);
  else if (regions_of(c))
    eval_fail(c, n,
              "predict returns %s; it must be (N,%d,S), a probability for each of the regions of prepare: "
              "sigmoid(logits)",
              type_str(t, buf), regions_of(c));
  else if (t.dt != F32 || (t.dim[1] < 2 && c->prog->classes != 1))
    eval_fail(
        c, n,
        "predict returns %s; it must be a probability for every class, background too: softmax(logits), or "
        "concat(1 - p, p) of one channel p",
        type_str(t, buf));
  else if (c->prog->classes && t.dim[1] != c->prog->classes)
    eval_fail(c, n,
              "predict returns %s, but option classes is %lld: the networks' last layers must have as many "
              "channels",
              type_str(t, buf), (long long)c->prog->classes);
  else {
    c->prog->classes = t.dim[1];
    fn_output(c->fn, "prob", v.u.node);
  }
}

static void forward_outputs(Eval *c, const Ast *n, Value v) {
  if (v.kind == V_TENSOR) {
    fn_output(c->fn, "out", v.u.node);
    return;
  }
  bool ok = v.kind == V_LIST && v.u.list->n > 0;
  for (int i = 0; ok && i < v.u.list->n; i++) ok = v.u.list->v[i].kind == V_TENSOR;
  for (int i = 0; ok && i < v.u.list->n; i++)
    fn_output(c->fn, arena_printf(c->arena, "out%d", i + 1), v.u.list->v[i].u.node);
  if (!ok) eval_fail(c, n, "%s returns tensors, here %s", n->name, kind_str(v));
}

void exec_predict(Eval *c, const Ast *n) {
  bool predict = n->kind == N_PREDICT;
  if (c->frame) {
    eval_fail(c, n, "%s stands at the top level of a file", predict ? "predict" : "forward");
    return;
  }
  if (prog_find_fn(c->prog, n->name)) {
    eval_fail(c, n, "there is a function '%s' already", n->name);
    return;
  }
  Frame frame = {.result = v_none()};
  Fn *f = fn_new(c->prog, n->name, predict ? FN_PREDICT : FN_FORWARD);
  f->loc = &n->at;
  for (const Ast *t = n->list; t; t = t->next) {
    FieldKind kind;
    Type type;
    if (!input_type(c, t, &kind, &type)) return;
    if (predict && (field_info[kind].mask || type.rank < 4 || t != n->list)) {
      eval_fail(
          c, t,
          "predict takes one image, f32[N, C, S] with two or three spatial extents; further functions are "
          "written forward NAME(..)");
      return;
    }
    if (scope_find(&frame.vars, t->name)) {
      eval_fail(c, t, "there is an input '%s' already", t->name);
      return;
    }
    scope_set(c, &frame.vars, t->name, (Value){V_TENSOR, {.node = ir_input(f, t->name, type)}});
  }
  run_body(c, f, n, MODE_EVAL, &frame);
  keep_sites(c);
  Value v = frame.result;
  if (!frame.returned && c->diag.errors == 0) eval_fail(c, n, "%s returns nothing", n->name);
  else if (v.kind != V_POISON && frame.returned)
    predict ? predict_outputs(c, n, v) : forward_outputs(c, n, v);
  eval_end_fn(c);
}
