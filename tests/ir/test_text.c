/* test_text.c - the text form: what is printed parses back to the same text, and no text harms the parser. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "ir/prepare.h"
#include "ir/validate.h"
#include "tests/ir/gen.h"

/* The printed program, to be freed. */
static char *printed(const Program *p) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  ir_print(out, p);
  fclose(out);
  return text;
}

/* Print, parse, verify, print: the texts must agree. */
static void round_trip(const Program *p) {
  char err[IR_ERR] = "";
  char *first = printed(p);
  Arena *a = arena_new();
  Program *q = ir_parse(a, first, err);
  if (!q) fail_msg("%s\n%s", err, first);
  if (!ir_verify(q, err)) fail_msg("%s\n%s", err, first);
  char *second = printed(q);
  assert_string_equal(first, second);
  free(first);
  free(second);
  arena_free(a);
}

/* One of everything a program can hold. */
static const char whole[] =
    "# a comment\n"
    "program \"models/\\\"x\\\".net\" classes 2 epoch_iterations 100 max_iterations 6000 sites 3 storage "
    "bf16 winograd off tf32 off\n"
    "net \"student\" macs 1152\n"
    "var \"student.w\" : f32[2,1,3,3] init uniform -0.33333333333333331 0.33333333333333331 role param net "
    "\"student\" "
    "order [2,3,1,0]\n"
    "var \"teacher.w\" : f32[2,1,3,3] init copy \"student.w\" role ema order [2,3,1,0]\n"
    "var \"student.mean\" : f32[2] init normal 0 0.10000000000000001 role buffer\n"
    "var \"count\" : i32[] init const 7 role optim\n"
    "stream \"labeled\" source labeled augment [flip,rotate(15,0,0.5),noise] strong "
    "[cutout,gamma(0.5,2,1,0.10000000000000001),gamma] foreground 0.33000000000000002 {\n"
    "  image \"image\" : f32[1,1,8,8]\n"
    "  label \"mask\" : i32[1,1,8,8]\n"
    "  regions \"regions\" : f32[1,2,8,8]\n"
    "}\n"
    "prepare {\n"
    "  channel \"t1\"\n"
    "  spacing fixed [0.77000000000000002,0]\n"
    "  image_order linear mask_order linear\n"
    "  orientation \"LPS\" plane axial crop nonzero\n"
    "  intensity fixed clip -1 2 mean 0.5 deviation 0.25 scale 255\n"
    "  class \"background\" class \"a \\\"b\\\"\"\n"
    "  label -3 class 0 label colour 16711680 class 1 label 255 ignored\n"
    "  region \"all \\\"b\\\"\" of [1] region \"none\" of []\n"
    "  overlap 0.25 stride [4,8] weight gaussian post largest post fill drop 1.5\n"
    "}\n"
    "validate every 500 best hd95 val \"20%\"\n"
    "stream \"u\" source all { image \"image\" : f32[1,1,8,8] sdf \"sdf\" : f32[1,1,8,8] }\n"
    "fn train \"step\" {\n"
    "  %x = input \"labeled.image\" : f32[1,1,8,8] order [0,2,3,1]\n"
    "  %w = var \"student.w\" order [2,3,1,0]\n"
    "  %noise = rand {mode=1, site=2} : f32[1,1,8,8]\n"
    "  %xn = add %x %noise\n"
    "  %y = conv %xn %w {stride=[1,1], pad=[1,1], bf16=1} : f32[1,2,8,8] order [0,2,3,1] group 0\n"
    "  %sq = powc %y {value=2} : bf16[1,2,8,8] group 0\n"
    "  %s = sum %sq {axes=[0,1,2,3]} group 1\n"
    "  %loss = reshape %s : f32[]\n"
    "  %g = grad %loss %w\n"
    "  %inf = const {value=-inf} : f32[]\n"
    "  %lr = const {value=0.01}: f32[]\n"
    "  %step = mul %g %lr\n"
    "  %new = sub %w %step\n"
    "  kernel 0 kind 1 anchor %y\n"
    "  kernel 1 kind 0\n"
    "  store \"student.w\" = %new\n"
    "  output \"loss\" = %loss\n"
    "  output \"weird \\x01 name\" = %inf\n"
    "}\n"
    "fn predict \"predict\" { %0 = input \"image\" : f32[1,1,8,8] output \"y\" = %0 }\n";

