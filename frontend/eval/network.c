/* network.c - networks: their parameters, where these lie in the tree of names, and what every variable holds
 * now. */
#include "frontend/eval/eval.h"
#include <string.h>

/* ---- variables in single assignment ---- */

void eval_begin_fn(Eval *c, Fn *f) {
  c->fn = f;
  for (int i = 0; i < c->ncur; i++) c->cur[i] = -1;
  for (Instance *i = c->instances; i; i = i->next) i->updates = 0, i->mode = MODE_DEFAULT;
}

static void grow_cur(Eval *c) {
  if (c->prog->nvar <= c->ncur) return;
  int cap = c->prog->nvar * 2;
  int *cur = arena_alloc(c->arena, (size_t)cap * sizeof *cur);
  for (int i = 0; i < cap; i++) cur[i] = i < c->ncur ? c->cur[i] : -1;
  c->cur = cur;
  c->ncur = cap;
}

int find_or_add_var(Eval *c, Var v) {
  int i = prog_find_var(c->prog, v.name);
  return i >= 0 ? i : prog_var(c->prog, v);
}

int var_read(Eval *c, int var) {
  grow_cur(c);
  if (c->cur[var] < 0) c->cur[var] = ir_var(c->fn, var);
  return c->cur[var];
}

void var_write(Eval *c, int var, int node) {
  grow_cur(c);
  if (node >= 0) c->cur[var] = node;
}

void eval_end_fn(Eval *c) {
  if (c->fn->kind == FN_TRAIN && !c->want_grads)
    for (int v = 0; v < c->ncur && v < c->prog->nvar; v++)
      if (c->cur[v] >= 0 && c->fn->node[c->cur[v]].op != OP_var) fn_store(c->fn, v, c->cur[v]);
  c->fn = NULL;
}

/* ---- places ---- */

/* The place of a call below the current one: its own name, or the callee's name and a running number. */
ParamScope *param_scope_child(Eval *c, const char *callee, const char *name) {
  ParamScope *p = c->frame->place, *child = arena_alloc(c->arena, sizeof *child);
  child->inst = p->inst;
  if (name) {
    child->path = arena_printf(c->arena, "%s.%s", p->path, name);
    return child;
  }
  int i = 0;
  while (i < p->nused && strcmp(p->used[i].name, callee)) i++;
  if (i == p->nused) ARENA_PUSH(c->arena, p->used, p->nused, p->capused)->name = callee;
  child->path = arena_printf(c->arena, "%s.%s%d", p->path, callee, ++p->used[i].count);
  return child;
}

/* The same place in the network that an average follows. */
static const char *followed_path(Eval *c, const Instance *inst, const char *path) {
  return arena_printf(c->arena, "%s%s", inst->average_of->name, path + strlen(inst->name));
}

/* The variable of that path, made if there is none. An average's parameter starts as a copy of the one it follows, which
 * is made with it. */
static int declare(Eval *c, const Instance *inst, const char *path, Type t, Init init, Role role) {
  if (inst->average_of && role == ROLE_PARAM) {
    const char *from = followed_path(c, inst, path);
    declare(c, inst->average_of, from, t, init, role);
    init = (Init){.kind = INIT_COPY, .from = from};
    role = ROLE_EMA;
  }
  return find_or_add_var(
      c, (Var){.name = path, .type = t, .init = init, .role = role, .net = prog_net(c->prog, inst->name)});
}

int net_parameter(Eval *c, const Ast *at, const ParamScope *p, const char *name, Type t, Init init,
                  Role role) {
  const char *path = name ? arena_printf(c->arena, "%s.%s", p->path, name) : p->path;
  if (strlen(path) > 400) return eval_fail(c, at, "the parameter's path is too long: %.80s..", path), -1;
  int v = declare(c, p->inst, path, t, init, role);
  if (v < 0) return eval_fail(c, at, "the variable %s cannot be made", path), -1;
  if (c->prog->var[v].role == ROLE_OPTIM)
    return eval_fail(c, at, "the name %s is taken by an optimiser's state", path), -1;
  if (!type_eq(c->prog->var[v].type, t)) {
    char was[96], now[96];
    eval_fail(c, at, "the parameter %s was %s at its first use, it is %s here", path,
              type_str(c->prog->var[v].type, was), type_str(t, now));
    return -1;
  }
  return var_read(c, v);
}

