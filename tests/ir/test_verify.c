/* test_verify.c - the verifier finds every kind of damage a pass could do. */
#include <stdlib.h>
#include <string.h>
#include "tests/test.h"
#include "ir/prepare.h"
#include "ir/validate.h"

static const char sound[] = "net \"n\"\n"
                            "var \"w\" : f32[2,1,3,3] role param net \"n\"\n"
                            "var \"e\" : f32[2,1,3,3] init copy \"w\" role ema\n"
                            "var \"s\" : f32[] init const 1\n"
                            "stream \"l\" { image \"image\" : f32[1,1,8,8] label \"mask\" : i32[1,1,8,8] }\n"
                            "fn train \"step\" {\n"
                            "  %0 = input \"l.image\" : f32[1,1,8,8]\n"
                            "  %1 = var \"w\"\n"
                            "  %2 = conv %0 %1 {stride=[1,1], pad=[1,1]} group 0\n"
                            "  %3 = sum %2 {axes=[0,1,2,3]} group 1\n"
                            "  %4 = reshape %3 : f32[]\n"
                            "  %5 = input \"l.image\" : f32[1,1,8,8]\n"
                            "  kernel 0 kind 1 anchor %2\n"
                            "  kernel 1 kind 0\n"
                            "  store \"w\" = %1\n"
                            "  store \"s\" = %4\n"
                            "  output \"loss\" = %4\n"
                            "  output \"y\" = %2\n"
                            "}\n"
                            "fn forward \"other\" { %0 = input \"l.image\" : f32[7] }\n";

typedef void Damage(Program *p, Fn *f);

static void check(Damage *damage, const char *words) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  Program *p = ir_parse(a, sound, err);
  if (!p) fail_msg("%s", err);
  if (!ir_verify(p, err)) fail_msg("%s", err);
  damage(p, p->fn[0]);
  if (ir_verify(p, err)) fail_msg("not found: %s", words);
  if (!strstr(err, words)) fail_msg("expected %s, got %s", words, err);
  arena_free(a);
}

#define DAMAGE(name, ...)                                                                                    \
  static void name(Program *p, Fn *f) {                                                                      \
    (void)p, (void)f;                                                                                        \
    __VA_ARGS__;                                                                                             \
  }
DAMAGE(late_operand, f->node[2].in[0] = 3)
DAMAGE(own_operand, f->node[2].in[0] = 2)
DAMAGE(no_operand, f->node[2].in[1] = -1)
DAMAGE(arity, f->node[2].nin = 1)
DAMAGE(operand_count, f->node[2].nin = MAX_IN + 1)
DAMAGE(unknown_op, f->node[3].op = OP_COUNT)
DAMAGE(wrong_type, f->node[2].type.dim[2] = 7)
DAMAGE(wrong_attr, f->node[2].at.geom.stride[0] = 0)
DAMAGE(wild_extent, f->node[0].type.dim[0] = INT64_MAX)
DAMAGE(wrong_order, f->node[2].order[0] = 1)
DAMAGE(wrong_group, f->node[2].group = 2)
DAMAGE(wrong_anchor, f->group[0].anchor = 3)
DAMAGE(far_anchor, f->group[1].anchor = 99)
DAMAGE(unknown_var, f->node[1].at.sym = "v")
DAMAGE(var_type, p->var[0].type.dim[0] = p->var[1].type.dim[0] = 3)
DAMAGE(unknown_field, f->node[0].at.sym = "l.nothing")
DAMAGE(field_type, p->stream[0].field[0].type.dim[0] = 2)
DAMAGE(field_dtype, p->stream[0].field[1].type.dt = F32)
DAMAGE(two_inputs, f->kind = FN_FORWARD; f->node[5].type.dim[0] = 2)
DAMAGE(bf16_leaf, f->node[1].type.dt = BF16)
DAMAGE(bf16_output, f->node[2].type.dt = BF16)
DAMAGE(bf16_var, p->var[0].type.dt = BF16)
DAMAGE(bf16_labels, p->storage = I32)
DAMAGE(store_var, f->store[0].var = 9)
DAMAGE(store_node, f->store[0].node = -1)
DAMAGE(store_type, f->store[0].node = 4)
DAMAGE(store_twice, f->store[1] = f->store[0])
DAMAGE(output_node, f->out[0].node = 6)
DAMAGE(output_twice, f->out[1].name = "loss")
DAMAGE(fn_twice, p->fn[1]->name = "step")
DAMAGE(var_twice, p->var[2].name = "w")
DAMAGE(var_net, p->var[0].net = 1)
DAMAGE(var_order, p->var[0].order[0] = 6)
DAMAGE(copy_of_nothing, p->var[1].init.from = "x")
DAMAGE(copy_of_copy, p->var[1].init.from = "e")
DAMAGE(copy_type, p->var[1].init.from = "s")

/* ---- prepare ---- */

static uint8_t member[2]; /* by class: both regions hold class 1 */
typedef void PrepareDamage(Prepare *p, LabelRule *rule, Intensity *each);

