/* prepare_text.c - the statement `prepare` in the text form of programs (docs/ir.md): written and read. */
#include "ir/prepare.h"
#include "ir/tokens.h"

/* ---- writing ---- */

static void print_intensity(FILE *out, const Intensity *i) {
  fprintf(out, "  intensity %s", word_intensity[i->kind]);
  if (i->clip) fputs(" clip ", out), print_double(out, i->lo), fputc(' ', out), print_double(out, i->hi);
  if (i->kind == INTENSITY_FIXED) {
    fputs(" mean ", out), print_double(out, i->mean);
    fputs(" deviation ", out), print_double(out, i->deviation);
    fputs(" scale ", out), print_double(out, i->scale);
  }
  fputc('\n', out);
}

static void print_labels(FILE *out, const Prepare *p) {
  for (int i = 0; i < p->nclass; i++)
    fputs("  class ", out), print_string(out, p->class_name[i]), fputc('\n', out);
  for (int i = 0; i < p->nlabel; i++) {
    const LabelRule *r = &p->label[i];
    if (r->colour == NO_COLOUR) fprintf(out, "  label %lld", (long long)r->value);
    else fprintf(out, "  label colour %d", r->colour);
    if (r->cls == CLASS_IGNORED) fputs(" ignored\n", out);
    else fprintf(out, " class %d\n", r->cls);
  }
}

static void print_regions(FILE *out, const Prepare *p) {
  for (int r = 0; r < p->nregion; r++) {
    fputs("  region ", out), print_string(out, p->region[r]), fputs(" of [", out);
    const char *comma = "";
    for (int c = 0; c < p->nclass; c++)
      if (p->member[c] >> r & 1) fprintf(out, "%s%d", comma, c), comma = ",";
    fputs("]\n", out);
  }
}

/* Along as many axes as there are: 0 stands behind the last. */
static int axes_of(const Program *prog) {
  const Type *image = program_image(prog);
  return image && image->rank > 2 ? image->rank - 2 : MAX_SPATIAL;
}

void prepare_print(FILE *out, const Program *prog) {
  const Prepare *p = prog->prepare;
  int n = axes_of(prog);
  fputs("prepare {\n", out);
  for (int i = 0; i < p->nchannel; i++)
    fputs("  channel ", out), print_string(out, p->channel[i]), fputc('\n', out);
  fprintf(out, "  spacing %s", word_spacing[p->spacing]);
  for (int i = 0; p->spacing == SPACING_FIXED && i < n; i++)
    fputs(i ? "," : " [", out), print_double(out, p->mm[i]);
  fprintf(out, "%s\n  image_order %s mask_order %s\n  orientation ", p->spacing == SPACING_FIXED ? "]" : "",
          word_order[p->image_order], word_order[p->mask_order]);
  print_string(out, p->orientation);
  fprintf(out, " plane %s crop %s\n", word_plane[p->plane], word_crop[p->crop]);
  for (int i = 0; i < p->nintensity; i++) print_intensity(out, &p->intensity[i]);
  print_labels(out, p), print_regions(out, p);
  fputs("  overlap ", out), print_double(out, p->overlap);
  fputs(" stride [", out);
  for (int i = 0; i < n; i++) fprintf(out, "%s%lld", i ? "," : "", (long long)p->stride[i]);
  fprintf(out, "] weight %s\n ", word_weight[p->weight]);
  for (int i = 0; i < POST_KINDS; i++)
    if (p->post >> i & 1) fprintf(out, " post %s", word_post[i]);
  fputs(" drop ", out), print_double(out, p->drop);
  fputs("\n}\n", out);
}

/* ---- reading ---- */

typedef struct {
  Prepare p;
  const char **channel, **class_name;
  Intensity *intensity;
  LabelRule *label;
  const char **region;
  uint8_t *member; /* MAX_CLASSES */
  int nchannel, nclass, nintensity, nlabel, nregion, capregion;
  int capchannel, capclass, capintensity, caplabel;
} Reading;

static void read_spacing(Parser *p, Prepare *to) {
  to->spacing = (SpacingKind)choice(p, word_spacing, "a spacing");
  if (to->spacing != SPACING_FIXED) return;
  int n = 0;
  expect(p, '[');
  do {
    if (n == MAX_SPATIAL) FAIL(p, "at most %d entries are possible here", MAX_SPATIAL);
    if (!p->bad) to->mm[n++] = number(p);
  } while (accept(p, ','));
  expect(p, ']');
}