TEST(a_whole_program_is_read_and_printed_the_same) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  Program *p = ir_parse(a, whole, err);
  if (!p) fail_msg("%s", err);
  if (!ir_verify(p, err)) fail_msg("%s", err);
  assert_string_equal(p->source, "models/\"x\".net");
  assert_int_equal(p->nvar, 4);
  assert_int_equal(p->var[1].init.kind, INIT_COPY);
  assert_int_equal(p->var[0].order[0], 2);
  assert_int_equal(p->stream[0].naugment, 3);
  assert_int_equal(p->stream[0].augment[1].kind, AUG_ROTATE);
  assert_true(p->stream[0].augment[1].value[0] == 15 && p->stream[0].augment[1].p == 0.5);
  assert_true(p->stream[0].augment[2].value[1] == 0.1 && p->stream[0].foreground == 0.33);
  assert_int_equal(p->stream[0].nstrong, 3);
  assert_true(p->stream[0].strong[1].value[2] == 1 && p->stream[0].strong[2].value[2] == 0);
  assert_int_equal(p->stream[1].field[1].kind, FIELD_SDF);
  Fn *f = prog_find_fn(p, "step");
  assert_int_equal(f->node[4].at.geom.pad[1], 1);
  assert_int_equal(f->node[4].at.bf16, 1);
  assert_int_equal(f->node[4].group, 0);
  assert_int_equal(f->node[4].order[3], 1);
  assert_int_equal(f->group[0].anchor, 4);
  assert_int_equal(p->storage, BF16);
  assert_false(p->winograd || p->tf32);
  assert_int_equal(f->node[5].type.dt, BF16);
  assert_int_equal(type_bytes(f->node[5].type), 2 * 128);
  assert_int_equal(f->node[6].type.dt, F32);
  assert_int_equal(f->node[6].at.axes, 15);
  const Prepare *r = p->prepare;
  assert_non_null(r);
  assert_int_equal(r->nchannel, 1);
  assert_int_equal(r->spacing, SPACING_FIXED);
  assert_true(r->mm[0] == 0.77 && r->mm[1] == 0);
  assert_int_equal(r->nintensity, 1);
  assert_true(r->intensity->clip && r->intensity->hi == 2 && r->intensity->scale == 255);
  assert_string_equal(r->class_name[1], "a \"b\"");
  assert_int_equal(r->nlabel, 3);
  assert_int_equal(r->label[0].value, -3);
  assert_int_equal(r->label[1].colour, 0xff0000);
  assert_true(prepare_ignores(r));
  assert_int_equal(p->stream[0].field[2].kind, FIELD_REGIONS);
  assert_int_equal(r->nregion, 2);
  assert_string_equal(r->region[0], "all \"b\"");
  assert_true(r->member[0] == 0 && r->member[1] == 1);
  assert_int_equal(r->stride[1], 8);
  assert_int_equal(r->post, 1 << POST_LARGEST | 1 << POST_FILL);
  assert_true(r->drop == 1.5);
  const Validation *v = p->validation;
  assert_non_null(v);
  assert_int_equal(v->every, 500);
  assert_int_equal(v->best, BEST_hd95);
  assert_string_equal(v->val, "20%");
  round_trip(p);
  arena_free(a);
}

TEST(random_graphs_print_and_read_back_the_same) {
  for (uint64_t seed = 0; seed < 200; seed++) {
    Arena *a = arena_new();
    Program *p = prog_new(a);
    Gen g = gen_new(p, seed, GEN_ALL);
    if (!gen_fn(&g, "random", 40)) fail_msg("seed %d: %s", (int)seed, g.f->err);
    round_trip(p);
    arena_free(a);
  }
}

/* The generator is only worth its name if every op (META aside) comes out of it. */
TEST(the_generator_makes_every_op) {
  int seen[OP_COUNT] = {0};
  Arena *a = arena_new();
  Program *p = prog_new(a);
  for (uint64_t seed = 0; seed < 60; seed++) {
    Gen g = gen_new(p, seed, GEN_ALL);
    Fn *f = gen_fn(&g, "random", 60);
    assert_non_null(f);
    for (int i = 0; i < f->n; i++) seen[f->node[i].op]++;
  }
  for (int op = 0; op < OP_COUNT; op++)
    if (op_info[op].cls != META && op != OP_var && !seen[op])
      fail_msg("no %s in any graph", op_info[op].name);
  arena_free(a);
}

/* Floats of every size come back bit for bit, and so do the specials. */
TEST(floats_come_back_bit_for_bit) {
  static const double values[] = {0,    -0.0,      0.1,     1 / 3.0, 1e-310, 1.7976931348623157e308,
                                  1e-5, -INFINITY, INFINITY};
  Arena *a = arena_new();
  Program *p = prog_new(a);
  Fn *f = fn_new(p, "f", FN_FORWARD);
  int n = sizeof values / sizeof *values;
  for (int i = 0; i < n; i++) ir_const(f, values[i]);
  ir_const(f, NAN);
  char err[IR_ERR], *text = printed(p);
  Program *q = ir_parse(a, text, err);
  assert_non_null(q);
  for (int i = 0; i < n; i++) assert_memory_equal(&q->fn[0]->node[i].at.value, &values[i], sizeof values[i]);
  assert_true(isnan(q->fn[0]->node[n].at.value));
  free(text);
  arena_free(a);
}