void buffer_set(Eval *c, const ParamScope *p, const char *name, int node) {
  int v = prog_find_var(c->prog, arena_printf(c->arena, "%s.%s", p->path, name));
  if (v >= 0) var_write(c, v, node);
}

/* ---- networks ---- */

Value make_instance(Eval *c, const Ast *at, const Ast *def, Arg *arg, int narg) {
  if (c->frame)
    return eval_fail(c, at,
                     c->frame->place
                         ? "%s is a net, which makes networks at the top level of a file; to be part "
                           "of another net it must be a block"
                         : "networks are declared at the top level of the file, as NAME = %s(..)",
                     def->name);
  if (!def->list2 && narg)
    return eval_fail(
        c, at,
        "the net %s has no parameters that are given once: in net %s(x; ..) those stand behind the ';'",
        def->name, def->name);
  Frame f = {.block = def->name, .caller = eval_loc(c, at)};
  if (!bind_params(c, at, def->name, def->list2, arg, narg, &f)) return v_poison();
  Instance *inst = arena_alloc(c->arena, sizeof *inst);
  *inst = (Instance){.def = def, .config = f.vars.b, .nconfig = f.vars.n, .net = -1, .next = c->instances};
  c->instances = inst;
  return (Value){V_INST, {.inst = inst}};
}

bool inst_training(const Eval *c, const Instance *inst) {
  Mode m = inst->mode != MODE_DEFAULT ? inst->mode : c->mode;
  return m == MODE_TRAIN;
}

/* NetInfo: multiply-adds of the nodes made since `from`, per sample of the first tensor given. */
static void measure(Eval *c, Instance *inst, int from, const Arg *arg, int narg) {
  int64_t macs = 0, batch = 1;
  for (int i = from; i < c->fn->n; i++) macs += node_macs(c->fn, &c->fn->node[i]);
  for (int i = narg - 1; i >= 0; i--)
    if (arg[i].v.kind == V_TENSOR && value_type(c, arg[i].v).rank > 0) batch = value_type(c, arg[i].v).dim[0];
  c->prog->net[prog_net(c->prog, inst->name)].macs = macs / batch;
  inst->measured = true;
}

Value call_instance(Eval *c, const Ast *at, Instance *inst, Arg *arg, int narg) {
  if (!inst->name) return eval_fail(c, at, "give the network a name first: NAME = %s(..)", inst->def->name);
  if (!c->fn) return eval_fail(c, at, "networks are called inside train, predict and forward");
  if (inst->active) return eval_fail(c, at, "the network %s calls itself", inst->name);
  ParamScope root = {.path = inst->name, .inst = inst};
  Frame f = {.block = inst->def->name, .caller = eval_loc(c, at), .place = &root, .result = v_none()};
  for (int i = 0; i < inst->nconfig; i++) scope_set(c, &f.vars, inst->config[i].name, inst->config[i].v);
  if (!bind_params(c, at, inst->name, inst->def->list, arg, narg, &f)) return v_poison();
  inst->net = prog_net(c->prog, inst->name);
  Frame *outer = c->frame;
  int from = c->fn->n;
  c->frame = &f;
  inst->active = true;
  eval_exec(c, inst->def->b);
  inst->active = false;
  c->frame = outer;
  if (c->stopped) return v_poison();
  if (!f.returned && c->diag.errors == 0)
    return eval_fail(c, inst->def, "the net %s returns nothing", inst->def->name);
  if (!inst->measured && c->diag.errors == 0) measure(c, inst, from, arg, narg);
  return f.returned ? f.result : v_poison();
}
