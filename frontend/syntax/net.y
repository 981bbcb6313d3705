/* net.y - the grammar. docs/language.md explains it. */
%code requires {
#include "frontend/syntax/parser.h"
}
%code {
#include <string.h>
static Ast *node(Parser *p, AstKind kind, const Token *at);
static Ast *children(Parser *p, Ast *n, Ast *a, Ast *b, Ast *c);
static Ast *with_list(Parser *p, Ast *n, AstList l);
static Ast *with_list2(Parser *p, Ast *n, AstList l);
static Ast *binary(Parser *p, Oper op, Ast *a, Ast *b, const Token *at);
static AstList append(AstList l, Ast *n);
static int yylex(YYSTYPE *value, YYLTYPE *loc, Parser *p);
static void yyerror(YYLTYPE *loc, Parser *p, const char *msg);
}
%define api.pure full
%define api.prefix {net_parse_}
%define parse.error custom
%define parse.lac full
%locations
%define api.location.type {Token}
%initial-action { memset(&@$, 0, sizeof @$); }
%code {
/* A rule stands where its first symbol stands. */
#define YYLLOC_DEFAULT(cur, rhs, n) ((cur) = YYRHSLOC(rhs, (n) ? 1 : 0))
enum { YYMAXDEPTH_NET = 3000 };
#undef YYMAXDEPTH
#define YYMAXDEPTH YYMAXDEPTH_NET
}
%param { Parser *p }
%union { const char *text; double num; Ast *ast; AstList list; Oper op; }

%token END 0 "end of file"
%token T_EOL "end of line"
%token <text> T_NAME "a name"
%token <num> T_NUMBER "a number"
%token <text> T_STRING "a string"
%token T_FOR "for" T_IN "in" T_IF "if" T_ELSE "else" T_RETURN "return" T_MINIMIZE "minimize" T_WITH "with"
%token T_NOGRAD "nograd" T_AND "and" T_OR "or" T_NOT "not" T_TRUE "on" T_FALSE "off" T_NONE "none"
%token T_PREDICT "predict" T_USE "use" T_OPTION "option" T_BLOCK "block" T_NET "net" T_TRAIN "train"
%token T_BATCH "batch" T_LOG "log" T_UPDATE "update" T_FORWARD "forward" T_PREPARE "prepare"
%token T_FLOORDIV "//" T_POW "**" T_LE "<=" T_GE ">=" T_EQ "==" T_NE "!=" T_APPEND "+="
%token T_VALUE_START "value"

%type <ast> stmt simple compound expr choice body else_part param arg subscript typed map value entry setting
%type <list> stmts params names args args1 exprs subscripts typeds option_list options inputs
%type <list> stmts_more settings settings_more entries entries_more

%right "if"
%left "or"
%left "and"
%precedence "not"
%nonassoc '<' '>' "<=" ">=" "==" "!="
%left '+' '-'
%left '*' '/' '%' "//"
%precedence NEGATE
%right "**"
%precedence '(' '[' '.'

%start file
%%
file: stmts { p->result = with_list(p, node(p, N_SEQ, &@1), $1); }
    | T_VALUE_START value { p->result = $2; }
    ;

/* Statements are separated by ends of lines or ';'; a '}' needs none before it. */
stmts: stmts_more { $$ = $1; }
     | stmts_more stmt { $$ = append($1, $2); }
     | stmts_more error { $$ = $1; }
     ;
stmts_more: %empty { $$ = (AstList){NULL, NULL, 0}; }
     | stmts_more sep { $$ = $1; }
     | stmts_more stmt sep { $$ = append($1, $2); }
     | stmts_more error sep { $$ = $1; yyerrok; }
     ;
sep: "end of line" | ';' ;
body: '{' stmts '}' { $$ = with_list(p, node(p, N_SEQ, &@1), $2); } ;

stmt: simple | compound ;