/* A node's place in the .net file, and the calls that led there, are a comment behind it. */
TEST(a_place_in_the_source_is_a_comment) {
  Arena *a = arena_new();
  Program *p = prog_new(a);
  Fn *f = fn_new(p, "f", FN_FORWARD);
  Loc outer = {.file = "unet.net", .line = 30, .col = 7};
  Loc inner = {.file = "blocks/a\nb.net", .line = 4, .col = 2, .block = "conv", .caller = &outer};
  f->loc = &inner;
  ir_const(f, 1);
  char err[IR_ERR], *text = printed(p);
  assert_non_null(strstr(text, ": f32[]  # \"blocks/a\\x0ab.net\":4:2, called at \"unet.net\":30:7\n"));
  assert_non_null(ir_parse(a, text, err));
  free(text);
  arena_free(a);
}

static void refused(const char *text, const char *where, const char *message) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  if (ir_parse(a, text, err)) fail_msg("accepted: %s", text);
  if (strncmp(err, where, strlen(where)) || !strstr(err, message)) fail_msg("%s\ngave: %s", text, err);
  arena_free(a);
}

TEST(errors_name_line_column_and_cause) {
  refused("fn forward \"f\" {\n  %0 = bogus\n}", "2:8:", "unknown operation 'bogus'");
  refused("fn forward \"f\" { %0 = neg %1 }", "1:28:", "%1 is not defined");
  refused("fn forward \"f\" { %0 = input \"x\" : f32[2]\n%1 = neg %0 : f32[3] }",
          "2:6:", "f32[2], not f32[3]");
  refused("fn forward \"f\" { %0 = input \"x\" }", "1:23:", "needs a type");
  refused("fn forward \"f\" { %a = const {value=1}:f32[] %a = const {value=1}:f32[] }",
          "1:46:", "used twice");
  refused("fn forward \"f\" { %a = const {axis=1}:f32[] }", "1:30:", "const has no such attribute");
  refused("fn forward \"f\" { %a = const {value=x}:f32[] }", "1:36:", "expected a number");
  refused("fn forward \"f\" { store \"w\" = %0 }", "1:24:", "no variable");
  refused("fn forward \"f\" { %a = input \"x\" : f32[2,3] order [0,0] }", "1:49:", "each of 2 axes once");
  refused("fn forward \"f\" { %a = input \"x\" : f32[0] }", "1:39:", "1 .. ");
  refused("fn forward \"f\" { %a = input \"x\" : f32[2147483647,2147483647] }", "1:38:", "2^40");
  refused("fn forward \"f\" { %a = input \"x\" : f32[1,1,1,1,1,1,1] }", "1:51:", "6 entries");
  refused("fn forward \"f\" {", "1:17:", "expected");
  refused("fn sideways \"f\" {}", "1:4:", "train");
  refused("fn forward \"f\" {} fn forward \"f\" {}", "1:", "two functions");
  refused("var \"a\" : f32[] var \"a\" : f32[]", "1:21:", "two variables");
  refused("var \"a", "1:7:", "not closed");
  refused("net \"a\" macs 99999999999999999999", "1:14:", "must lie in");
  refused("stream \"a\" augment [flip,shear] {}", "1:26:", "one of flip, rot90, crop, rotate");
  refused("stream \"a\" augment [rotate(10,0)] {}", "1:32:", "expected ','");
  refused("stream \"a\" augment [rotate(200,0,1)] {}", "1:19:", "angle must be from 0 to 180, it is 200");
  refused("stream \"a\" augment [noise(nan,1,1)] {}", "1:19:", "lo must be from 0 to 100");
  refused("stream \"a\" strong [flip] {}", "1:18:", "flip moves the image");
  refused("stream \"a\" foreground 2 {}", "", "foreground must be from 0 to 1");
  refused("validate every 5 best dice", "1:23:", "a metric: one of di, ja");
  refused("validate every -1", "1:16:", "must lie in");
  refused("validate every 1 validate every 1", "1:26:", "in one way");
  refused("garbage", "1:1:", "expected program");
}

/* Every prefix of a valid text, and the text with any one byte changed, is accepted or refused but does no
 * harm; what is accepted and passes the verifier prints to something that parses. */
static void survive(const char *text) {
  char err[IR_ERR];
  Arena *a = arena_new();
  Program *p = ir_parse(a, text, err);
  if (p && ir_verify(p, err)) round_trip(p);
  arena_free(a);
}

TEST(no_damaged_text_harms_the_parser) {
  char text[sizeof whole];
  for (size_t n = 0; n < sizeof whole; n++) {
    memcpy(text, whole, n);
    text[n] = 0;
    survive(text);
  }
  static const char put[] = "\"%{}[]=:-9a#\\ \xff";
  for (size_t i = 0; i + 1 < sizeof whole; i++) {
    memcpy(text, whole, sizeof whole);
    text[i] = put[i % (sizeof put - 1)];
    survive(text);
    text[i] = (char)(whole[i] ^ (1 << i % 8));
    survive(text);
  }
}

RUN_TESTS(NULL, NULL)
