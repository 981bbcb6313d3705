/* test_prepare_module.c - the statement prepare from a .net file to the module's table, and what `netrun
 * info` says of it. */
#include "tests/test.h"
#include "tests/text.h"
#include "tests/end_to_end/shell.h"
#include <cjson/cJSON.h>
#include <math.h>
#include "runtime/base/array.h"
#include "runtime/device/open.h"

static const char program[] =
    "prepare {\n"
    "  channels = [\"t1\", \"flair\"]\n  spacing = [0.5, none]\n  image_order = \"linear\"\n"
    "  mask_order = \"linear\"\n  orientation = \"LPI\"\n  plane = \"sagittal\"\n  crop = \"nonzero\"\n"
    "  intensity = [window(-200, 250), fixed(0.5, 0.25, scale = 255)]\n"
    "  labels = {0: \"background\", 63: \"spleen\", \"#00ff10\": \"spleen\", 255: \"ignore\"}\n"
    "  stride = [4, 8]\n  window = \"gaussian\"\n  postprocess = [\"largest\", \"fill\"]\n  drop = 2.5\n}\n"
    "predict(image: f32[1, 2, 8, 8]) { return softmax(image) }\n";

static void compile(const char *text) {
  FILE *f = fopen(in_root("p.net"), "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  runs(NETC_BINARY " p.net -o p.so");
}

TEST(the_module_has_what_the_statement_says) {
  char err[ERR_MAX] = "";
  compile(program);
  Module *m = module_open(in_root("p.so"), err);
  if (!m) fail_msg("%s", err);
  const NetcPrepare *p = m->desc->prepare;
  assert_non_null(p);
  assert_int_equal(p->nchannels, 2);
  assert_string_equal(p->channels[1], "flair");
  assert_int_equal(p->spacing, NETC_SPACING_FIXED);
  assert_true(p->mm[0] == 0.5 && p->mm[1] == 0 && p->mm[2] == 0);
  assert_int_equal(p->image_order, NETC_ORDER_LINEAR);
  assert_int_equal(p->mask_order, NETC_ORDER_LINEAR);
  assert_string_equal(p->orientation, "LPI");
  assert_int_equal(p->plane, NETC_PLANE_SAGITTAL);
  assert_int_equal(p->crop, NETC_CROP_NONZERO);
  assert_int_equal(p->nintensities, 2);
  const NetcIntensity *x = p->intensities;
  assert_true(x->kind == NETC_INTENSITY_ZSCORE && x->clip == 1 && x->lo == -200 && x->hi == 250);
  x++;
  assert_true(x->kind == NETC_INTENSITY_FIXED && x->clip == 0 && x->mean == 0.5 && x->deviation == 0.25 &&
              x->scale == 255);
  static const NetcLabelRule want[] = {{0, -1, 0}, {63, -1, 1}, {0, 0x00ff10, 1}, {255, -1, -1}};
  assert_int_equal(p->nlabels, 4);
  for (int i = 0; i < 4; i++)
    assert_true(p->labels[i].value == want[i].value && p->labels[i].colour == want[i].colour &&
                p->labels[i].cls == want[i].cls);
  assert_int_equal(p->nclasses, 2);
  assert_string_equal(p->classes[1], "spleen");
  assert_int_equal(p->ignore, 1);
  assert_true(p->stride[0] == 4 && p->stride[1] == 8 && p->stride[2] == 0);
  assert_int_equal(p->weight, NETC_WEIGHT_GAUSSIAN);
  assert_int_equal(p->post, NETC_POST_LARGEST | NETC_POST_FILL);
  assert_true(p->drop == 2.5 && p->overlap == 0.5);
  module_close(m);
}

TEST(info_tells_it) {
  runs(NETRUN_BINARY " info p.so");
  says("preparation\n");
  says("  channels         t1, flair\n");
  says("  spacing          0.5 x as stored mm, images linear, masks linear\n");
  says("  orientation      LPI\n  plane            sagittal\n  crop             nonzero\n");
  says("  intensity        zscore clipped to [-200, 250], fixed mean 0.5 deviation 0.25 of values / 255\n");
  says("  labels           0 background (0), 63 spleen (1), #00ff10 spleen (1), 255 ignored\n");
  says("  patches          every 4 x 8, gaussian\n");
  says("  masks            largest fill without parts below 2.5 mm3\n");
}

static const cJSON *of(const cJSON *o, const char *key) {
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
  if (!v) fail_msg("no %s", key);
  return v;
}

TEST(info_tells_programs_too) {
  runs(NETRUN_BINARY " info p.so --json");
  cJSON *j = cJSON_Parse(said);
  assert_non_null(j);
  const cJSON *p = of(j, "prepare"), *window = cJSON_GetArrayItem(of(p, "intensity"), 0);
  assert_string_equal(cJSON_GetArrayItem(of(p, "channels"), 1)->valuestring, "flair");
  assert_string_equal(of(p, "spacing")->valuestring, "fixed");
  assert_true(cJSON_GetArrayItem(of(p, "mm"), 0)->valuedouble == 0.5);
  assert_int_equal(cJSON_GetArraySize(of(p, "mm")), 2);
  assert_string_equal(of(p, "orientation")->valuestring, "LPI");
  assert_string_equal(of(window, "kind")->valuestring, "zscore");
  assert_true(cJSON_GetArrayItem(of(window, "clip"), 1)->valuedouble == 250);
  assert_true(cJSON_IsNull(of(cJSON_GetArrayItem(of(p, "intensity"), 1), "clip")));
  assert_true(of(cJSON_GetArrayItem(of(p, "intensity"), 1), "scale")->valuedouble == 255);
  assert_string_equal(of(cJSON_GetArrayItem(of(p, "labels"), 2), "colour")->valuestring, "#00ff10");
  assert_true(cJSON_IsNull(of(cJSON_GetArrayItem(of(p, "labels"), 3), "class")));
  assert_int_equal(of(cJSON_GetArrayItem(of(p, "labels"), 1), "value")->valueint, 63);
  assert_int_equal(cJSON_GetArrayItem(of(p, "stride"), 1)->valueint, 8);
  assert_string_equal(of(p, "window")->valuestring, "gaussian");
  assert_string_equal(cJSON_GetArrayItem(of(p, "postprocess"), 1)->valuestring, "fill");
  assert_true(of(p, "drop")->valuedouble == 2.5);
  assert_true(cJSON_IsNull(of(j, "validate")));
  cJSON_Delete(j);
}

TEST(a_file_without_the_statement_has_no_table) {
  char err[ERR_MAX] = "";
  compile("predict(image: f32[1, 2, 8, 8]) { return softmax(image) }\n");
  Module *m = module_open(in_root("p.so"), err);
  if (!m) fail_msg("%s", err);
  assert_null(m->desc->prepare);
  module_close(m);
  runs(NETRUN_BINARY " info p.so");
  assert_null(strstr(said, "preparation"));
  runs(NETRUN_BINARY " info p.so --json");
  says("\"prepare\":\tnull");
}

/* ---- ignored labels, compiled ---- */

enum { N = 2, C = 3, SIDE = 6, VOXELS = SIDE * SIDE };

static const char training[] =
    "use \"models/blocks/losses.net\"\nprepare { labels = [\"background\", \"a\", \"b\", \"ignore\"] }\n"
    "net n(x) { return conv(x, 3, 1) }\ns = n()\n"
    "train t {\n  batch labeled { image: f32[2, 3, 6, 6]\n label: label[2, 6, 6] }\n"
    "  update s with sgd(0.5) {\n    y = s(labeled.image)\n    minimize ce_dice(y, labeled.label)\n"
    "    minimize dice_lin(softmax(y), labeled.label) + bce(y[:, :1], labeled.label == 0, labeled.label)\n  "
    "}\n}\n";

/* Loss and weights after a step from the start, on an image with `value` in one voxel. */
static void step_from_start(const Session *s, const int32_t *label, int64_t voxel, float value,
                            float out[10]) {
  char err[ERR_MAX] = "";
  const NetcModule *d = s->module->desc;
  const NetcFn *fn = module_fn(s->module, "t");
  float image[N * C * VOXELS];
  for (int i = 0; i < N * C * VOXELS; i++) image[i] = (float)((i * 37) % 101) / 50 - 1;
  for (int c = 0; c < C; c++) image[((voxel / VOXELS) * C + c) * VOXELS + voxel % VOXELS] = value;
  session_init(s, 5);
  const NetcArray *in = array_find(fn->inputs, fn->ninputs, "labeled.image");
  array_to_memory(in, image, session_at(s, in));
  in = array_find(fn->inputs, fn->ninputs, "labeled.label");
  array_to_memory(in, label, session_at(s, in));
  if (!fn_run(s, fn, (NetcStep){5, 0}, err)) fail_msg("%s", err);
  out[0] = *(float *)session_at(s, &fn->outputs[0]);
  for (int i = 0; i < d->nvars; i++)
    if (!strcmp(d->vars[i].array.name, "s.conv1.weight"))
      memcpy(out + 1, session_at(s, &d->vars[i].array), 9 * sizeof *out);
}

TEST(what_an_ignored_voxel_holds_changes_nothing) {
  char err[ERR_MAX] = "";
  runs("ln -sfn %s/models models", source);
  compile(training);
  Module *m = module_open(in_root("p.so"), err);
  if (!m) fail_msg("%s", err);
  Session *s = session_new(m, 1, err);
  if (!s) fail_msg("%s", err);
  int32_t label[N * VOXELS];
  for (int i = 0; i < N * VOXELS; i++) label[i] = i % 4 - 1;
  float a[10], b[10];
  step_from_start(s, label, 40, 0.25f, a);
  step_from_start(s, label, 40, 7, b); /* label -1 */
  assert_true(isfinite(a[0]) && a[0] > 0);
  assert_memory_equal(a, b, sizeof a);
  step_from_start(s, label, 41, 7, b);
  for (int i = 0; i < 10; i++) assert_true(a[i] != b[i]);
  for (int i = 0; i < N * VOXELS; i++) label[i] = -1;
  step_from_start(s, label, 41, 7, a);
  step_from_start(s, label, 3, -2, b);
  assert_true(a[0] == 0); /* and weights that stay where they were */
  assert_memory_equal(a, b, sizeof a);
  session_free(s), module_close(m);
}

/* The commands of the section are run as they stand, but up to the graph only. */
TEST(the_commands_of_the_page_compile) {
  static const char *const says_of[] = {"  spacing fixed [0.77000000000000002,0.77000000000000002,1]\n",
                                        "  intensity fixed mean 0.40600000000000003 ",
                                        "  overlap 0.5 stride [18,18,4] weight uniform\n"};
  char *doc = read_text("docs/language.md");
  assert_non_null(doc);
  runs("mkdir bin && ln -s " NETC_BINARY " bin/netc && ln -sfn %s/models models", source);
  int n = 0;
  for (char *at = strstr(doc, "\n    netc models/"), *next; at; at = next, n++) {
    char *end = strchr(at + 1, '\n');
    while (end[-1] == '\\') end = strchr(end + 1, '\n');
    next = strstr(end, "\n    netc models/");
    char *output = strstr(at, " -o ");
    assert_true(output && output < end);
    size_t name = 4 + strcspn(output + 4, " ");
    memset(output, ' ', name); /* no module */
    runs("PATH=bin:$PATH; %.*s --emit graph >graph && sed -n '/^prepare/,/^}/p' graph", (int)(end - at - 1),
         at + 1);
    assert_true(n < 3);
    says("prepare {\n");
    says(says_of[n]);
  }
  assert_int_equal(n, 3);
  free(doc);
}

RUN_TESTS(shell_set_up, scratch_tear_down)