simple:
    names '=' map { $$ = with_list(p, children(p, node(p, N_ASSIGN, &@1), $3, NULL, NULL), $1); }
  | names '=' expr { $$ = with_list(p, children(p, node(p, N_ASSIGN, &@1), $3, NULL, NULL), $1); }
  | "a name" "+=" expr { $$ = children(p, node(p, N_APPEND, &@1), $3, NULL, NULL); $$->name = $1; }
  | choice { $$ = children(p, node(p, N_EXPR, &@1), $1, NULL, NULL); }
  | "return" exprs { $$ = with_list(p, node(p, N_RETURN, &@1), $2); }
  | "minimize" choice { $$ = children(p, node(p, N_MINIMIZE, &@1), $2, NULL, NULL); }
  | "log" "a name" '=' choice { $$ = children(p, node(p, N_LOG, &@2), $4, NULL, NULL); $$->name = $2; }
  | "use" "a string" { $$ = node(p, N_USE, &@2); $$->name = $2; }
  | "option" option_list { $$ = with_list(p, node(p, N_SEQ, &@1), $2); }
  | "update" names { $$ = with_list(p, node(p, N_UPDATE, &@1), $2); }
  ;

option_list:
    "a name" '=' value
     { Ast *n = children(p, node(p, N_OPTION, &@1), $3, NULL, NULL); n->name = $1;
       $$ = append((AstList){NULL, NULL, 0}, n); }
  | option_list ',' "a name" '=' value
     { Ast *n = children(p, node(p, N_OPTION, &@3), $5, NULL, NULL); n->name = $3; $$ = append($1, n); }
  ;

compound:
    "if" choice body else_part { $$ = children(p, node(p, N_IF, &@1), $2, $3, $4); }
  | "for" names "in" choice body { $$ = with_list(p, children(p, node(p, N_FOR, &@1), $4, $5, NULL), $2); }
  | "with" "a name" '(' names ')' body
     { $$ = with_list(p, children(p, node(p, N_WITH, &@2), NULL, $6, NULL), $4); $$->name = $2; }
  | "nograd" body { $$ = children(p, node(p, N_NOGRAD, &@1), NULL, $2, NULL); }
  | "update" names "with" choice body
     { $$ = with_list(p, children(p, node(p, N_UPDATE, &@1), $4, $5, NULL), $2); }
  | "update" names body { $$ = with_list(p, children(p, node(p, N_UPDATE, &@1), NULL, $3, NULL), $2); }
  | "batch" "a name" options '{' typeds '}'
     { $$ = with_list2(p, with_list(p, node(p, N_BATCH, &@2), $5), $3); $$->name = $2; }
  | "block" "a name" '(' params ')' body
     { $$ = with_list(p, children(p, node(p, N_BLOCK, &@2), NULL, $6, NULL), $4); $$->name = $2; }
  | "net" "a name" '(' params ')' body
     { $$ = with_list(p, children(p, node(p, N_NET, &@2), NULL, $6, NULL), $4); $$->name = $2; }
  | "net" "a name" '(' params ';' params ')' body
     { $$ = with_list2(p, with_list(p, children(p, node(p, N_NET, &@2), NULL, $8, NULL), $4), $6);
       $$->name = $2; }
  | "prepare" '{' settings '}' { $$ = with_list(p, node(p, N_PREPARE, &@1), $3); }
  | "train" "a name" options body
     { $$ = with_list2(p, children(p, node(p, N_TRAIN, &@2), NULL, $4, NULL), $3); $$->name = $2; }
  | "predict" '(' inputs ')' body
     { $$ = with_list(p, children(p, node(p, N_PREDICT, &@1), NULL, $5, NULL), $3); $$->name = "predict"; }
  | "forward" "a name" '(' inputs ')' body
     { $$ = with_list(p, children(p, node(p, N_FORWARD, &@2), NULL, $6, NULL), $4); $$->name = $2; }
  ;

else_part: %empty { $$ = NULL; }
  | "else" body { $$ = $2; }
  | "else" "if" choice body else_part { $$ = children(p, node(p, N_IF, &@2), $3, $4, $5); }
  ;

