/* memory.c - a sum of arrays, known before any of them is made. */
#include <malloc.h>
#include "runtime/base/array.h"
#include "runtime/predict/memory.h"
#include "runtime/io/format.h"
#include "runtime/session/footprint.h"

/* Bytes around an array: the pages of libraries that are touched meanwhile, stacks, the allocator's own. */
static const int64_t slack = 24 << 20;

static bool header_of(const Files *files, Image *header, char err[ERR_MAX]) {
  if (!image_read(files->image[0], &(Wish){.header = true, .set = "image"}, header, err)) return false;
  if (files->nimage > 1) header->channels = files->nimage;
  return true;
}

/* What cleaning takes at most to clean a mask, for each of its elements, in bytes: the mask of a class,
 * labels, a stack, and sizes of components (an eighth of the elements at most) in an array that grows. */
enum { CLEANING = 1 + 4 + 8 + 3 }; /* a class is cleaned in its box, which is mostly smaller */

static void count_arrays(const Predictor *p, const Image *file, Plan *plan) {
  const Recipe *r = p->shape.recipe ? p->shape.recipe : &recipe_plain;
  int spatial = p->shape.spatial;
  int64_t own = grid_count(&file->grid), channels = p->shape.channels, slices = 1;
  Grid g = prepared_grid(&file->grid, r, spatial);
  int64_t n = grid_count(&g), in_file = file->channels > channels ? file->channels : channels;
  /* formats read some planes of stored numbers, of up to eight bytes, at a time */
  int64_t planes = 16 * file->grid.dim[0] * file->grid.dim[1] * in_file * 8;
  if (file->spatial == 3 && spatial == 2) slices = slices_in(&file->grid, r);
  int64_t copies = file->spatial == 3 ? prepare_copies(&file->grid, r, spatial, (int)channels) * 4 : 0;
  plan->reading = own * in_file * 4 + (planes < own * in_file * 8 ? planes : own * in_file * 8);
  if (plan->reading < own * channels * 4 + copies) plan->reading = own * channels * 4 + copies;
  plan->image = spatial == 3 ? n * channels * 4 : slices * p->patch * channels * 4;
  if (spatial == 2) plan->reading += plan->image;
  plan->mask = own, plan->small = plan->overlay ? spatial == 3 ? n : slices * p->patch : 0;
  plan->net = p->fn->working + p->fn->scratch * pool_threads(p->session->pool) +
              4 * (array_count(p->in) + array_count(p->out) + p->patch);
  plan->after = plan->mask + (plan->overlay ? plan->image + plan->small : 0) +
                own * (plan->clean ? CLEANING + (p->regions != NULL) : 1);
}

static void count_sums(Predictor *p, const Image *file, Plan *plan) {
  const Recipe *r = p->shape.recipe ? p->shape.recipe : &recipe_plain;
  Grid g = prepared_grid(&file->grid, r, p->shape.spatial);
  plan->sums = predictor_bytes(p, file->spatial, g.dim);
  int64_t running = plan->image + plan->mask + plan->small + plan->sums + plan->net;
  plan->peak = running > plan->reading ? running : plan->reading;
  plan->peak = (plan->after > plan->peak ? plan->after : plan->peak) + plan->before + slack;
}

static bool too_little(const Plan *plan, const char *path, int64_t limit, char err[ERR_MAX]) {
  const double g = 0x1p30;
  return err_set(err,
                 "%s: at least %.2f GiB of memory are needed (--memory says %.2f): %.2f to read it, %.2f to "
                 "predict it, %.2f to write it, %.2f before it",
                 path, (double)plan->peak / g, (double)limit / g, (double)plan->reading / g,
                 (double)(plan->image + plan->mask + plan->small + plan->sums + plan->net) / g,
                 (double)plan->after / g, (double)(plan->before + slack) / g);
}

bool plan_memory(Predictor *p, const Files *files, Plan *plan, int64_t limit, char err[ERR_MAX]) {
  Image file;
  p->tiles = 1;
  if (!header_of(files, &file, err)) return false;
  /* What an image before this one took is given back: large arrays are mappings of their own, whatever was
   * freed before (glibc would raise the size from which they are). */
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  malloc_trim(0);
  if (!p->idle) p->idle = resident_now();
  plan->before = p->idle;
  count_arrays(p, &file, plan), count_sums(p, &file, plan);
  const Recipe *r = p->shape.recipe ? p->shape.recipe : &recipe_plain;
  Grid g = prepared_grid(&file.grid, r, p->shape.spatial);
  int64_t most = p->shape.spatial == 3 ? predictor_tiles(p, g.dim) : 1;
  while (limit && plan->peak > limit && p->tiles < most) p->tiles++, count_sums(p, &file, plan);
  return !limit || plan->peak <= limit || too_little(plan, files->image[0], limit, err);
}

void plan_print(const Plan *plan, const char *path, FILE *out) {
  const double g = 0x1p30;
  fprintf(
      out,
      "%s: %.2f GiB of memory at most (before %.2f; reading %.2f; then image %.2f, masks %.2f, sums %.2f, "
      "network %.2f; after it %.2f)\n",
      path, (double)plan->peak / g, (double)(plan->before + slack) / g, (double)plan->reading / g,
      (double)plan->image / g, (double)(plan->mask + plan->small) / g, (double)plan->sums / g,
      (double)plan->net / g, (double)plan->after / g);
}