/* A statement that is sound with the program above, and then damaged. */
static void check_prepare(PrepareDamage *damage, const char *words) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  Program *p = ir_parse(a, sound, err);
  if (!p) fail_msg("%s", err);
  const char *name[] = {"background", "liver"}, *region[] = {"abdomen", "organ"};
  LabelRule rule[2] = {{0, NO_COLOUR, 0}, {7, NO_COLOUR, 1}};
  Intensity each[2] = {intensity_of(INTENSITY_ZSCORE), intensity_of(INTENSITY_NONE)};
  Prepare r = prepare_default(a);
  r.intensity = each, r.nintensity = 1;
  r.class_name = name, r.nclass = 2;
  r.label = rule, r.nlabel = 2;
  r.region = region, r.nregion = 2, r.member = memcpy(member, (uint8_t[2]){0, 3}, 2);
  p->prepare = &r;
  p->classes = 2;
  if (!ir_verify(p, err)) fail_msg("%s", err);
  damage(&r, rule, each);
  if (ir_verify(p, err)) fail_msg("not found: %s", words);
  if (!strstr(err, words)) fail_msg("expected %s, got %s", words, err);
  arena_free(a);
}

#define PREPARE_DAMAGE(name, ...)                                                                            \
  static void name(Prepare *p, LabelRule *rule, Intensity *each) {                                           \
    (void)p, (void)rule, (void)each;                                                                         \
    __VA_ARGS__;                                                                                             \
  }
PREPARE_DAMAGE(cubic_masks, p->mask_order = ORDER_CUBIC)
PREPARE_DAMAGE(unknown_plane, p->plane = PLANE_KINDS)
PREPARE_DAMAGE(unknown_post, p->post = 1u << POST_KINDS)
PREPARE_DAMAGE(no_orientation, p->orientation = "RAL")
PREPARE_DAMAGE(whole_overlap, p->overlap = 1)
PREPARE_DAMAGE(negative_drop, p->drop = -1)
PREPARE_DAMAGE(no_deviation, each->deviation = 0)
PREPARE_DAMAGE(empty_clip, each->clip = true)
PREPARE_DAMAGE(class_beyond, rule[1].cls = 2)
PREPARE_DAMAGE(colour_beyond, rule[1].colour = 1 << 24)
PREPARE_DAMAGE(value_twice, rule[1].value = 0)
PREPARE_DAMAGE(third_class, p->nclass = 3)
PREPARE_DAMAGE(no_labels, p->nlabel = 0)
PREPARE_DAMAGE(second_channel, p->nchannel = 2)
PREPARE_DAMAGE(second_intensity, p->nintensity = 2)
PREPARE_DAMAGE(regions_of_nothing, p->nlabel = p->nclass = 0)
PREPARE_DAMAGE(many_regions, p->nregion = 9)
PREPARE_DAMAGE(region_beyond, member[1] = 4)
PREPARE_DAMAGE(background_in_region, member[0] = 1)
PREPARE_DAMAGE(third_axis, p->mm[2] = 1)
PREPARE_DAMAGE(backward_stride, p->stride[0] = -1)

TEST(damage_of_prepare_is_found) {
  check_prepare(cubic_masks, "a choice that is none");
  check_prepare(unknown_plane, "a choice that is none");
  check_prepare(unknown_post, "a choice that is none");
  check_prepare(no_orientation, "the orientation RAL is none");
  check_prepare(whole_overlap, "an overlap of 1");
  check_prepare(negative_drop, "parts below -1 mm3");
  check_prepare(no_deviation, "intensity 0 is broken");
  check_prepare(empty_clip, "intensity 0 is broken");
  check_prepare(class_beyond, "label 1 is of class 2, there are 2");
  check_prepare(colour_beyond, "label 1 has the colour 16777216");
  check_prepare(value_twice, "labels 0 and 1 are of one value");
  check_prepare(third_class, "3 classes of labels, the program has 2");
  check_prepare(no_labels, "classes without labels");
  check_prepare(second_channel, "2 channels are named, images have 1");
  check_prepare(second_intensity, "2 intensities for 1 channels");
  check_prepare(regions_of_nothing, "2 regions of 0 classes");
  check_prepare(many_regions, "9 regions of 2 classes");
  check_prepare(region_beyond, "class 1 belongs to a region that it cannot belong to");
  check_prepare(background_in_region, "class 0 belongs to a region that it cannot belong to");
  check_prepare(third_axis, "along axis 2, images have 2");
  check_prepare(backward_stride, "along axis 0 below 0");
}

/* Three classes, of which 1 and 2 lie in region 0 and class 2 alone in region 1: their order matters. */
TEST(regions_that_masks_do_not_give_back_are_found) {
  const char *region[2] = {"whole", "core"};
  Prepare p = {.nclass = 3, .region = region, .nregion = 2, .member = (uint8_t[]){0, 1, 3}};
  assert_int_equal(region_class(&p, 0), 1);
  assert_int_equal(region_class(&p, 1), 2);
  assert_int_equal(class_lost(&p), 0);
  assert_int_equal(class_of_regions(&p, 0), 0);
  assert_int_equal(class_of_regions(&p, 2), 2); /* in the core, not in the whole */
  p.member = (uint8_t[]){0, 2, 3}; /* the other way round: class 1 is what the whole, which is later, says */
  assert_int_equal(class_lost(&p), 2);
  p.member = (uint8_t[]){0, 1, 1}; /* classes that no region tells apart are one */
  assert_int_equal(class_lost(&p), 0);
  assert_int_equal(region_class(&p, 1), -1);
  assert_int_equal(class_of_regions(&p, 2), 0);
}