options: %empty { $$ = (AstList){NULL, NULL, 0}; } | '(' args ')' { $$ = $2; } ;
inputs: typed { $$ = append((AstList){NULL, NULL, 0}, $1); } | inputs ',' typed { $$ = append($1, $3); } ;
/* The fields of a batch: one a line, or separated by commas. */
typeds: %empty { $$ = (AstList){NULL, NULL, 0}; }
  | typeds typed { $$ = append($1, $2); } | typeds "end of line" | typeds ',' | typeds ';' ;
typed: "a name" ':' "a name" '[' exprs ']'
     { $$ = with_list(p, node(p, N_TYPED, &@1), $5); $$->name = $1; $$->str = $3; } ;

/* The settings of prepare, apart as statements are. */
settings: settings_more | settings_more setting { $$ = append($1, $2); } ;
settings_more: %empty { $$ = (AstList){NULL, NULL, 0}; }
  | settings_more sep | settings_more setting sep { $$ = append($1, $2); }
  ;
setting: "a name" '=' value
     { $$ = children(p, node(p, N_SETTING, &@1), $3, NULL, NULL); $$->name = $1; } ;

/* A map stands where it is given a name: braces inside an expression would be taken for a body. */
value: choice | map ;
map: '{' entries '}' { $$ = with_list(p, node(p, N_MAP, &@1), $2); } ;
entries: entries_more | entries_more entry { $$ = append($1, $2); } ;
entries_more: %empty { $$ = (AstList){NULL, NULL, 0}; }
  | entries_more entry_end | entries_more entry entry_end { $$ = append($1, $2); }
  ;
entry_end: "end of line" | ',' ;
entry: choice ':' choice { $$ = children(p, node(p, N_ENTRY, &@1), $1, $3, NULL); } ;

params: %empty { $$ = (AstList){NULL, NULL, 0}; }
  | param { $$ = append((AstList){NULL, NULL, 0}, $1); }
  | params ',' param { $$ = append($1, $3); }
  ;
param: "a name" { $$ = node(p, N_PARAM, &@1); $$->name = $1; }
  | "a name" '=' choice { $$ = children(p, node(p, N_PARAM, &@1), $3, NULL, NULL); $$->name = $1; }
  ;
names: "a name" { Ast *n = node(p, N_NAME, &@1); n->name = $1; $$ = append((AstList){NULL, NULL, 0}, n); }
  | names ',' "a name" { Ast *n = node(p, N_NAME, &@3); n->name = $3; $$ = append($1, n); }
  ;

/* A right-hand side: one value, or several that make a list. */
expr: choice
  | choice ',' exprs 
     { AstList l = append((AstList){NULL, NULL, 0}, $1);
                       l.last->next = $3.first; l.last = $3.last;
                       l.depth = l.depth > $3.depth ? l.depth : $3.depth;
                       $$ = with_list(p, node(p, N_LIST, &@1), l); }
  ;
exprs: choice { $$ = append((AstList){NULL, NULL, 0}, $1); } | exprs ',' choice { $$ = append($1, $3); } ;

