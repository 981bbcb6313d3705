/* verify.c - what must hold of every program between any two passes. */
#include "ir/prepare.h"
#include "ir/validate.h"
#include <string.h>

static bool order_ok(const uint8_t *order, int rank) {
  unsigned seen = 0;
  for (int i = 0; i < rank; i++)
    if (order[i] < rank) seen |= 1u << order[i];
  return seen == (1u << rank) - 1;
}

/* ---- functions ---- */

/* The field STREAM.FIELD of a known stream that `name` means: 1 found, 0 no such stream, -1 no such field. */
static int find_field(const Program *p, const char *name, const Field **field) {
  for (int s = 0; s < p->nstream; s++) {
    const Stream *st = &p->stream[s];
    size_t n = strlen(st->name);
    if (strncmp(name, st->name, n) || name[n] != '.') continue;
    for (int i = 0; i < st->nfield; i++)
      if (!strcmp(name + n + 1, st->field[i].name)) return *field = &st->field[i], 1;
    return -1;
  }
  return 0;
}

static bool symbol_ok(const Fn *f, int id, char *err) {
  const Node *n = &f->node[id];
  char a[96], b[96];
  if (n->op == OP_var) {
    int v = prog_find_var(f->prog, n->at.sym);
    if (v < 0) return ir_error(err, "fn %.60s, %%%d: no variable is named %.80s", f->name, id, n->at.sym);
    if (!type_eq(f->prog->var[v].type, n->type))
      return ir_error(err, "fn %.60s, %%%d: variable %.60s is %s, not %s", f->name, id, n->at.sym,
                      type_str(f->prog->var[v].type, a), type_str(n->type, b));
    return true;
  }
  const Field *field = NULL;
  if (f->kind == FN_TRAIN) {
    int found = find_field(f->prog, n->at.sym, &field);
    if (found < 0)
      return ir_error(err, "fn %.60s, %%%d: the stream has no field %.80s", f->name, id, n->at.sym);
    if (found > 0 && !type_eq(field->type, n->type))
      return ir_error(err, "fn %.60s, %%%d: field %.60s is %s, not %s", f->name, id, n->at.sym,
                      type_str(field->type, a), type_str(n->type, b));
  }
  return true;
}

static bool node_ok(const Fn *f, int id, char *err) {
  const Node *n = &f->node[id];
  Type in[MAX_IN], inferred;
  char sentence[IR_ERR], a[96], b[96];
  if ((int)n->op < 0 || n->op >= OP_COUNT)
    return ir_error(err, "fn %.60s, %%%d: no operation %d", f->name, id, n->op);
  if (n->nin < 0 || n->nin > MAX_IN) return ir_error(err, "fn %.60s, %%%d: %d operands", f->name, id, n->nin);
  for (int i = 0; i < n->nin; i++) {
    if (n->in[i] < 0 || n->in[i] >= id)
      return ir_error(err, "fn %.60s, %%%d: operand %%%d of %s is not defined before it", f->name, id,
                      n->in[i], op_info[n->op].name);
    in[i] = f->node[n->in[i]].type;
  }
  if (!infer_type(n->op, n->nin, in, &n->at, &n->type, &inferred, sentence))
    return ir_error(err, "fn %.40s, %%%d: %s", f->name, id, sentence);
  if (!type_eq(inferred, type_widened(n->type)))
    return ir_error(err, "fn %.40s, %%%d: %s gives %s, the node says %s", f->name, id, op_info[n->op].name,
                    type_str(inferred, a), type_str(n->type, b));
  if (n->type.dt == BF16 && op_info[n->op].cls == LEAF)
    return ir_error(err, "fn %.60s, %%%d: %s is never stored as bf16, kernels' results are", f->name, id,
                    op_info[n->op].name);
  if (!order_ok(n->order, n->type.rank))
    return ir_error(err, "fn %.60s, %%%d: the memory order is not a permutation of %d axes", f->name, id,
                    n->type.rank);
  if (n->group < -1 || n->group >= f->ngroup)
    return ir_error(err, "fn %.60s, %%%d: group %d does not exist, there are %d", f->name, id, n->group,
                    f->ngroup);
  return !(op_info[n->op].attrs & A_SYM) || symbol_ok(f, id, err);
}

/* Nodes that read the same input agree on its type. */
static bool inputs_ok(const Fn *f, char *err) {
  for (int i = 0; i < f->n; i++)
    for (int j = 0; f->node[i].op == OP_input && j < i; j++)
      if (f->node[j].op == OP_input && !strcmp(f->node[i].at.sym, f->node[j].at.sym) &&
          !type_eq(f->node[i].type, f->node[j].type))
        return ir_error(err, "fn %.60s: %%%d and %%%d read input %.80s with different types", f->name, j, i,
                        f->node[i].at.sym);
  return true;
}

