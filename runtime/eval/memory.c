/* memory.c - a sum of arrays, known before any of them is made. */
#include <string.h>
#include "runtime/eval/memory.h"
#include "runtime/io/format.h"
#include "runtime/session/footprint.h"

/* Bytes around an array: the pages of libraries that are touched meanwhile, stacks, the allocator's own. */
static const int64_t slack = 24 << 20;

static bool header_of(const Files *files, Image *header, char err[ERR_MAX]) {
  if (!image_read(files->image[0], &(Wish){.header = true, .set = "image"}, header, err)) return false;
  if (files->nimage > 1) header->channels = files->nimage;
  return true;
}

static void count_arrays(const Predictor *p, const Image *file, Plan *plan) {
  const Recipe *r = p->shape.recipe ? p->shape.recipe : &recipe_plain;
  int64_t own = grid_count(&file->grid), channels = p->shape.channels, slices = 0;
  Grid g = prepared_grid(&file->grid, r, p->shape.spatial);
  int64_t n = grid_count(&g), copy = prepare_copies(&file->grid, r, p->shape.spatial);
  if (file->spatial == 3 && p->shape.spatial == 2) slices = slices_in(&file->grid, r);
  plan->reading = own * (file->channels > channels ? file->channels : channels) * 4 + copy * channels * 4;
  plan->image = p->shape.spatial == 3 ? n * channels * 4 : (slices ? slices : 1) * p->patch * channels * 4;
  if (p->shape.spatial == 2) plan->reading += plan->image;
  plan->mask = own + (plan->small ? n : 0);
  plan->net = p->fn->working + p->fn->scratch * pool_threads(p->session->pool);
  plan->cleaning = plan->clean ? own * 6 : 0;
}

static void count_sums(Predictor *p, const Image *file, Plan *plan) {
  const Recipe *r = p->shape.recipe ? p->shape.recipe : &recipe_plain;
  Grid g = prepared_grid(&file->grid, r, p->shape.spatial);
  plan->sums = predictor_bytes(p, file->spatial, g.dim);
  int64_t running = plan->image + plan->mask + plan->sums + plan->net;
  int64_t cleaning = plan->image + plan->mask + plan->cleaning;
  plan->peak = running > cleaning ? running : cleaning;
  plan->peak = (plan->peak > plan->reading ? plan->peak : plan->reading) + plan->before + slack;
}

bool plan_memory(Predictor *p, const Files *files, Plan *plan, int64_t limit, char err[ERR_MAX]) {
  Image file;
  p->tiles = 1;
  if (!header_of(files, &file, err)) return false;
  plan->before = resident_now();
  count_arrays(p, &file, plan);
  count_sums(p, &file, plan);
  if (!limit || file.spatial == 2) return true;
  int64_t most = p->shape.spatial == 3 ? file.grid.dim[0] + file.grid.dim[1] + file.grid.dim[2] : 1;
  while (plan->peak > limit && p->tiles < most) {
    int64_t before = plan->sums;
    p->tiles++;
    count_sums(p, &file, plan);
    if (plan->sums == before && plan->peak > limit && p->tiles > 64) break;
  }
  if (plan->peak <= limit) return true;
  return err_set(
      err,
      "%s: at least %.2f GiB of memory are needed (--memory says %.2f): %.2f to read it, %.2f to "
      "predict it, %.2f before it",
      files->image[0], (double)plan->peak / 0x1p30, (double)limit / 0x1p30, (double)plan->reading / 0x1p30,
      (double)(plan->image + plan->mask + plan->sums + plan->net) / 0x1p30, (double)plan->before / 0x1p30);
}

void plan_print(const Plan *plan, const char *path, FILE *out) {
  if (plan->peak < (int64_t)256 << 20) return; /* nobody's memory is short of that */
  const double g = 0x1p30;
  fprintf(out,
          "%s: %.2f GiB of memory at most (before %.2f; reading %.2f; then image %.2f, mask %.2f, sums %.2f, "
          "network %.2f)\n",
          path, (double)plan->peak / g, (double)plan->before / g, (double)plan->reading / g,
          (double)plan->image / g, (double)plan->mask / g, (double)plan->sums / g, (double)plan->net / g);
}