choice:
    "a name" { $$ = node(p, N_NAME, &@1); $$->name = $1; }
  | "a number" { $$ = node(p, N_NUM, &@1); $$->num = $1; }
  | "a string" { $$ = node(p, N_STR, &@1); $$->name = $1; }
  | "on" { $$ = node(p, N_BOOL, &@1); $$->num = 1; }
  | "off" { $$ = node(p, N_BOOL, &@1); }
  | "none" { $$ = node(p, N_NONE, &@1); }
  | '(' choice ')' { $$ = $2; }
  | '[' ']' { $$ = node(p, N_LIST, &@1); }
  | '[' exprs ']' { $$ = with_list(p, node(p, N_LIST, &@1), $2); }
  | '[' exprs ',' ']' { $$ = with_list(p, node(p, N_LIST, &@1), $2); }
  | choice '(' args ')' { $$ = with_list(p, children(p, node(p, N_CALL, &@1), $1, NULL, NULL), $3); }
  | choice '[' subscripts ']' { $$ = with_list(p, children(p, node(p, N_INDEX, &@1), $1, NULL, NULL), $3); }
  | choice '.' "a name" { $$ = children(p, node(p, N_FIELD, &@3), $1, NULL, NULL); $$->name = $3; }
  | choice "if" choice "else" choice %prec "if" { $$ = children(p, node(p, N_COND, &@2), $1, $3, $5); }
  | choice "or" choice { $$ = binary(p, B_OR, $1, $3, &@2); }
  | choice "and" choice { $$ = binary(p, B_AND, $1, $3, &@2); }
  | "not" choice { $$ = binary(p, B_NOT, $2, NULL, &@1); }
  | choice '<' choice { $$ = binary(p, B_LT, $1, $3, &@2); }
  | choice '>' choice { $$ = binary(p, B_GT, $1, $3, &@2); }
  | choice "<=" choice { $$ = binary(p, B_LE, $1, $3, &@2); }
  | choice ">=" choice { $$ = binary(p, B_GE, $1, $3, &@2); }
  | choice "==" choice { $$ = binary(p, B_EQ, $1, $3, &@2); }
  | choice "!=" choice { $$ = binary(p, B_NE, $1, $3, &@2); }
  | choice '+' choice { $$ = binary(p, B_ADD, $1, $3, &@2); }
  | choice '-' choice { $$ = binary(p, B_SUB, $1, $3, &@2); }
  | choice '*' choice { $$ = binary(p, B_MUL, $1, $3, &@2); }
  | choice '/' choice { $$ = binary(p, B_DIV, $1, $3, &@2); }
  | choice '%' choice { $$ = binary(p, B_MOD, $1, $3, &@2); }
  | choice "//" choice { $$ = binary(p, B_FLOORDIV, $1, $3, &@2); }
  | choice "**" choice { $$ = binary(p, B_POW, $1, $3, &@2); }
  | '-' choice %prec NEGATE { $$ = binary(p, B_NEG, $2, NULL, &@1); }
  ;

args: %empty { $$ = (AstList){NULL, NULL, 0}; } | args1 | args1 ',' { $$ = $1; } ;
args1: arg { $$ = append((AstList){NULL, NULL, 0}, $1); } | args1 ',' arg { $$ = append($1, $3); } ;
arg: choice { $$ = children(p, node(p, N_ARG, &@1), $1, NULL, NULL); }
  | "a name" '=' choice { $$ = children(p, node(p, N_ARG, &@1), $3, NULL, NULL); $$->name = $1; }
  ;
subscripts: subscript { $$ = append((AstList){NULL, NULL, 0}, $1); }
   | subscripts ',' subscript { $$ = append($1, $3); } ;
subscript: choice
  | ':' { $$ = node(p, N_SLICE, &@1); }
  | choice ':' { $$ = children(p, node(p, N_SLICE, &@2), $1, NULL, NULL); }
  | ':' choice { $$ = children(p, node(p, N_SLICE, &@1), NULL, $2, NULL); }
  | choice ':' choice { $$ = children(p, node(p, N_SLICE, &@2), $1, $3, NULL); }
  ;
%%

static Ast *node(Parser *p, AstKind kind, const Token *at) {
  Ast *n = arena_alloc(p->arena, sizeof *n);
  n->kind = kind;
  n->at = (Loc){p->src ? p->src->path : "-D", at->line, at->col, NULL, NULL};
  n->depth = 1;
  return n;
}

/* Every later walk over the tree recurses; the height is bounded here, once. */
static void raise_depth(Parser *p, Ast *n, int child) {
  if (child + 1 > n->depth) n->depth = child + 1;
  if (n->depth > MAX_AST_DEPTH && !p->too_deep) {
    p->too_deep = true;
    parser_error(p, n->at.line, n->at.col, "nested more than %d levels deep; name a part of it",
                 MAX_AST_DEPTH);
  }
}

static Ast *children(Parser *p, Ast *n, Ast *a, Ast *b, Ast *c) {
  n->a = a, n->b = b, n->c = c;
  Ast *kid[3] = {a, b, c};
  for (int i = 0; i < 3; i++)
    if (kid[i]) raise_depth(p, n, kid[i]->depth);
  return n;
}

static Ast *with_list(Parser *p, Ast *n, AstList l) {
  n->list = l.first;
  raise_depth(p, n, l.depth);
  return n;
}

