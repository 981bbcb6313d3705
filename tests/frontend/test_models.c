/* test_models.c - the shipped models: they compile at several settings, the graph verifies and survives
 * printing and parsing, and the networks have the parameters and multiply-adds that the literature's
 * implementations have. */
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "frontend/frontend.h"

enum { MAX_DEFINES = 12 };

typedef struct {
  const char *path;
  const char *define[MAX_DEFINES]; /* "name=value" */
} Case;

/* Compiles with gradients; the test fails with the messages on stderr when it does not. */
static Program *compile(Arena *a, const Case *c) {
  Define d[MAX_DEFINES];
  int n = 0;
  for (; n < MAX_DEFINES && c->define[n]; n++) {
    char *name = arena_strdup(a, c->define[n]), *eq = strchr(name, '=');
    *eq = 0;
    d[n] = (Define){name, eq + 1};
  }
  FrontendOptions opt = {.define = d, .ndefine = n, .diag = stderr, .grads = true};
  const char *options;
  Program *p = frontend_compile(a, c->path, &opt, &options);
  assert_non_null(p);
  return p;
}

static char *printed(const Program *p, size_t *size) {
  char *text;
  FILE *f = open_memstream(&text, size);
  ir_print(f, p);
  fclose(f);
  return text;
}

/* Verifies, prints, parses, prints again: both texts are the same. Places are comments in the text, so
 * without them. */
static void check_graph(Arena *a, const Program *p) {
  char err[IR_ERR] = "";
  for (int i = 0; i < p->nfn; i++)
    for (int k = 0; k < p->fn[i]->n; k++) p->fn[i]->node[k].loc = NULL;
  if (!ir_verify(p, err)) fail_msg("%s", err);
  size_t n1, n2;
  char *one = printed(p, &n1);
  Program *q = ir_parse(a, one, err);
  if (!q) fail_msg("%s", err);
  char *two = printed(q, &n2);
  assert_int_equal(n1, n2);
  assert_memory_equal(one, two, n1);
  free(one);
  free(two);
}

static int net_index(const Program *p, const char *name) {
  for (int i = 0; i < p->nnet; i++)
    if (!strcmp(p->net[i].name, name)) return i;
  fail_msg("no network %s", name);
  return -1;
}

static int64_t count(const Program *p, const char *net, Role role) {
  int64_t n = 0;
  int k = net_index(p, net);
  for (int i = 0; i < p->nvar; i++)
    if (p->var[i].net == k && p->var[i].role == role) n += type_count(p->var[i].type);
  return n;
}

static const Case cases[] = {
    {"models/unet.net", {0}},
    {"models/unet.net", {"widths=[8,16]", "batch=2", "size=[32,48]", "channels=3", "classes=4"}},
    {"models/unet.net", {"widths=[4,8,16]", "batch=1", "size=[8,16,32]"}},
    {"models/mean_teacher.net", {"widths=[8,16]", "size=[32,32]"}},
    {"models/asenet.net", {0}},
    {"models/asenet.net", {"widths=[16,32,64]", "size=[32,64]", "reading=code", "batch=2"}},
    {"models/asenet.net", {"widths=[8,16]", "size=[16,16]", "d1=off", "channels=3", "classes=3"}},
    {"models/asenet.net", {"widths=[8,16]", "size=[16,16]", "d2=off", "dybac=off"}},
    {"models/asenet.net", {"widths=[8,16]", "size=[16,16]", "d1=off", "d2=off", "reading=\"code\""}},
    {"models/vnet.net", {"size=[32,16,48]", "n_filters=2"}},
    {"models/asenet3d.net", {"size=[16,16,32]", "n_filters=16"}},
};

TEST(models_compile) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Arena *a = arena_new();
    check_graph(a, compile(a, &cases[i]));
    arena_free(a);
  }
}

typedef struct {
  Case c;
  const char *net;
  int64_t parameters;
  double gmacs; /* multiply-adds in units of 1e9, 0: not given */
} Count;

static const Count counts[] = {
    {{"models/unet.net", {0}}, "student", 34525954, 0},
    {{"models/unet.net", {"classes=1"}}, "student", 34525889, 65.27},
    {{"models/unet.net", {"channels=3"}}, "student", 34527106, 0},
    {{"models/mean_teacher.net", {0}}, "student", 34525954, 0},
    {{"models/asenet.net", {0}}, "student", 5425146, 0},
    {{"models/asenet.net", {"classes=1"}}, "student", 5425081, 9.46},
    {{"models/asenet.net", {0}}, "discriminator1", 253519, 0.154},
    {{"models/asenet.net", {0}}, "discriminator2", 253519, 0.154},
    {{"models/vnet.net", {0}}, "student", 9448866, 40.11},
    {{"models/vnet.net", {"classes=1"}}, "student", 9448849, 40.09},
    {{"models/asenet3d.net", {0}}, "student", 4068311, 0},
    {{"models/asenet3d.net", {"classes=1"}}, "student", 4068294, 16.73},
    {{"models/asenet3d.net", {0}}, "discriminator1", 257295, 0.968},
};

TEST(networks_have_their_size) {
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    Arena *a = arena_new();
    const Count *c = &counts[i];
    Program *p = compile(a, &c->c);
    assert_int_equal(count(p, c->net, ROLE_PARAM), c->parameters);
    /* The published values are rounded: to 3 decimals below 1, else to 2. */
    double rounding = c->gmacs < 1 ? 0.0005 : 0.005;
    if (c->gmacs > 0) assert_float_equal(p->net[net_index(p, c->net)].macs / 1e9, c->gmacs, rounding);
    arena_free(a);
  }
}

/* What the text says of options is what is in force; the average has the student's parameters. */
TEST(options_are_told) {
  Arena *a = arena_new();
  Define d[] = {{"batch", "2"}, {"size", "[32, 32]"}, {"widths", "[8,16]"}, {"reading", "code"}};
  FrontendOptions opt = {.define = d, .ndefine = 4, .diag = stderr};
  const char *options = NULL;
  Program *p = frontend_compile(a, "models/asenet.net", &opt, &options);
  assert_non_null(p);
  const char *first = "batch=2 size=[32,32] channels=1 classes=2 widths=[8,16] d1=on ";
  assert_memory_equal(options, first, strlen(first));
  assert_non_null(strstr(options, " reading=\"code\" "));
  assert_non_null(strstr(options, " augment=[] ")); /* a default that follows another option */
  assert_int_equal(p->classes, 2);
  assert_int_equal(p->max_iterations, 30000);
  assert_int_equal(count(p, "teacher", ROLE_EMA), count(p, "student", ROLE_PARAM));
  assert_int_equal(p->nstream, 2);
  assert_int_equal(p->stream[0].source, SRC_LABELED);
  assert_int_equal(p->stream[1].source, SRC_UNLABELED);
  arena_free(a);
}

RUN_TESTS(NULL, NULL)
