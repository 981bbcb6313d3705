/* parse.c - from text to tree: scanner, token filter, grammar. */
#include <string.h>
#include "frontend/syntax/parser.h"
#include "net.tab.h"

void parser_error(Parser *p, int line, int col, const char *fmt, ...) {
  p->errors++;
  if (!p->diag) return;
  char text[400];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  Loc *loc = arena_alloc(p->arena, sizeof *loc);
  *loc = (Loc){p->src->path, line, col, NULL, NULL};
  diag_error(p->diag, loc, "%s", text);
}

/* Words that are keywords only at the start of a statement and before a name (a string, a brace), so that
 * `batch`, `log` and `train` stay usable as names and functions. */
static const struct {
  const char *word;
  int code, next;
} soft[] = {
    {"use", T_USE, T_STRING},    {"option", T_OPTION, T_NAME}, {"block", T_BLOCK, T_NAME},
    {"net", T_NET, T_NAME},      {"train", T_TRAIN, T_NAME},   {"batch", T_BATCH, T_NAME},
    {"log", T_LOG, T_NAME},      {"update", T_UPDATE, T_NAME}, {"forward", T_FORWARD, T_NAME},
    {"prepare", T_PREPARE, '{'},
};

static int soft_keyword(const Token *t, const Token *next) {
  if (t->code != T_NAME) return t->code;
  for (size_t i = 0; i < sizeof soft / sizeof *soft; i++)
    if (!strcmp(t->text, soft[i].word) && next->code == soft[i].next) return soft[i].code;
  return t->code;
}

/* Can a statement end after this token? Otherwise a line end behind it means nothing. */
static bool ends_statement(int code) {
  switch (code) {
  case T_NAME:
  case T_NUMBER:
  case T_STRING:
  case T_TRUE:
  case T_FALSE:
  case T_NONE:
  case ')':
  case ']':
  case '}':
  case T_RETURN: return true;
  default: return false;
  }
}

static void never_closed(Parser *p, Token open) {
  parser_error(p, open.line, open.col, "this '%c' is never closed", open.code);
}

void filter_tokens(Parser *p) {
  int out = 0, depth = 0; /* depth: open ( and [ */
  bool start = true;      /* at the start of a statement */
  Token open = {0};       /* the last outermost bracket opened */
  Token *body = NULL;     /* the '{' that are open */
  int nbody = 0, capbody = 0;
  for (int i = 0; i < p->ntok; i++) {
    Token t = p->tok[i];
    const Token *next = &p->tok[i + 1 < p->ntok ? i + 1 : i];
    if (t.code == T_EOL) {
      int j = i;
      while (j < p->ntok && p->tok[j].code == T_EOL) j++;
      bool before_else = j < p->ntok && p->tok[j].code == T_ELSE;
      int last = out ? p->tok[out - 1].code : T_EOL;
      if (depth > 0 || before_else || !ends_statement(last)) continue;
    } else if (start) {
      t.code = soft_keyword(&t, next);
    }
    if ((t.code == '(' || t.code == '[') && depth++ == 0) open = t;
    if (depth > 0 && (t.code == 0 || t.code == '{' || t.code == '}')) { /* no body stands in parentheses */
      never_closed(p, open);
      depth = 0;
    }
    if ((t.code == ')' || t.code == ']') && depth > 0) depth--;
    if (t.code == '{') *ARENA_PUSH(p->arena, body, nbody, capbody) = t;
    if (t.code == '}' && nbody-- == 0) {
      parser_error(p, t.line, t.col, "this '}' closes nothing");
      nbody = 0;
    }
    if (t.code == 0 && nbody > 0) never_closed(p, body[nbody - 1]);
    start = t.code == T_EOL || t.code == ';' || t.code == '{' || t.code == '}';
    p->tok[out++] = t;
  }
  p->ntok = out;
}

static bool tokens(Parser *p, const char *text, size_t size, bool value) {
  if (value) ARENA_PUSH(p->arena, p->tok, p->ntok, p->captok)->code = T_VALUE_START;
  scan_text(p, text, size);
  *ARENA_PUSH(p->arena, p->tok, p->ntok, p->captok) = (Token){0, p->line, p->col, NULL, 0};
  filter_tokens(p);
  return p->errors == 0;
}

Ast *parse_source(Diag *d, const Source *src) {
  Parser p = {.arena = d->arena, .diag = d, .src = src};
  /* Behind a wrong character or bracket the grammar would complain of what follows from it. */
  if (!tokens(&p, src->text, src->size, false) || net_parse_parse(&p) != 0 || p.errors) return NULL;
  return p.result;
}

Ast *parse_value(Arena *a, const char *text) {
  Parser p = {.arena = a};
  if (!tokens(&p, text, strlen(text), true)) return NULL;
  if (net_parse_parse(&p) != 0 || p.errors) return NULL;
  return p.result;
}