static Ast *with_list2(Parser *p, Ast *n, AstList l) {
  n->list2 = l.first;
  raise_depth(p, n, l.depth);
  return n;
}

static Ast *binary(Parser *p, Oper op, Ast *a, Ast *b, const Token *at) {
  Ast *n = children(p, node(p, b ? N_BINARY : N_UNARY, at), a, b, NULL);
  n->op = op;
  return n;
}

static AstList append(AstList l, Ast *n) {
  if (n->depth > l.depth) l.depth = n->depth;
  if (l.last) l.last->next = n;
  else l.first = n;
  l.last = n;
  return l;
}

static int yylex(YYSTYPE *value, YYLTYPE *loc, Parser *p) {
  if (p->too_deep) return END;
  const Token *t = &p->tok[p->pos];
  if (p->pos + 1 < p->ntok) p->pos++;
  *loc = *t;
  if (t->code == T_NUMBER) value->num = t->num;
  else value->text = t->text;
  return t->code;
}

static void yyerror(YYLTYPE *loc, Parser *p, const char *msg) {
  (void)msg; /* syntax errors come through yyreport_syntax_error: what is left is the stack's limit */
  parser_error(p, loc->line, loc->col, "nested too deeply");
}

static bool begins(const Token *t) { /* a statement begins behind it */
  return !t || t->code == '{' || t->code == ';' || t->code == T_EOL;
}

/* What those mean who come from another language; `at` is the token that does not fit, the last one read. */
static const char *hint(const Parser *p, const Token *at) {
  const Token *last = p->pos >= 2 ? &p->tok[p->pos - 2] : NULL, *before = p->pos >= 3 ? last - 1 : NULL;
  bool goes_on = p->tok[p->pos].line == at->line;
  static const struct { const char *word, *hint; } words[] = {
    {"elif", "; write else if"}, {"def", "; functions are written block NAME(..) { }"},
    {"function", "; functions are written block NAME(..) { }"},
    {"class", "; networks are written net NAME(x; ..) { }"},
    {"while", "; loops are written for NAME in LIST { }"}, {"import", "; files are read by use \"path.net\""},
    {"from", "; files are read by use \"path.net\""}, {"use", "; a path stands in double quotes"},
  };
  for (int k = 0; k < 2; k++) {
    const Token *t = k ? last : at;
    for (size_t i = 0; t && t->code == T_NAME && i < sizeof words / sizeof *words; i++)
      if (!strcmp(t->text, words[i].word)) return words[i].hint;
  }
  if (last && last->code == T_NAME && begins(before) && goes_on && (at->code == ':' || at->code == T_NUMBER))
    return "; a value is given by =";
  if (last && last->code == T_STRING && (at->code == T_NUMBER || at->code == T_STRING))
    return "; what follows stands behind a comma or in a new line";
  if (at->code == ':') return "; bodies stand in { }";
  if (at->code == '=' && last && (last->code == ']' || last->code == ')'))
    return "; only a name can be given a value";
  return "";
}

static int yyreport_syntax_error(const yypcontext_t *ctx, Parser *p) {
  const Token *at = yypcontext_location(ctx);
  if (p->too_deep) return 0;
  yysymbol_kind_t want[5];
  int n = yypcontext_expected_tokens(ctx, want, 5);
  char list[160] = "";
  for (int i = 0; i < n && n < 5; i++) {
    size_t used = strlen(list);
    snprintf(list + used, sizeof list - used, "%s%s",
             i == 0 ? ", expected " : i == n - 1 ? " or " : ", ", yysymbol_name(want[i]));
  }
  const char *got = yysymbol_name(yypcontext_token(ctx));
  if (!strncmp(got, "a ", 2)) got += 2;
  bool word = at->code == T_NAME && at->text;
  const char *more = hint(p, at);
  parser_error(p, at->line, at->col, "unexpected %s%s%.40s%s%s%s",
               word ? "name" : got, word ? " '" : "", word ? at->text : "",
               word ? "'" : "", *more ? "" : list, more);
  return 0;
}