static bool ends_ok(const Fn *f, char *err) {
  char a[96], b[96];
  for (int i = 0; i < f->nstore; i++) {
    Store s = f->store[i];
    if (s.var < 0 || s.var >= f->prog->nvar)
      return ir_error(err, "fn %.60s: store %d names no variable", f->name, i);
    const Var *v = &f->prog->var[s.var];
    if (s.node < 0 || s.node >= f->n)
      return ir_error(err, "fn %.60s: store of %.80s names no node: %d", f->name, v->name, s.node);
    if (!type_eq(v->type, f->node[s.node].type))
      return ir_error(err, "fn %.50s: variable %.50s is %s, %%%d stored into it is %s", f->name, v->name,
                      type_str(v->type, a), s.node, type_str(f->node[s.node].type, b));
    for (int j = 0; j < i; j++)
      if (f->store[j].var == s.var) return ir_error(err, "fn %.60s: %.80s is stored twice", f->name, v->name);
  }
  for (int i = 0; i < f->nout; i++) {
    if (f->out[i].node < 0 || f->out[i].node >= f->n)
      return ir_error(err, "fn %.60s: output %.80s names no node: %d", f->name, f->out[i].name,
                      f->out[i].node);
    if (f->node[f->out[i].node].type.dt == BF16)
      return ir_error(err, "fn %.60s: output %.80s is bf16; results are f32 or i32", f->name, f->out[i].name);
    for (int j = 0; j < i; j++)
      if (!strcmp(f->out[j].name, f->out[i].name))
        return ir_error(err, "fn %.60s: two outputs are named %.80s", f->name, f->out[i].name);
  }
  for (int i = 0; i < f->ngroup; i++)
    if (f->group[i].anchor < -1 || f->group[i].anchor >= f->n ||
        (f->group[i].anchor >= 0 && f->node[f->group[i].anchor].group != i))
      return ir_error(err, "fn %.60s: the anchor of group %d is not a node of it: %d", f->name, i,
                      f->group[i].anchor);
  return true;
}

bool fn_verify(const Fn *f, char err[IR_ERR]) {
  for (int i = 0; i < f->n; i++)
    if (!node_ok(f, i, err)) return false;
  return inputs_ok(f, err) && ends_ok(f, err);
}

/* ---- programs ---- */

static bool var_ok(const Program *p, int i, char *err) {
  const Var *v = &p->var[i];
  for (int k = 0; k < i; k++)
    if (!strcmp(p->var[k].name, v->name)) return ir_error(err, "two variables are named %.150s", v->name);
  if (!type_valid(v->type)) return ir_error(err, "variable %.150s: its type is not valid", v->name);
  if (v->type.dt == BF16)
    return ir_error(err, "variable %.150s: variables are f32 or i32, not bf16", v->name);
  if (!order_ok(v->order, v->type.rank))
    return ir_error(err, "variable %.150s: the memory order is not a permutation of its axes", v->name);
  if (v->net < -1 || v->net >= p->nnet)
    return ir_error(err, "variable %.150s: no network has number %d", v->name, v->net);
  if (v->init.kind != INIT_COPY) return true;
  int from = prog_find_var(p, v->init.from);
  if (from < 0)
    return ir_error(err, "variable %.80s copies %.80s, which does not exist", v->name, v->init.from);
  if (p->var[from].init.kind == INIT_COPY)
    return ir_error(err, "variable %.80s copies %.80s, itself a copy", v->name, v->init.from);
  return type_eq(v->type, p->var[from].type) ||
         ir_error(err, "variable %.80s copies %.80s, whose type differs", v->name, v->init.from);
}

static bool stream_ok(const Program *p, const Stream *s, char *err) {
  char why[IR_ERR] = "";
  if (s->nfield < 0 || s->nfield > 4) return ir_error(err, "stream %.150s has %d fields", s->name, s->nfield);
  if (!augment_list_check(s->augment, s->naugment, false, why) ||
      !augment_list_check(s->strong, s->nstrong, true, why))
    return ir_error(err, "stream %.80s: %.150s", s->name, why);
  if (!(s->foreground >= 0 && s->foreground <= 1))
    return ir_error(err, "stream %.80s: foreground must be from 0 to 1, it is %g", s->name, s->foreground);
  for (int i = 0; i < s->nfield; i++) {
    const Field *fd = &s->field[i];
    if (!type_valid(fd->type) || fd->type.rank < 3 || fd->type.dt != field_info[fd->kind].element)
      return ir_error(err, "field %.60s.%.60s: %s is %s of (N,C,S)", s->name, fd->name,
                      field_info[fd->kind].word, field_info[fd->kind].element == I32 ? "i32" : "f32");
    if (field_info[fd->kind].regions && !p->prepare)
      return ir_error(err, "field %.60s.%.60s: of regions that no statement prepare names", s->name,
                      fd->name);
  }
  return true;
}

bool ir_verify(const Program *p, char err[IR_ERR]) {
  if (p->storage != F32 && p->storage != BF16) return ir_error(err, "storage must be f32 or bf16");
  for (int i = 0; i < p->nvar; i++)
    if (!var_ok(p, i, err)) return false;
  for (int i = 0; i < p->nstream; i++)
    if (!stream_ok(p, &p->stream[i], err)) return false;
  if (p->prepare && !prepare_verify(p, p->prepare, err)) return false;
  if (p->validation && !validation_verify(p, p->validation, err)) return false;
  for (int i = 0; i < p->nfn; i++) {
    if (prog_find_fn(p, p->fn[i]->name) != p->fn[i])
      return ir_error(err, "two functions are named %.150s", p->fn[i]->name);
    if (!fn_verify(p->fn[i], err)) return false;
  }
  return true;
}
