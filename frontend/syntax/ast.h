/* ast.h - the syntax tree of a .net file. One node type; which fields a kind uses stands beside the kind. */
#ifndef NETC_AST_H
#define NETC_AST_H
#include "frontend/syntax/diag.h"

typedef enum {
  /* expressions */
  N_NUM,  /* num */
  N_STR,  /* name: the text */
  N_BOOL, /* num: 0 or 1 */
  N_NONE,
  N_NAME,   /* name */
  N_LIST,   /* list: elements */
  N_UNARY,  /* op; a */
  N_BINARY, /* op; a, b */
  N_COND,   /* a if b else c */
  N_CALL,   /* a: callee; list: arguments (N_ARG) */
  N_ARG,    /* name: keyword or NULL; a: value */
  N_INDEX,  /* a: what; list: subscripts (expressions or N_SLICE) */
  N_SLICE,  /* a, b: bounds, NULL = open */
  N_FIELD,  /* a . name */
  N_MAP,    /* list: entries (N_ENTRY) */
  N_ENTRY,  /* a: key; b: value */
  /* statements */
  N_SEQ,      /* list */
  N_ASSIGN,   /* list: targets (N_NAME); a: value */
  N_APPEND,   /* name += a */
  N_EXPR,     /* a */
  N_IF,       /* a: condition; b: then; c: else or NULL */
  N_FOR,      /* list: names; a: what to go over; b: body */
  N_RETURN,   /* list: values */
  N_UPDATE,   /* list: networks; a: optimiser or NULL; b: body or NULL */
  N_MINIMIZE, /* a */
  N_LOG,      /* name = a */
  N_WITH,     /* name: eval or train; list: networks; b: body */
  N_NOGRAD,   /* b: body */
  N_BATCH,    /* name; list2: options (N_ARG); list: fields (N_TYPED) */
  N_TYPED,    /* name : type[..]; str: f32, label or sdf; list: extents */
  N_OPTION,   /* name = a */
  N_PREPARE,  /* list: settings (N_SETTING) */
  N_SETTING,  /* name = a */
  /* definitions */
  N_USE,     /* name: the path */
  N_BLOCK,   /* name; list: parameters; b: body */
  N_NET,     /* name; list: inputs; list2: configuration; b: body */
  N_PARAM,   /* name; a: default or NULL */
  N_TRAIN,   /* name; list2: how it validates (N_ARG); b: body */
  N_PREDICT, /* list: inputs (N_TYPED); b: body */
  N_FORWARD, /* name; list: inputs (N_TYPED); b: body */
} AstKind;

typedef enum {
  B_ADD,
  B_SUB,
  B_MUL,
  B_DIV,
  B_FLOORDIV,
  B_MOD,
  B_POW,
  B_LT,
  B_LE,
  B_GT,
  B_GE,
  B_EQ,
  B_NE,
  B_AND,
  B_OR,
  B_NEG,
  B_NOT
} Oper;
extern const char *const oper_name[];

typedef struct Ast {
  AstKind kind;
  Oper op;
  Loc at;    /* file, line, col; block and caller are NULL */
  int depth; /* height of this subtree, bounded by the parser */
  const char *name, *str;
  double num;
  struct Ast *a, *b, *c, *list, *list2, *next; /* lists are chained by `next` */
} Ast;

/* A list under construction. */
typedef struct {
  Ast *first, *last;
  int depth;
} AstList;

enum { MAX_AST_DEPTH = 250 };

/* Parses a file; NULL after reporting errors. */
Ast *parse_source(Diag *d, const Source *src);
/* Parses one expression (the value of a -D option); NULL when it is none. Reports nothing. */
Ast *parse_value(Arena *a, const char *text);
void ast_print(FILE *out, const Ast *n, int indent);
int ast_count(const Ast *list);
#endif
