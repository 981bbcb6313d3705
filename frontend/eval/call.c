/* call.c - calls: arguments to parameters, builtins, blocks, nets and networks. */
#include "frontend/eval/eval.h"
#include <math.h>
#include <string.h>

/* Evaluates the arguments; -1 when there are too many. *poison: one of them failed. */
static int eval_args(Eval *c, const Ast *n, Arg *arg, bool *poison) {
  int count = 0;
  *poison = false;
  for (const Ast *a = n->list; a; a = a->next) {
    Value v = eval_expr(c, a->a);
    if (v.kind == V_POISON) *poison = true;
    if (count == MAX_ARGS) {
      eval_fail(c, a, "more than %d arguments", MAX_ARGS);
      return -1;
    }
    arg[count++] = (Arg){a->name, v, a};
  }
  return count;
}

/* ---- blocks and nets ---- */

static const Ast *find_param(const Ast *params, const char *name) {
  for (; params; params = params->next)
    if (!strcmp(params->name, name)) return params;
  return NULL;
}

static const char *param_names(Eval *c, const Ast *params) {
  const char *s = "";
  for (int n = 0; params && n < 24; params = params->next, n++)
    s = arena_printf(c->arena, "%s%s%s", s, n ? ", " : "", params->name);
  return s;
}

static bool too_many(Eval *c, const Ast *at, const char *callee, const Ast *params) {
  if (!params) eval_fail(c, at, "%s takes no arguments here", callee);
  else eval_fail(c, at, "%s takes %d arguments: %s", callee, ast_count(params), param_names(c, params));
  return false;
}

/* Gives each argument its parameter; value[i] has kind V_POISON where none was given. */
static bool match_params(Eval *c, const char *callee, const Ast *params, Arg *arg, int narg,
                         const Ast **given) {
  const Ast *next = params;
  for (int i = 0; i < narg; i++) {
    const Ast *p;
    if (arg[i].name) {
      p = find_param(params, arg[i].name);
      if (!p)
        return eval_fail(c, arg[i].at, "%s has no parameter '%s'; it has: %s", callee, arg[i].name,
                         param_names(c, params)),
               false;
    } else {
      p = next;
      if (!p) return too_many(c, arg[i].at, callee, params);
      next = next->next;
    }
    for (int j = 0; j < i; j++)
      if (given[j] == p) return eval_fail(c, arg[i].at, "%s: '%s' is given twice", callee, p->name), false;
    given[i] = p;
  }
  return true;
}

bool bind_params(Eval *c, const Ast *at, const char *callee, const Ast *params, Arg *arg, int narg,
                 Frame *to) {
  const Ast *given[MAX_ARGS] = {0};
  if (!match_params(c, callee, params, arg, narg, given)) return false;
  for (const Ast *p = params; p; p = p->next) {
    Value v = v_poison();
    bool found = false;
    for (int i = 0; i < narg; i++)
      if (given[i] == p) v = arg[i].v, found = true;
    if (!found && !p->a)
      return eval_fail(c, at, "%s needs '%s'; its parameters: %s", callee, p->name, param_names(c, params)),
             false;
    if (!found) {
      Frame *outer = c->frame;
      c->frame = to;
      v = eval_expr(c, p->a);
      c->frame = outer;
      if (v.kind == V_POISON) return false;
    }
    scope_set(c, &to->vars, p->name, v);
  }
  return true;
}

/* `name = "..."` belongs to the call, not to the block: it is taken out of the arguments. */
static const char *take_name(Eval *c, Arg *arg, int *narg, bool *ok) {
  *ok = true;
  for (int i = 0; i < *narg; i++) {
    if (!arg[i].name || strcmp(arg[i].name, "name")) continue;
    const char *name = NULL;
    *ok = arg_str(c, arg[i].at, "name", arg[i].v, &name);
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    if (*ok && (!*name || name[strspn(name, letters)] || strlen(name) > 100)) {
      eval_fail(c, arg[i].at, "name must be a word of letters, digits and _");
      *ok = false;
    }
    memmove(arg + i, arg + i + 1, (size_t)(*narg - i - 1) * sizeof *arg);
    --*narg;
    return *ok ? name : NULL;
  }
  return NULL;
}

static Value call_block(Eval *c, const Ast *n, const Ast *def, Arg *arg, int narg) {
  bool ok = true, own = find_param(def->list, "name") != NULL; /* a parameter of that name comes first */
  const char *name = own ? NULL : take_name(c, arg, &narg, &ok);
  if (!ok) return v_poison();
  if (c->calls >= MAX_CALLS) {
    c->stopped = true;
    return eval_fail(c, n, "more than %d calls inside each other; does '%s' call itself without end?",
                     MAX_CALLS, def->name);
  }
  Frame f = {.block = def->name, .caller = eval_loc(c, n), .result = v_none()};
  if (c->frame && c->frame->place) f.place = param_scope_child(c, def->name, name);
  if (!bind_params(c, n, def->name, def->list, arg, narg, &f)) return v_poison();
  Frame *outer = c->frame;
  c->frame = &f;
  c->calls++;
  eval_exec(c, def->b);
  c->calls--;
  c->frame = outer;
  return c->stopped ? v_poison() : f.result;
}

/* ---- builtins ---- */

enum { MAX_PARAMS = 12 };
typedef struct {
  char name[16];
  bool optional;
} Param;

