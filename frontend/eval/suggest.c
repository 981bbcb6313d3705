/* suggest.c - what somebody may have meant by a name that does not exist. */
#include "frontend/eval/eval.h"
#include <ctype.h>
#include <string.h>

/* What other languages call it. */
static const struct {
  const char *theirs, *ours;
} foreign[] = {
    {"cat", "concat"},
    {"stack", "concat"},
    {"view", "reshape"},
    {"conv2d", "conv"},
    {"conv3d", "conv"},
    {"convtranspose2d", "convt"},
    {"conv_transpose", "convt"},
    {"convtranspose3d", "convt"},
    {"interpolate", "resize"},
    {"batchnorm2d", "batchnorm"},
    {"batchnorm3d", "batchnorm"},
    {"batch_norm", "batchnorm"},
    {"leaky_relu", "leaky"},
    {"detach", "stop"},
    {"where", "select"},
    {"one_hot", "onehot"},
    {"adamw", "adam"},
    {"clip", "clamp"},
    {"maxpool2d", "maxpool"},
    {"max_pool2d", "maxpool"},
    {"maxpool3d", "maxpool"},
    {"avgpool2d", "avgpool"},
    {"avg_pool2d", "avgpool"},
    {"randn", "normal"},
    {"randn_like", "normal"},
    {"rand", "uniform"},
    {"rand_like", "uniform"},
    {"no_grad", "nograd"},
    {"expand", "broadcast"},
    {"parameter", "param"},
    {"log_softmax2d", "log_softmax"},
    {"print", "log NAME = value"},
    {"pow", "**"},
    {"true", "on"},
    {"false", "off"},
    {"null", "none"},
    {"none", "none"},
    {"def", "block"},
    {"sgdm", "sgd"},
};

enum { LONGEST = 24 };

/* Letters to insert, delete, replace or swap with a neighbour to get from a to b, whatever their case. */
static int distance(const char *a, const char *b) {
  int row[3][LONGEST + 1], na = (int)strlen(a), nb = (int)strlen(b);
  if (na > LONGEST || nb > LONGEST) return LONGEST;
  for (int j = 0; j <= nb; j++) row[0][j] = row[1][j] = j;
  for (int i = 1; i <= na; i++) {
    int *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= nb; j++) {
      int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
      int d = last[j - 1] + (x != y);
      if (last[j] + 1 < d) d = last[j] + 1;
      if (now[j - 1] + 1 < d) d = now[j - 1] + 1;
      if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && y == tolower((unsigned char)a[i - 2]) &&
          before[j - 2] + 1 < d)
        d = before[j - 2] + 1;
      now[j] = d;
    }
  }
  return row[na % 3][nb];
}

typedef struct {
  const char *wanted, *best;
  int distance;
} Search;

static void consider(Search *s, const char *name) {
  int d = distance(s->wanted, name);
  if (d < s->distance) *s = (Search){s->wanted, name, d};
}

static void consider_scope(Search *s, const Scope *scope) {
  for (int i = 0; i < scope->n; i++) consider(s, scope->b[i].name);
}

static const char *foreign_name(const char *name) {
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    if (distance(name, foreign[i].theirs) == 0) return foreign[i].ours;
  return NULL;
}

const char *suggest_name(Eval *c, const char *name) {
  const Builtin *const table[] = {builtins_basic, builtins_tensor,  builtins_layer,
                                  builtins_train, builtins_prepare, builtins_augment};
  int len = (int)strlen(name);
  Search s = {name, foreign_name(name), len < 3 ? 1 : len < 6 ? 2 : 3}; /* one slip, or two in a long name */
  if (!s.best) {
    if (c->frame) consider_scope(&s, &c->frame->vars);
    consider_scope(&s, &c->globals);
    consider_scope(&s, &c->defs);
    for (size_t t = 0; t < sizeof table / sizeof *table; t++)
      for (const Builtin *b = table[t]; b->name; b++) consider(&s, b->name);
  }
  return s.best ? arena_printf(c->arena, "; did you mean `%s`?", s.best) : "";
}
