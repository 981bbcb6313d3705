/* opdoc.c - ops.def as the table of docs/ops.md. */
#include "ir/ir.h"
#include <string.h>

static const struct {
  const char *shape, *grad;
} rule[OP_COUNT] = {
#define OP(name, min_in, max_in, attrs, cls, cost, shape, grad, ...) [OP_##name] = {#shape, #grad},
#include "ir/ops.def"
};

static const char *const class_title[] = {
    [LEAF] = "Leaves",      [EW] = "Elementwise",     [RED] = "Reductions", [COMP] = "Composites",
    [CON] = "Contractions", [MOVE] = "Data movement", [META] = "Meta",
};
static const char *const class_note[] = {
    [LEAF] = "No tensor operands.",
    [EW] = "Operands broadcast: equal rank with extents equal or 1, or rank 0.",
    [RED] = "The reduced axes stay, with extent 1.",
    [COMP] = "Differentiated in closed form, then rewritten by pass `expand`.",
    [CON] = "Sums of products. Convolution weights are (O,C,K). `conv`, `conv_dx` and `conv_dw` may have "
            "`bf16=1`: both operands are "
            "rounded to bf16 before they are multiplied; sums stay f32.",
    [MOVE] = "Elements change place; some are summed or interpolated on the way.",
    [META] = "Removed by a pass before code is generated.",
};

/* Text outside of code: what Markdown would take for markup is escaped. */
static void print_escaped(FILE *out, const char *s, const char *special) {
  for (; *s; s++) {
    if (strchr(special, *s)) fputc('\\', out);
    fputc(*s, out);
  }
}

void ops_print_markdown(FILE *out) {
  fputs("# The operations of the graph IR\n\n"
        "Made from `ir/ops.def`; do not edit. N is the batch, C and O are channels, S is one to three "
        "spatial axes;\n"
        "image-like tensors are (N,C,S). The rules of shapes are in `ir/shape.c` (`shape_RULE`), those of "
        "gradients in\n"
        "`passes/autodiff/autodiff.c` (`grad_RULE`; `zero`: not differentiable, the gradient is 0). The "
        "syntax of "
        "whole programs\n"
        "is in [ir.md](ir.md).\n",
        out);
  for (int c = LEAF; c <= META; c++) {
    fprintf(out, "\n## %s\n\n%s\n\n| form | meaning | shape | gradient |\n|---|---|---|---|\n",
            class_title[c], class_note[c]);
    for (int op = 0; op < OP_COUNT; op++) {
      if ((int)op_info[op].cls != c) continue;
      fputs("| `", out);
      print_escaped(out, op_info[op].form, "|");
      fputs("` | ", out);
      print_escaped(out, op_info[op].meaning, "|*<_[");
      fprintf(out, " | %s | %s |\n", rule[op].shape, rule[op].grad);
    }
  }
}