/* Splits "x out k stride?" into names. */
static int split_params(const char *s, Param *p) {
  int n = 0;
  while (*s && n < MAX_PARAMS) {
    size_t len = strcspn(s, " ");
    p[n].optional = s[len - 1] == '?';
    size_t keep = p[n].optional ? len - 1 : len;
    memcpy(p[n].name, s, keep);
    p[n].name[keep] = 0;
    n++;
    s += len + (s[len] == ' ');
  }
  return n;
}

static const char *builtin_params(Eval *c, const Param *p, int n) {
  const char *s = "";
  for (int i = 0; i < n; i++)
    s = arena_printf(c->arena, "%s%s%s%s", s, i ? ", " : "", p[i].name, p[i].optional ? "?" : "");
  return s;
}

/* Fills value[] in the order of the parameters; V_NONE where nothing was given. */
static bool match_builtin(Eval *c, const Ast *n, const Builtin *b, Arg *arg, int narg, Value *value) {
  Param p[MAX_PARAMS];
  bool many = *b->params == '*', set[MAX_PARAMS] = {0};
  int count = split_params(many ? b->params + 1 : b->params, p), next = many ? 1 : 0;
  Value rest[MAX_ARGS];
  int nrest = 0;
  for (int i = 0; i < count; i++) value[i] = v_none();
  for (int i = 0; i < narg; i++) {
    int k = next;
    if (arg[i].name) {
      for (k = many ? 1 : 0; k < count && strcmp(p[k].name, arg[i].name);) k++;
      if (k == count)
        return eval_fail(c, arg[i].at, "%s has no parameter '%s'; it is %s(%s)", b->name, arg[i].name,
                         b->name, builtin_params(c, p, count)),
               false;
    } else if (many) {
      rest[nrest++] = arg[i].v;
      continue;
    } else if (next++ >= count) {
      return eval_fail(c, arg[i].at, "%s takes %d arguments: %s(%s)", b->name, count, b->name,
                       builtin_params(c, p, count)),
             false;
    }
    if (set[k]) return eval_fail(c, arg[i].at, "%s: '%s' is given twice", b->name, p[k].name), false;
    set[k] = true;
    value[k] = arg[i].v;
  }
  if (many) value[0] = v_list(c, nrest, rest);
  for (int i = many ? 1 : 0; i < count; i++)
    if (!set[i] && !p[i].optional)
      return eval_fail(c, n, "%s needs '%s'; it is %s(%s)", b->name, p[i].name, b->name,
                       builtin_params(c, p, count)),
             false;
  return true;
}

static Value call_scoped(Eval *c, const Ast *n, const Builtin *b, const char *name, Value *value) {
  if (!c->frame || !c->frame->place || !c->fn)
    return eval_fail(c, n, "%s owns parameters; it can be used only inside a net, or a block a net calls",
                     b->name);
  ParamScope *outer = c->frame->place;
  c->frame->place = param_scope_child(c, b->name, name);
  Value v = b->run(c, n, value);
  c->frame->place = outer;
  return v;
}

static Value call_builtin(Eval *c, const Ast *n, const Builtin *b, Arg *arg, int narg) {
  Value value[MAX_PARAMS];
  bool ok = true;
  const char *name = b->scoped ? take_name(c, arg, &narg, &ok) : NULL;
  if (!ok || !match_builtin(c, n, b, arg, narg, value)) return v_poison();
  if (c->fn) c->fn->loc = eval_loc(c, n);
  const char *before = c->who;
  c->who = b->name;
  Value v = b->scoped ? call_scoped(c, n, b, name, value) : b->run(c, n, value);
  c->who = before;
  return v;
}
static bool callable(const Value *v) {
  return v && (v->kind == V_BLOCK || v->kind == V_NET || v->kind == V_INST || v->kind == V_BUILTIN ||
               v->kind == V_POISON);
}

/* Before '(' a name means the nearest thing that can be called: a number or string of the same name
 * (`channels`, `dybac`) does not hide a function. */
static Value eval_callee(Eval *c, const Ast *n) {
  if (n->kind != N_NAME) return eval_expr(c, n);
  Value *v = c->frame ? scope_find(&c->frame->vars, n->name) : NULL;
  if (!callable(v)) v = scope_find(&c->globals, n->name);
  if (!callable(v)) v = scope_find(&c->defs, n->name);
  if (v && callable(v)) return *v;
  const Builtin *b = find_builtin(n->name);
  return b ? (Value){V_BUILTIN, {.fn = b}} : eval_expr(c, n);
}

Value eval_call(Eval *c, const Ast *n) {
  Value callee = eval_callee(c, n->a);
  Arg arg[MAX_ARGS];
  bool poison;
  int narg = eval_args(c, n, arg, &poison);
  if (callee.kind == V_POISON || narg < 0 || poison || c->stopped) return v_poison();
  switch (callee.kind) {
  case V_BUILTIN: return call_builtin(c, n, callee.u.fn, arg, narg);
  case V_BLOCK: return call_block(c, n, callee.u.def, arg, narg);
  case V_NET: return make_instance(c, n, callee.u.def, arg, narg);
  case V_INST: return call_instance(c, n, callee.u.inst, arg, narg);
  default: return eval_fail(c, n, "%s cannot be called", kind_str(callee));
  }
}
