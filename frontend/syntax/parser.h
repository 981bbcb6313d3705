/* parser.h - what scanner, token filter and grammar share. */
#ifndef NETC_PARSER_H
#define NETC_PARSER_H
#include "frontend/syntax/ast.h"

typedef struct {
  int code; /* token of net.tab.h */
  int line, col;
  const char *text; /* names and strings */
  double num;
} Token;

typedef struct Parser {
  Arena *arena;
  Diag *diag; /* NULL: report nothing */
  const Source *src;
  Token *tok;
  int ntok, captok, pos;
  int line, col; /* of the scanner */
  int errors;
  bool too_deep;
  Ast *result;
} Parser;

/* net.l: all tokens of the text, `end of line` tokens included. false after reporting an error. */
bool scan_text(Parser *p, const char *text, size_t size);
/* parse.c */
void parser_error(Parser *p, int line, int col, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* parse.c: drops ends of lines that end no statement and tells words from keywords by what follows them. */
void filter_tokens(Parser *p);
#endif
