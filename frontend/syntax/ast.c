/* ast.c - prints the syntax tree, one node a line: kind, what it says, where it stands. */
#include "frontend/syntax/ast.h"

const char *const oper_name[] = {
    "+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", ">=", "==", "!=", "and", "or", "-", "not"};

static const char *const kind_name[] = {
    [N_NUM] = "number",     [N_STR] = "string",        [N_BOOL] = "bool",
    [N_NONE] = "none",      [N_NAME] = "name",         [N_LIST] = "list",
    [N_UNARY] = "unary",    [N_BINARY] = "binary",     [N_COND] = "choice",
    [N_CALL] = "call",      [N_ARG] = "argument",      [N_INDEX] = "index",
    [N_SLICE] = "slice",    [N_FIELD] = "field",       [N_SEQ] = "statements",
    [N_ASSIGN] = "assign",  [N_APPEND] = "+=",         [N_EXPR] = "do",
    [N_IF] = "if",          [N_FOR] = "for",           [N_RETURN] = "return",
    [N_UPDATE] = "update",  [N_MINIMIZE] = "minimize", [N_LOG] = "log",
    [N_WITH] = "with",      [N_NOGRAD] = "nograd",     [N_BATCH] = "batch",
    [N_TYPED] = "typed",    [N_OPTION] = "option",     [N_USE] = "use",
    [N_BLOCK] = "block",    [N_NET] = "net",           [N_PARAM] = "parameter",
    [N_TRAIN] = "train",    [N_PREDICT] = "predict",   [N_FORWARD] = "forward",
    [N_MAP] = "map",        [N_ENTRY] = "entry",       [N_PREPARE] = "prepare",
    [N_SETTING] = "setting"};

int ast_count(const Ast *list) {
  int n = 0;
  for (; list; list = list->next) n++;
  return n;
}

static void print_list(FILE *out, const Ast *list, int indent) {
  for (; list; list = list->next) ast_print(out, list, indent);
}

void ast_print(FILE *out, const Ast *n, int indent) {
  if (!n) return;
  fprintf(out, "%*s%s", indent, "", kind_name[n->kind]);
  if (n->kind == N_NUM || n->kind == N_BOOL) fprintf(out, " %.17g", n->num);
  if (n->kind == N_STR) fprintf(out, " \"%s\"", n->name);
  else if (n->name) fprintf(out, " %s", n->name);
  if (n->kind == N_UNARY || n->kind == N_BINARY) fprintf(out, " %s", oper_name[n->op]);
  if (n->str) fprintf(out, " : %s", n->str);
  fprintf(out, "  @%d:%d\n", n->at.line, n->at.col);
  print_list(out, n->list, indent + 2);
  print_list(out, n->list2, indent + 2);
  ast_print(out, n->a, indent + 2);
  ast_print(out, n->b, indent + 2);
  ast_print(out, n->c, indent + 2);
}
