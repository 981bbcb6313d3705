/* eval.c - expressions and statements. */
#include "frontend/eval/eval.h"
#include <math.h>
#include <string.h>

/* ---- names ---- */

/* What the host tells a training function. */
static bool is_clock(const char *name) {
  return !strcmp(name, "iteration") || !strcmp(name, "epoch") || !strcmp(name, "max_iterations");
}

static Value eval_name(Eval *c, const Ast *n) {
  Value *v = c->frame ? scope_find(&c->frame->vars, n->name) : NULL;
  if (!v) v = scope_find(&c->globals, n->name);
  if (v) return *v;
  if (is_clock(n->name)) {
    if (!c->fn || c->fn->kind != FN_TRAIN) return eval_fail(c, n, "'%s' exists only inside train", n->name);
    c->fn->loc = eval_loc(c, n);
    return eval_node(c, n, ir_input(c->fn, n->name, type_scalar()));
  }
  v = scope_find(&c->defs, n->name);
  if (v) return *v;
  const Builtin *b = find_builtin(n->name);
  if (b) return augment_by_name(b->name) >= 0 ? plain_augment(c, b->name) : (Value){V_BUILTIN, {.fn = b}};
  return eval_fail(c, n, "nothing is called '%s' here%s", n->name, suggest_name(c, n->name));
}

/* ---- expressions ---- */

static Value eval_list(Eval *c, const Ast *n) {
  int count = ast_count(n->list);
  if (!eval_charge(c, n, count)) return v_poison();
  Value list = v_list(c, 0, NULL);
  List *l = arena_alloc(c->arena, sizeof *l + (size_t)count * sizeof *l->v);
  bool bad = false;
  for (const Ast *e = n->list; e; e = e->next) {
    l->v[l->n] = eval_expr(c, e);
    bad |= l->v[l->n++].kind == V_POISON;
  }
  list.u.list = l;
  return bad ? v_poison() : list;
}

Value eval_map(Eval *c, const Ast *n, Value (*of)(Eval *c, const Ast *n)) {
  int count = ast_count(n->list);
  if (!eval_charge(c, n, count)) return v_poison();
  Map *m = arena_alloc(c->arena, sizeof *m + (size_t)count * sizeof *m->e);
  bool bad = false;
  for (const Ast *e = n->list; e; e = e->next) {
    Entry *to = &m->e[m->n++];
    *to = (Entry){of(c, e->a), of(c, e->b), of == eval_expr ? e : NULL};
    bad |= to->key.kind == V_POISON || to->value.kind == V_POISON;
  }
  return bad ? v_poison() : (Value){V_MAP, {.map = m}};
}

static Value eval_logic(Eval *c, const Ast *n) {
  bool ok, t = eval_truth(c, n->a, eval_expr(c, n->a), &ok);
  if (!ok) return v_poison();
  if (t == (n->op == B_OR)) return v_bool(t);
  t = eval_truth(c, n->b, eval_expr(c, n->b), &ok);
  return ok ? v_bool(t) : v_poison();
}

static Value eval_field(Eval *c, const Ast *n) {
  Value v = eval_expr(c, n->a);
  if (v.kind == V_POISON) return v;
  if (v.kind != V_BATCH) return eval_fail(c, n, "%s has no fields; a batch does", kind_str(v));
  const Stream *s = v.u.batch->stream;
  for (int i = 0; i < s->nfield; i++) {
    if (strcmp(s->field[i].name, n->name)) continue;
    c->fn->loc = eval_loc(c, n);
    return eval_node(c, n,
                     ir_input(c->fn, arena_printf(c->arena, "%s.%s", s->name, n->name), s->field[i].type));
  }
  const char *has = "";
  for (int i = 0; i < s->nfield; i++)
    has = arena_printf(c->arena, "%s%s%s", has, i ? ", " : "", s->field[i].name);
  return eval_fail(c, n, "the batch %s has no field '%s'; it has: %s", s->name, n->name, has);
}