TEST(a_field_of_regions_needs_as_many_as_prepare_names) {
  static const char text[] =
      "stream \"s\" source all { image \"image\" : f32[1,1,8,8] regions \"r\" : f32[1,2,8,8] }\n";
  static const char labels[] =
      "prepare { class \"background\" class \"a\" label 0 class 0 label 1 class 1 region \"a\" of [1] ";
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  Program *p = ir_parse(a, text, err);
  assert_non_null(p);
  assert_false(ir_verify(p, err));
  assert_non_null(strstr(err, "field s.r: of regions that no statement prepare names"));
  p = ir_parse(a, arena_printf(a, "%s%s}", text, labels), err);
  assert_non_null(p);
  assert_false(ir_verify(p, err));
  assert_non_null(strstr(err, "prepare: 1 regions, s.r has 2"));
  p = ir_parse(a, arena_printf(a, "%s%s region \"b\" of [1] }", text, labels), err);
  assert_true(p && ir_verify(p, err));
  assert_null(ir_parse(a, arena_printf(a, "%s%s region \"b\" of [2] }", text, labels), err));
  assert_non_null(strstr(err, "a region has class 2, there are 2"));
  arena_free(a);
}

TEST(every_kind_of_damage_is_found) {
  check(late_operand, "fn step, %2: operand %3 of conv is not defined before it");
  check(own_operand, "operand %2 of conv");
  check(no_operand, "operand %-1 of conv");
  check(arity, "takes 2 operands, not 1");
  check(operand_count, "%2: 9 operands");
  check(unknown_op, "no operation");
  check(wrong_type, "fn step, %2: conv gives f32[1,2,8,8], the node says f32[1,2,7,8]");
  check(wrong_attr, "stride of spatial axis 0 is 0");
  check(wild_extent, "the type asked for is not valid");
  check(wrong_order, "not a permutation of 4 axes");
  check(wrong_group, "group 2 does not exist, there are 2");
  check(wrong_anchor, "anchor of group 0 is not a node of it: 3");
  check(far_anchor, "anchor of group 1 is not a node of it: 99");
  check(unknown_var, "%1: no variable is named v");
  check(var_type, "variable w is f32[3,1,3,3], not f32[2,1,3,3]");
  check(unknown_field, "no field l.nothing");
  check(field_type, "field l.image is f32[2,1,8,8], not f32[1,1,8,8]");
  check(field_dtype, "field l.mask");
  check(two_inputs, "%0 and %5 read input l.image with different types");
  check(bf16_leaf, "%1: var is never stored as bf16");
  check(bf16_output, "output y is bf16");
  check(bf16_var, "variable w: variables are f32 or i32");
  check(bf16_labels, "storage must be f32 or bf16");
  check(store_var, "store 0 names no variable");
  check(store_node, "store of w names no node: -1");
  check(store_type, "variable w is f32[2,1,3,3], %4 stored into it is f32[]");
  check(store_twice, "w is stored twice");
  check(output_node, "output loss names no node: 6");
  check(output_twice, "two outputs are named loss");
  check(fn_twice, "two functions are named step");
  check(var_twice, "two variables are named w");
  check(var_net, "no network has number 1");
  check(var_order, "variable w: the memory order");
  check(copy_of_nothing, "copies x, which does not exist");
  check(copy_of_copy, "itself a copy");
  check(copy_type, "whose type differs");
}

/* ---- validation ---- */

/* A statement that the program above cannot have. */
static void check_validation(Validation v, const char *words) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  Program *p = ir_parse(a, sound, err);
  p->validation = &v;
  if (ir_verify(p, err)) fail_msg("not found: %s", words);
  if (!strstr(err, words)) fail_msg("expected %s, got %s", words, err);
  arena_free(a);
}

TEST(damage_of_validation_is_found) {
  char err[IR_ERR] = "";
  Arena *a = arena_new();
  Program *p = ir_parse(a, sound, err);
  Validation none = {.best = BEST_NONE, .val = "12"};
  p->validation = &none;
  if (!ir_verify(p, err)) fail_msg("%s", err);
  arena_free(a);
  check_validation((Validation){.every = -1}, "below 0");
  check_validation((Validation){.best = BEST_NONE + 1}, "no metric");
  check_validation((Validation){.best = BEST_nsd}, "NSD needs a tolerance");
  check_validation((Validation){.val = "100%"}, "no part of the training cases");
  check_validation((Validation){.val = "0x10"}, "no part of the training cases");
  check_validation((Validation){.val = "inf"}, "no part of the training cases");
  check_validation((Validation){.every = 1}, "no function predict");
}

RUN_TESTS(NULL, NULL)
