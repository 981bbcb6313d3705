/* prepare_table.c - the statement `prepare` as a constant of the module (codegen/abi.h, NetcPrepare). */
#include "codegen/module/constants.h"
#include "ir/prepare.h"

/* The graph's enums are the module's. */
#define SAME(kind, name, word) _Static_assert((int)NETC_##kind##_##name == (int)kind##_##name, word)
#define SPACING(name, word)    SAME(SPACING, name, word);
#define ORDER(name, word)      SAME(ORDER, name, word);
#define PLANE(name, word)      SAME(PLANE, name, word);
#define CROP(name, word)       SAME(CROP, name, word);
#define INTENSITY(name, word)  SAME(INTENSITY, name, word);
#define WEIGHT(name, word)     SAME(WEIGHT, name, word);
#define POST(name, word)       _Static_assert((int)NETC_POST_##name == 1 << (int)POST_##name, word);
#include "ir/prepare.def"
_Static_assert((int)NETC_MAX_CLASSES == (int)MAX_CLASSES && (int)NETC_NO_COLOUR == (int)NO_COLOUR &&
                   (int)NETC_CLASS_IGNORED == (int)CLASS_IGNORED,
               "labels without colour or class");
_Static_assert((int)NETC_MAX_REGIONS == (int)MAX_REGIONS, "regions");

static LLVMValueRef texts(const Tables *t, const char *name, const char *const *s, int n) {
  LLVMValueRef *v = values(t, n);
  for (int i = 0; i < n; i++) v[i] = text(t, s[i]);
  return table(t, name, t->ptr, v, n);
}

static LLVMValueRef intensities(const Tables *t, const Prepare *p) {
  LLVMValueRef *v = values(t, p->nintensity);
  for (int i = 0; i < p->nintensity; i++) {
    const Intensity *x = &p->intensity[i];
    v[i] = RECORD(t, int32(t, x->kind), int32(t, x->clip), real(t, x->lo), real(t, x->hi), real(t, x->mean),
                  real(t, x->deviation), real(t, x->scale));
  }
  return table(t, "intensities", t->type[T_INTENSITY], v, p->nintensity);
}

static LLVMValueRef labels(const Tables *t, const Prepare *p) {
  LLVMValueRef *v = values(t, p->nlabel);
  for (int i = 0; i < p->nlabel; i++)
    v[i] = RECORD(t, int64(t, p->label[i].value), int32(t, p->label[i].colour), int32(t, p->label[i].cls));
  return table(t, "labels", t->type[T_LABEL], v, p->nlabel);
}

static LLVMValueRef regions(const Tables *t, const Prepare *p) {
  LLVMValueRef *v = values(t, p->nregion);
  for (int r = 0; r < p->nregion; r++)
    v[r] = RECORD(t, text(t, p->region[r]), int32(t, region_class(p, r)), int32(t, 0));
  return table(t, "regions", t->type[T_REGION], v, p->nregion);
}

static LLVMValueRef members(const Tables *t, const Prepare *p) {
  int n = p->nregion ? p->nclass : 0;
  LLVMValueRef *v = values(t, n);
  for (int c = 0; c < n; c++) v[c] = LLVMConstInt(t->i8, p->member[c], false);
  return table(t, "members", t->i8, v, n);
}

LLVMValueRef prepare_table(const Tables *t) {
  const Prepare *p = t->mod->prog->prepare;
  if (!p) return null(t);
  enum { LETTERS = sizeof((NetcPrepare *)0)->orientation };
  char code[LETTERS] = "";
  LLVMValueRef letter[LETTERS];
  strncpy(code, p->orientation, LETTERS - 1);
  for (int i = 0; i < LETTERS; i++) letter[i] = LLVMConstInt(t->i8, (uint8_t)code[i], false);
  return global(
      t, "prepare",
      RECORD(t, texts(t, "channels", p->channel, p->nchannel), intensities(t, p), labels(t, p),
             texts(t, "classes", p->class_name, p->nclass), regions(t, p), members(t, p),
             int32(t, p->nchannel), int32(t, p->nintensity), int32(t, p->nlabel), int32(t, p->nclass),
             int32(t, p->nregion), int32(t, p->spacing), int32(t, p->image_order), int32(t, p->mask_order),
             int32(t, p->plane), int32(t, p->crop), int32(t, p->weight), int32(t, p->post),
             int32(t, prepare_ignores(p)), int32(t, 0), LLVMConstArray2(t->i8, letter, LETTERS),
             real(t, p->mm[0]), real(t, p->mm[1]), real(t, p->mm[2]), int64(t, p->stride[0]),
             int64(t, p->stride[1]), int64(t, p->stride[2]), real(t, p->overlap), real(t, p->drop)));
}