static Value eval_choice(Eval *c, const Ast *n) {
  bool ok, t = eval_truth(c, n->b, eval_expr(c, n->b), &ok);
  return ok ? eval_expr(c, t ? n->a : n->c) : v_poison();
}

static Value eval_binary(Eval *c, const Ast *n) {
  if (n->op == B_AND || n->op == B_OR) return eval_logic(c, n);
  Value a = eval_expr(c, n->a), b = eval_expr(c, n->b);
  return value_binary(c, n, n->op, a, b);
}

static Value eval_kind(Eval *c, const Ast *n) {
  switch (n->kind) {
  case N_NUM: return v_num(n->num);
  case N_STR: return v_str(n->name);
  case N_BOOL: return v_bool(n->num != 0);
  case N_NONE: return v_none();
  case N_NAME: return eval_name(c, n);
  case N_LIST: return eval_list(c, n);
  case N_MAP: return eval_map(c, n, eval_expr);
  case N_UNARY: return value_unary(c, n, n->op, eval_expr(c, n->a));
  case N_BINARY: return eval_binary(c, n);
  case N_COND: return eval_choice(c, n);
  case N_CALL: return eval_call(c, n);
  case N_INDEX: return index_value(c, n, eval_expr(c, n->a));
  case N_FIELD: return eval_field(c, n);
  default: return eval_fail(c, n, "this is no expression");
  }
}

Value eval_expr(Eval *c, const Ast *n) {
  if (!eval_charge(c, n, 1)) return v_poison();
  if (c->depth >= MAX_DEPTH) {
    c->stopped = true;
    return eval_fail(c, n,
                     "calls and expressions are nested too deeply; does a block call itself without end?");
  }
  c->depth++;
  Value v = eval_kind(c, n);
  c->depth--;
  return v;
}

/* ---- statements ---- */

/* Gives the names their parts of v; poison goes to all of them. */
static void unpack(Eval *c, const Ast *at, const Ast *names, Value v) {
  int n = ast_count(names);
  if (n == 1) {
    eval_assign(c, names, names->name, v);
    return;
  }
  if (v.kind != V_POISON && (v.kind != V_LIST || v.u.list->n != n)) {
    if (v.kind == V_LIST) eval_fail(c, at, "%d names for a list of %d elements", n, v.u.list->n);
    else eval_fail(c, at, "%d names need a list of as many values, this is %s", n, kind_str(v));
    v = v_poison();
  }
  for (int i = 0; i < n; i++, names = names->next)
    eval_assign(c, names, names->name, v.kind == V_POISON ? v : v.u.list->v[i]);
}

static void exec_append(Eval *c, const Ast *n) {
  Value v = eval_expr(c, n->a);
  Value *old = scope_find(c->frame ? &c->frame->vars : &c->globals, n->name);
  if (!old) {
    if (v.kind != V_POISON) eval_fail(c, n, "'%s' has no value yet to add to", n->name);
    eval_assign(c, n, n->name, v_poison());
    return;
  }
  if (old->kind == V_LIST && v.kind != V_LIST && v.kind != V_POISON) v = v_list(c, 1, &v);
  eval_assign(c, n, n->name, value_binary(c, n, B_ADD, *old, v));
}

static void exec_if(Eval *c, const Ast *n) {
  bool ok, t = eval_truth(c, n->a, eval_expr(c, n->a), &ok);
  if (!ok) return;
  if (t) eval_exec(c, n->b);
  else if (n->c) eval_exec(c, n->c);
}

static void exec_for(Eval *c, const Ast *n) {
  Value over = eval_expr(c, n->a);
  if (over.kind == V_POISON) {
    for (const Ast *a = n->list; a; a = a->next) eval_assign(c, a, a->name, over);
    return;
  }
  if (over.kind != V_LIST) {
    eval_fail(c, n->a, "for goes over a list, this is %s", kind_str(over));
    return;
  }
  const List *l = over.u.list;
  for (int i = 0; i < l->n && !c->stopped && !(c->frame && c->frame->returned); i++) {
    unpack(c, n, n->list, l->v[i]);
    eval_exec(c, n->b);
  }
}