static void read_intensity(Parser *p, Reading *r) {
  Intensity i = intensity_of((IntensityKind)choice(p, word_intensity, "an intensity"));
  for (bool more = true; more && !p->bad;) {
    if (accept_word(p, "clip")) i.clip = true, i.lo = number(p), i.hi = number(p);
    else if (accept_word(p, "mean")) i.mean = number(p);
    else if (accept_word(p, "deviation")) i.deviation = number(p);
    else if (accept_word(p, "scale")) i.scale = number(p);
    else more = false;
  }
  *ARENA_PUSH(p->arena, r->intensity, r->nintensity, r->capintensity) = i;
}

static void read_label(Parser *p, Reading *r) {
  LabelRule rule = {.colour = NO_COLOUR};
  if (accept_word(p, "colour")) rule.colour = (int32_t)integer(p, 0, 0xFFFFFF);
  else rule.value = integer(p, INT64_MIN, INT64_MAX);
  if (accept_word(p, "ignored")) rule.cls = CLASS_IGNORED;
  else expect_word(p, "class"), rule.cls = (int32_t)integer(p, 0, MAX_CLASSES - 1);
  *ARENA_PUSH(p->arena, r->label, r->nlabel, r->caplabel) = rule;
}

static void read_region(Parser *p, Reading *r) {
  int64_t list[MAX_CLASSES];
  if (r->nregion == MAX_REGIONS) FAIL(p, "at most %d regions are possible", MAX_REGIONS);
  if (!r->member) r->member = arena_alloc(p->arena, MAX_CLASSES);
  const char *name = string(p);
  expect_word(p, "of");
  int n = integers(p, list, MAX_CLASSES, 1, MAX_CLASSES - 1);
  for (int i = 0; i < n && r->nregion < MAX_REGIONS; i++) r->member[list[i]] |= (uint8_t)(1u << r->nregion);
  *ARENA_PUSH(p->arena, r->region, r->nregion, r->capregion) = name;
}

static void read_setting(Parser *p, Reading *r) {
  Prepare *to = &r->p;
  if (accept_word(p, "channel")) *ARENA_PUSH(p->arena, r->channel, r->nchannel, r->capchannel) = string(p);
  else if (accept_word(p, "spacing")) read_spacing(p, to);
  else if (accept_word(p, "image_order")) to->image_order = (OrderKind)choice(p, word_order, "an order");
  else if (accept_word(p, "mask_order")) to->mask_order = (OrderKind)choice(p, word_order, "an order");
  else if (accept_word(p, "orientation")) to->orientation = string(p);
  else if (accept_word(p, "plane")) to->plane = (PlaneKind)choice(p, word_plane, "a plane");
  else if (accept_word(p, "crop")) to->crop = (CropKind)choice(p, word_crop, "what is cut away");
  else if (accept_word(p, "intensity")) read_intensity(p, r);
  else if (accept_word(p, "class")) *ARENA_PUSH(p->arena, r->class_name, r->nclass, r->capclass) = string(p);
  else if (accept_word(p, "label")) read_label(p, r);
  else if (accept_word(p, "region")) read_region(p, r);
  else if (accept_word(p, "overlap")) to->overlap = number(p);
  else if (accept_word(p, "stride")) integers(p, to->stride, MAX_SPATIAL, 0, INT32_MAX);
  else if (accept_word(p, "weight")) to->weight = (WeightKind)choice(p, word_weight, "a weight");
  else if (accept_word(p, "post")) to->post |= 1u << choice(p, word_post, "what is done to masks");
  else if (accept_word(p, "drop")) to->drop = number(p);
  else FAIL(p, "expected a setting of prepare: channel, spacing, .. (docs/ir.md)");
}

void prepare_parse(Parser *p) {
  Reading r = {.p = prepare_default(p->arena)};
  const char *from = p->at;
  if (p->prog->prepare) fail_at(p, from, "a program has one statement prepare");
  expect(p, '{');
  while (!p->bad && !accept(p, '}')) read_setting(p, &r);
  if (p->bad) return;
  r.p.channel = r.channel, r.p.nchannel = r.nchannel;
  r.p.class_name = r.class_name, r.p.nclass = r.nclass;
  r.p.label = r.label, r.p.nlabel = r.nlabel;
  r.p.region = r.region, r.p.nregion = r.nregion, r.p.member = r.member;
  if (r.nintensity) r.p.intensity = r.intensity, r.p.nintensity = r.nintensity;
  for (int c = r.nclass; r.member && c < MAX_CLASSES; c++)
    if (r.member[c]) fail_at(p, from, "a region has class %d, there are %d", c, r.nclass);
  Prepare *kept = arena_alloc(p->arena, sizeof *kept);
  *kept = r.p;
  p->prog->prepare = kept;
}
