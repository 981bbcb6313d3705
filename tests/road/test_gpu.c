/* The shipped models on an emulated GPU: every launch of a training function, and of the network alone, computes from the
 * interpreter's values what the interpreter computes from them, so that a kernel answers for itself only, however deep
 * the network is.
 */
#include "gpu_models.h"

/* Where a buffer's value is whole: the last launch that writes it. */
static bool written_later(const Emit *e, int launch, int buffer) {
  for (int l = launch + 1; l < e->nlaunch; l++)
    for (int i = 0; i < e->launch[l].nargs; i++)
      if (e->launch[l].arg[i] == buffer && e->launch[l].writes >> i & 1) return true;
  return false;
}

static void take_reference(const Run *r, const Interp *in, int buffer) {
  int node = r->e->buffer[buffer].node;
  if (node < 0) return;
  const Node *n = &r->c->fn->node[node];
  const double *v = interp_value(in, node);
  for (int64_t i = 0; i < type_count(n->type); i++)
    run_set(&n->type, r->mem[buffer], run_memory_index(n, i), v[i]);
}

static void check_launches(Run *r, const Interp *in) {
  const Emit *e = r->e;
  for (int l = 0; l < e->nlaunch; l++) {
    const Launch *launch = &e->launch[l];
    for (int i = 0; i < launch->nargs; i++)
      if (!(launch->writes >> i & 1)) take_reference(r, in, launch->arg[i]);
    run_launch(r, launch, l % 2 ? RUN_INPLACE : RUN_PLAIN);
    for (int i = 0; i < launch->nargs; i++)
      if (launch->writes >> i & 1 && e->buffer[launch->arg[i]].node >= 0 &&
          !written_later(e, l, launch->arg[i]))
        run_compare_node(r, in, launch->arg[i]);
  }
}

static void check_fn(Arena *a, const Fn *f, double tolerance) {
  char err[256] = "";
  Emit *e = emit_fn_on(&machine_gpu, a, f, NULL, err);
  if (!e) fail_msg("%s: %s", f->name, err);
  RunCase c = run_case(f, tolerance);
  c.fill = fill_state;
  Run r = {.c = &c, .e = e, .mem = arena_alloc(a, ((size_t)e->nbuffer + 1) * sizeof *r.mem)};
  for (int i = 0; i < e->nkernel; i++)
    if (!kir_verify(e->kernel[i].k[0], err)) fail_msg("%s: %s", f->name, err);
  for (int i = 0; i < e->nbuffer; i++) r.mem[i] = arena_alloc(a, (size_t)run_words(e, i) * 4);
  r.emulator = run_emulator(e, false, err);
  if (!r.emulator) fail_msg("%s: %s", f->name, err);
  run_fill_buffers(&r);
  Interp *in = run_reference(&c);
  check_launches(&r, in);
  print_message("%s: %d launches of %d kernels\n", f->name, e->nlaunch, e->nkernel);
  interp_free(in);
  emulator_free(r.emulator);
}

static void check_model(const char *path, const Define *define, int n, double tolerance) {
  Arena *a = arena_new();
  Program *p = compile_model(a, path, define, n);
  for (int i = 0; i < p->nfn; i++) check_fn(a, p->fn[i], tolerance);
  arena_free(a);
}

static void unet_agrees(void **state) {
  (void)state;
  const Define d[] = {{"batch", "2"}, {"size", "[16,16]"}, {"widths", "[8,33]"}, {"tf32", "off"}};
  check_model("models/unet.net", d, 4, 1e-3);
}

/* A sum of products of rounded operands: 2^-11 of what is summed. */
static void unet_agrees_in_tf32(void **state) {
  (void)state;
  const Define d[] = {{"batch", "2"}, {"size", "[16,16]"}, {"widths", "[12,40]"}};
  check_model("models/unet.net", d, 3, 2e-3);
}

static void narrow_unet_agrees(void **state) {
  (void)state;
  const Define d[] = {{"batch", "2"}, {"size", "[16,16]"}, {"widths", "[16,24]"}, {"precision", "bf16"}};
  check_model("models/unet.net", d, 4, 1e-3);
}

static void acts_agrees(void **state) {
  (void)state;
  const Define d[] = {{"batch", "1"}, {"size", "[32,32]"}, {"widths", "[8,16]"}, {"disc_width", "8"}};
  check_model("models/asenet.net", d, 4, 4e-3);
}

static void acts_in_3d_agrees(void **state) {
  (void)state;
  const Define d[] = {{"batch", "1"}, {"size", "[16,16,16]"}, {"n_filters", "2"}};
  check_model("models/asenet3d.net", d, 3, 2e-3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(unet_agrees),        cmocka_unit_test(unet_agrees_in_tf32),
      cmocka_unit_test(narrow_unet_agrees), cmocka_unit_test(acts_agrees),
      cmocka_unit_test(acts_in_3d_agrees),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