static void exec_return(Eval *c, const Ast *n) {
  if (!c->frame || (c->fn && c->fn->kind == FN_TRAIN && !c->frame->block)) {
    eval_fail(c, n, "return stands only inside block, net, predict and forward");
    return;
  }
  Value v = n->list->next ? eval_list(c, n) : eval_expr(c, n->list);
  c->frame->result = c->frame->nograd ? stopped_value(c, n, v) : v;
  c->frame->returned = true;
}

/* `with eval(a, b) { }`: the networks run in that mode inside. */
static void exec_with(Eval *c, const Ast *n) {
  Mode mode = !strcmp(n->name, "eval") ? MODE_EVAL : MODE_TRAIN, before[16];
  Instance *inst[16];
  int count = 0;
  if (strcmp(n->name, "eval") && strcmp(n->name, "train")) {
    eval_fail(c, n, "with is followed by eval(..) or train(..), not '%s'", n->name);
    return;
  }
  for (const Ast *a = n->list; a; a = a->next) {
    Value v = eval_expr(c, a);
    if (v.kind == V_POISON) continue;
    if (v.kind != V_INST || count == 16) {
      eval_fail(c, a, "%s",
                v.kind == V_INST ? "more than 16 networks"
                                 : "with eval(..) and with train(..) take networks");
      continue;
    }
    inst[count] = v.u.inst;
    before[count] = v.u.inst->mode;
    v.u.inst->mode = mode;
    count++;
  }
  eval_exec(c, n->b);
  while (count--) inst[count]->mode = before[count];
}

static void exec_nograd(Eval *c, const Ast *n) {
  if (!c->frame) {
    eval_fail(c, n, "nograd stands inside train or a block");
    return;
  }
  Frame *f = c->frame;
  f->nograd++;
  eval_exec(c, n->b);
  f->nograd--;
}

/* Definitions are known since their file was read; those inside a body are not. */
static void check_defined(Eval *c, const Ast *n) {
  const Value *v = scope_find(&c->defs, n->name);
  if (!v || v->u.def != n)
    eval_fail(c, n, "blocks and nets are defined at the top level of a file, not inside a body");
}

static void exec_kind(Eval *c, const Ast *n) {
  switch (n->kind) {
  case N_SEQ: eval_exec_list(c, n->list); break;
  case N_ASSIGN: unpack(c, n, n->list, eval_expr(c, n->a)); break;
  case N_APPEND: exec_append(c, n); break;
  case N_EXPR: eval_expr(c, n->a); break;
  case N_IF: exec_if(c, n); break;
  case N_FOR: exec_for(c, n); break;
  case N_RETURN: exec_return(c, n); break;
  case N_WITH: exec_with(c, n); break;
  case N_NOGRAD: exec_nograd(c, n); break;
  case N_UPDATE: exec_update(c, n); break;
  case N_MINIMIZE: exec_minimize(c, n); break;
  case N_LOG: eval_log(c, n, n->name, eval_expr(c, n->a)); break;
  case N_BATCH: exec_batch(c, n); break;
  case N_OPTION: exec_option(c, n); break;
  case N_PREPARE: exec_prepare(c, n); break;
  case N_TRAIN: exec_train(c, n); break;
  case N_PREDICT:
  case N_FORWARD: exec_predict(c, n); break;
  case N_USE:
    if (c->frame) eval_fail(c, n, "use stands at the top level of a file");
    else use_file(c, n, n->name);
    break;
  case N_BLOCK:
  case N_NET: check_defined(c, n); break;
  default: eval_fail(c, n, "this is no statement");
  }
}

void eval_exec(Eval *c, const Ast *n) {
  if (!eval_charge(c, n, 1)) return;
  if (c->depth >= MAX_DEPTH) {
    c->stopped = true;
    eval_fail(c, n, "calls and statements are nested too deeply; does a block call itself without end?");
    return;
  }
  c->depth++;
  exec_kind(c, n);
  c->depth--;
}

void eval_exec_list(Eval *c, const Ast *list) {
  for (; list && !c->stopped && !(c->frame && c->frame->returned); list = list->next) eval_exec(c, list);
}
