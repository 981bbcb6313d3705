/* budget.c - `netc --memory`: recomputation until the plan fits. passes/remat/remat.h offers levels, in an
 * order that does not depend on the budget; each function takes the first one, from the default on, whose
 * plan fits. Plans are made for real, with workspace and overlays, since only launches know these. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "passes/remat/remat.h"
#include "codegen/module/module.h"

enum { HOLDERS = 6 };
static const double OVERLAYS =
    0.9; /* a plan with results over operands may be this part of the pass's count */

int64_t batch_bytes(const Program *p) {
  int64_t bytes = 0;
  for (int s = 0; s < p->nstream; s++)
    for (int i = 0; i < p->stream[s].nfield; i++) bytes += type_bytes(p->stream[s].field[i].type);
  return bytes;
}

static bool plan_alone(Module *m, const Fn *f, FnPlan *plan, char err[IR_ERR]) {
  Emit *e = emit_fn(m->arena, f, NULL, err);
  *plan = (FnPlan){.fn = f, .e = e};
  return e && plan_fn(m, plan, err);
}

/* ---- what holds it ---- */

static bool holds(const FnPlan *p, int b, int launch) {
  return !p->fixed[b] && p->first[b] <= launch && p->last[b] >= launch;
}

static int peak_launch(const FnPlan *p) {
  int64_t most = -1;
  int at = 0;
  for (int l = 0; l < p->e->nlaunch; l++) {
    int64_t live = 0;
    for (int b = 0; b < p->e->nbuffer; b++)
      if (holds(p, b, l)) live += p->e->buffer[b].bytes;
    if (live > most) most = live, at = l;
  }
  return at;
}

static const char *holder_name(char out[224], const FnPlan *p, int b) {
  int node = p->e->buffer[b].node;
  char type[96];
  if (node < 0) return "workspace of a kernel";
  const Node *n = &p->fn->node[node];
  if (n->loc)
    snprintf(out, 224, "%s %s, %.80s:%d", op_info[n->op].name, type_str(n->type, type), n->loc->file,
             n->loc->line);
  else snprintf(out, 224, "%s %s", op_info[n->op].name, type_str(n->type, type));
  return out;
}

/* The largest buffers at the peak, one a line. */
static void tell_holders(const Module *m, const FnPlan *p, char *out, size_t size) {
  int launch = peak_launch(p), *taken = arena_alloc(m->arena, ((size_t)p->e->nbuffer + 1) * sizeof *taken);
  size_t at = 0;
  for (int k = 0; k < HOLDERS && at < size; k++) {
    int best = -1;
    for (int b = 0; b < p->e->nbuffer; b++)
      if (holds(p, b, launch) && !taken[b] && (best < 0 || p->e->buffer[b].bytes > p->e->buffer[best].bytes))
        best = b;
    if (best < 0) return;
    char name[224];
    taken[best] = 1;
    at += (size_t)snprintf(out + at, size - at, "\n  %10.2f MiB  %s",
                           (double)p->e->buffer[best].bytes / 0x1p20, holder_name(name, p, best));
  }
}

/* ---- fitting ---- */

typedef struct {
  Module m;
  int64_t budget, fixed; /* what is there whatever the function does: variables, copies of the batch */
} Fit;

static bool too_small(Fit *fit, const FnPlan *least, char err[FIT_ERR]) {
  int64_t needs = fit->fixed + least->temporaries;
  int at =
      snprintf(err, FIT_ERR,
               "--memory: function %s needs at least %.1f MiB, with everything computed again that can be; "
               "%.1f MiB were given. Take a smaller -D batch or -D size.\n"
               "  %10.2f MiB  variables (parameters, averages, optimiser state)\n"
               "  %10.2f MiB  the next batch\n"
               "  %10.2f MiB  working memory, at its peak held by",
               least->fn->name, (double)needs / 0x1p20 + 0.05, (double)fit->budget / 0x1p20,
               (double)fit->m.var_bytes / 0x1p20, (double)(fit->fixed - fit->m.var_bytes) / 0x1p20,
               (double)least->temporaries / 0x1p20);
  tell_holders(&fit->m, least, err + at, FIT_ERR - (size_t)at);
  return false;
}

static bool only_grads(const Fn *f) {
  size_t n = strlen(f->name);
  return f->kind == FN_TRAIN && n > 6 && !strcmp(f->name + n - 6, ".grads");
}

/* The first level from the default on whose plan fits; all after it are smaller by the pass's count, which
 * knows no workspace and no overlays, so that levels far above the budget by that count need no try. */
static Fn *fit_fn(Fit *fit, Fn *fused, char err[FIT_ERR]) {
  RematLadder l = remat_ladder(fused, REMAT_ALL);
  int64_t room = fit->budget - fit->fixed;
  FnPlan plan;
  for (int k = remat_free_level(&l); k < l.n; k++) {
    if (k + 1 < l.n && (double)l.level[k].peak * OVERLAYS > (double)room) continue;
    Fn *f = remat_apply(&l, k, err);
    if (!f || !plan_alone(&fit->m, f, &plan, err)) return NULL;
    if (plan.temporaries <= room) return f;
  }
  if (only_grads(fused)) return remat_apply(&l, l.n - 1, err); /* training runs without it */
  too_small(fit, &plan, err);
  return NULL;
}

bool codegen_fit(Program *p, Fn *const *fused, int64_t budget, char err[FIT_ERR]) {
  Fit fit = {.m = {.arena = p->arena, .prog = p}, .budget = budget};
  module_place_vars(&fit.m);
  fit.fixed = fit.m.var_bytes + batch_bytes(p);
  for (int i = 0; i < p->nfn; i++) {
    FnPlan plan;
    if (!plan_alone(&fit.m, p->fn[i], &plan, err)) return false;
    if (fit.fixed + plan.temporaries <= budget) continue;
    Fn *f = fit_fn(&fit, fused[i], err);
    if (!f) return false;
    p->fn[i] = f;
  }
  return true;
}
