/* state.c - the evaluator's state: names in scope, the budget, where an error stands. */
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include "frontend/eval/eval.h"

const Loc *eval_loc(Eval *c, const Ast *n) {
  if (!c->frame || !c->frame->block) return &n->at;
  Loc *l = arena_alloc(c->arena, sizeof *l);
  *l = n->at;
  l->block = c->frame->block;
  l->caller = c->frame->caller;
  return l;
}

static void report(Eval *c, const Ast *n, const char *fmt, va_list ap) {
  char text[600];
  vsnprintf(text, sizeof text, fmt, ap);
  diag_error(&c->diag, eval_loc(c, n), "%s", text);
  if (c->diag.full) c->stopped = true;
}

bool eval_error(Eval *c, const Ast *n, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  report(c, n, fmt, ap);
  va_end(ap);
  return false;
}

Value eval_fail(Eval *c, const Ast *n, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  report(c, n, fmt, ap);
  va_end(ap);
  return v_poison();
}

bool eval_charge(Eval *c, const Ast *at, int steps) {
  if (c->stopped) return false;
  c->steps += steps;
  if (c->steps <= MAX_STEPS) return true;
  eval_fail(c, at, "the program does not end within %d steps", MAX_STEPS);
  c->stopped = true;
  return false;
}

Value *scope_find(Scope *s, const char *name) {
  for (int i = s->n - 1; i >= 0; i--)
    if (!strcmp(s->b[i].name, name)) return &s->b[i].v;
  return NULL;
}

void scope_set(Eval *c, Scope *s, const char *name, Value v) {
  Value *old = scope_find(s, name);
  if (old) *old = v;
  else *ARENA_PUSH(c->arena, s->b, s->n, s->cap) = (Binding){name, v};
}

Value stopped_value(Eval *c, const Ast *at, Value v) {
  if (v.kind == V_TENSOR && c->fn->node[v.u.node].type.dt == F32) {
    c->fn->loc = eval_loc(c, at);
    return eval_node(c, at, ir_unary(c->fn, OP_stop, v.u.node));
  }
  if (v.kind != V_LIST) return v;
  if (!eval_charge(c, at, v.u.list->n + 1) || ++c->depth > MAX_DEPTH) return v_poison();
  Value out = v_list(c, v.u.list->n, v.u.list->v);
  for (int i = 0; i < out.u.list->n; i++) {
    Value e = stopped_value(c, at, v.u.list->v[i]);
    memcpy((Value *)&out.u.list->v[i], &e, sizeof e);
  }
  c->depth--;
  return out;
}

void eval_assign(Eval *c, const Ast *at, const char *name, Value v) {
  if (v.kind == V_INST && !v.u.inst->name) {
    if (c->frame) {
      eval_fail(c, at, "networks are declared at the top level of the file, outside train and blocks");
      v = v_poison();
    } else {
      v.u.inst->name = name;
      prog_net(c->prog, name); /* networks are listed in the order of their declarations */
    }
  }
  if (!c->frame) {
    Value *old = scope_find(&c->globals, name);
    if (old && (old->kind == V_INST)) {
      eval_fail(c, at, "'%s' is %s already", name, kind_str(*old));
      return;
    }
    scope_set(c, &c->globals, name, v);
    return;
  }
  if (c->frame->nograd) v = stopped_value(c, at, v);
  scope_set(c, &c->frame->vars, name, v);
}
