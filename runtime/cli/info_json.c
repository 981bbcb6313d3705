/* info_json.c - netrun info --json: what is in a module, for programs. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include "runtime/cli/info.h"
#include "runtime/session/footprint.h"
#include "runtime/session/prepare.h"

static void add_networks(cJSON *root, const NetcModule *d) {
  cJSON *nets = cJSON_AddArrayToObject(root, "networks");
  for (int i = 0; i < d->nnets; i++) {
    cJSON *n = cJSON_CreateObject();
    cJSON_AddStringToObject(n, "name", d->nets[i].name);
    cJSON_AddNumberToObject(n, "parameters", (double)d->nets[i].parameters);
    cJSON_AddNumberToObject(n, "macs", (double)d->nets[i].macs);
    cJSON_AddItemToArray(nets, n);
  }
}

static void add_functions(cJSON *root, const NetcModule *d) {
  cJSON *fns = cJSON_AddArrayToObject(root, "functions");
  for (int i = 0; i < d->nfns; i++) {
    Footprint p = footprint_plan(d, &d->fns[i], 1);
    cJSON *f = cJSON_CreateObject();
    cJSON_AddStringToObject(f, "name", d->fns[i].name);
    cJSON_AddNumberToObject(f, "variable_bytes", (double)p.variables);
    cJSON_AddNumberToObject(f, "working_bytes", (double)p.working);
    cJSON_AddNumberToObject(f, "batch_bytes", (double)p.batch);
    cJSON_AddNumberToObject(f, "scratch_bytes_per_thread", (double)p.scratch);
    cJSON_AddItemToArray(fns, f);
  }
}

static void add_kernels(cJSON *root, const NetcModule *d) {
  cJSON *kernels = cJSON_AddArrayToObject(root, "kernels");
  for (int i = 0; i < d->nkernels; i++) {
    cJSON *k = cJSON_CreateObject();
    cJSON_AddStringToObject(k, "name", d->kernels[i].name);
    cJSON_AddNumberToObject(k, "flops", (double)d->kernels[i].flops);
    cJSON_AddNumberToObject(k, "bytes", (double)d->kernels[i].bytes);
    cJSON_AddItemToArray(kernels, k);
  }
}

/* ---- what the file says of data and runs ---- */

/* null where the module does not say */
static void add_text(cJSON *to, const char *key, const char *text) {
  if (text) cJSON_AddStringToObject(to, key, text);
  else cJSON_AddNullToObject(to, key);
}

static void add_texts(cJSON *to, const char *key, const char *const *text, int n) {
  cJSON *list = cJSON_AddArrayToObject(to, key);
  for (int i = 0; i < n; i++) cJSON_AddItemToArray(list, cJSON_CreateString(text[i]));
}

static void add_intensities(cJSON *to, const NetcPrepare *p) {
  cJSON *list = cJSON_AddArrayToObject(to, "intensity");
  for (int i = 0; i < p->nintensities; i++) {
    const NetcIntensity *x = &p->intensities[i];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "kind", prepare_intensity_word(x->kind));
    if (x->clip) cJSON_AddItemToObject(o, "clip", cJSON_CreateDoubleArray((double[]){x->lo, x->hi}, 2));
    else cJSON_AddNullToObject(o, "clip");
    if (x->kind == NETC_INTENSITY_FIXED) {
      cJSON_AddNumberToObject(o, "mean", x->mean);
      cJSON_AddNumberToObject(o, "deviation", x->deviation);
      cJSON_AddNumberToObject(o, "scale", x->scale);
    }
    cJSON_AddItemToArray(list, o);
  }
}

static void add_labels(cJSON *to, const NetcPrepare *p) {
  cJSON *list = cJSON_AddArrayToObject(to, "labels");
  for (int i = 0; i < p->nlabels; i++) {
    const NetcLabelRule *r = &p->labels[i];
    cJSON *o = cJSON_CreateObject();
    char colour[16];
    snprintf(colour, sizeof colour, "#%06x", (unsigned)r->colour);
    if (r->colour == NETC_NO_COLOUR) cJSON_AddNumberToObject(o, "value", (double)r->value);
    else cJSON_AddStringToObject(o, "colour", colour);
    if (r->cls == NETC_CLASS_IGNORED) cJSON_AddNullToObject(o, "class");
    else cJSON_AddNumberToObject(o, "class", r->cls);
    cJSON_AddItemToArray(list, o);
  }
}

/* One number for each spatial axis; null where the setting is not in force. */
static void add_axes(cJSON *to, const char *key, bool there, const double v[3], int spatial) {
  if (there) cJSON_AddItemToObject(to, key, cJSON_CreateDoubleArray(v, spatial));
  else cJSON_AddNullToObject(to, key);
}

static void add_prepare(cJSON *root, const NetcModule *d) {
  const NetcPrepare *p = d->prepare;
  if (!p) {
    cJSON_AddNullToObject(root, "prepare");
    return;
  }
  cJSON *o = cJSON_AddObjectToObject(root, "prepare");
  double stride[3];
  for (int i = 0; i < 3; i++) stride[i] = (double)p->stride[i];
  add_texts(o, "channels", p->channels, p->nchannels);
  cJSON_AddStringToObject(o, "spacing", prepare_spacing_word(p->spacing));
  add_axes(o, "mm", p->spacing == NETC_SPACING_FIXED, p->mm, d->spatial);
  cJSON_AddStringToObject(o, "image_order", prepare_order_word(p->image_order));
  cJSON_AddStringToObject(o, "mask_order", prepare_order_word(p->mask_order));
  cJSON_AddStringToObject(o, "orientation", p->orientation[0] ? p->orientation : "stored");
  cJSON_AddStringToObject(o, "plane", prepare_plane_word(p->plane));
  cJSON_AddStringToObject(o, "crop", prepare_crop_word(p->crop));
  add_intensities(o, p);
  add_texts(o, "classes", p->classes, p->nclasses);
  add_labels(o, p);
  cJSON_AddNumberToObject(o, "overlap", p->overlap);
  add_axes(o, "stride", p->stride[0] > 0, stride, d->spatial);
  cJSON_AddStringToObject(o, "window", prepare_weight_word(p->weight));
  cJSON *post = cJSON_AddArrayToObject(o, "postprocess");
  for (uint32_t bit = 1; *prepare_post_word(bit) != '?'; bit <<= 1)
    if (p->post & bit) cJSON_AddItemToArray(post, cJSON_CreateString(prepare_post_word(bit)));
  cJSON_AddNumberToObject(o, "drop", p->drop);
}

static void add_validation(cJSON *root, const NetcValidation *v) {
  if (!v) {
    cJSON_AddNullToObject(root, "validate");
    return;
  }
  cJSON *o = cJSON_AddObjectToObject(root, "validate");
  cJSON_AddNumberToObject(o, "every", (double)v->every);
  add_text(o, "best", v->best);
  add_text(o, "val", v->val);
}

bool info_json(const Module *m, FILE *out) {
  const NetcModule *d = m->desc;
  cJSON *root = cJSON_CreateObject();
  add_networks(root, d);
  cJSON_AddNumberToObject(root, "arena_bytes", (double)d->arena_bytes);
  add_functions(root, d);
  add_prepare(root, d);
  add_validation(root, d->validation);
  add_kernels(root, d);
  char *text = cJSON_Print(root);
  cJSON_Delete(root);
  if (!text) return false;
  fprintf(out, "%s\n", text);
  cJSON_free(text);
  return true;
}
