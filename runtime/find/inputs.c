/* inputs.c - images that are to be predicted: channels by number, and whether it is clear which are meant. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/find/search.h"

enum { PATH_ROOM = 4096 };

/* ---- X_0000, X_0001 .. ---- */

typedef struct {
  int first;   /* a file of the tree */
  int highest; /* number of a channel */
  bool all;    /* every image ends in a number */
} Numbers;

static Numbers numbers_of(const Search *s) {
  Numbers n = {.first = -1, .all = true};
  for (int i = 0; i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    if (!counts(s, f)) continue;
    size_t before = before_channel(f->stem);
    int k = before ? atoi(f->stem + before + 1) : 0;
    if (n.first < 0) n.first = i;
    n.all = n.all && before, n.highest = k > n.highest ? k : n.highest;
  }
  return n;
}

/* Channels of a file by its header; 0 where that cannot be read. */
static int channels_in(const Search *s, const TreeFile *f) {
  char path[PATH_ROOM], ignored[ERR_MAX];
  Image header;
  snprintf(path, sizeof path, "%s/%s", s->found->root, f->path);
  return image_read(path, &(Wish){.header = true, .set = "image"}, &header, ignored) ? header.channels : 0;
}

/* How many channels the files of an image are, as dataset.json says or else their numbers; 0: each file is an
 * image of its own. */
static int channels_by_number(Search *s, const Numbers *n) {
  const InputOptions *o = s->inputs;
  const char *root = s->found->root;
  bool said = dataset_json_channels(s, keep_text(s->keep, "%s/dataset.json", root)) ||
              dataset_json_channels(s, keep_text(s->keep, "%s/../dataset.json", root));
  int files = n->highest + 1 > s->found->nchannel ? n->highest + 1 : s->found->nchannel;
  if (files == 1 && o->channels < 2) return 1;
  if (said && s->found->nchannel > 1) return files;
  int in_file = channels_in(s, &s->tree.file[n->first]);
  bool grey = in_file == 1 && o->channels == 3, colour = in_file == 3 && o->channels == 1; /* both are read */
  bool whole = in_file == o->channels || colour || (grey && files != 3);
  if (files == 1 && (whole || grey)) return 1;
  if (!whole) return files > o->channels ? files : o->channels;
  oddity_add(s->found, ODD_channels, false,
             "%s ..: each of the numbered files has all the channels that the module takes (%d): each is an "
             "image of its own",
             s->tree.file[n->first].path, o->channels);
  return 0;
}

static void add_numbered(Search *s) {
  for (int i = 0; i < s->tree.n; i++) {
    const TreeFile *f = &s->tree.file[i];
    if (!counts(s, f)) continue;
    size_t n = before_channel(f->stem);
    Part *p = part_add(s, i, ROLE_IMAGE, below(s, f->dir, f->stem, n), NULL);
    if (!p) return;
    p->base = keep_text(s->keep, "%.*s", (int)n, f->stem);
    p->part = part_of(f->dir), p->channel = f->stem + n + 1, p->order = atoi(p->channel);
  }
}

/* Names of the module alone say nothing of what the numbers mean; its order is as good as any. */
static void take_modules_order(Search *s, const char *first) {
  const FindOptions *o = s->options;
  Found *f = s->found;
  if (s->channels < 2 || f->nchannel || !o->channel) return;
  f->channel = keep_bytes(s->keep, (size_t)(o->nchannel + 1) * sizeof *f->channel);
  const char *names = "";
  for (int i = 0; f->channel && i < o->nchannel; i++) {
    names = keep_text(s->keep, "%s%s%s", names, i ? ", " : "", o->channel[i]);
    f->channel[i] = o->channel[i], f->nchannel = i + 1;
  }
  oddity_add(f, ODD_channels, false,
             "%s ..: no dataset.json names the channels; _0000, _0001 .. are taken in the module's order, %s",
             first, names);
}

bool match_numbered(Search *s) {
  Numbers n = numbers_of(s);
  if (s->look != LOOK_INPUTS || n.first < 0 || !n.all) return false;
  s->channels = channels_by_number(s, &n);
  if (!s->channels) return match_images_alone(s);
  add_numbered(s);
  channels_by_name(s);
  take_modules_order(s, s->tree.file[n.first].path);
  return true;
}

/* ---- what is meant ---- */

bool in_mask_folder(const char *dir) {
  char copy[PATH_ROOM], *at = copy, *folder;
  snprintf(copy, sizeof copy, "%s", dir);
  while ((folder = strsep(&at, "/")))
    if (folder_word(folder).role == ROLE_MASK) return true;
  return false;
}

bool all_are_parts(Search *s) {
  int images = 0;
  bool *known = keep_bytes(s->keep, (size_t)s->tree.n + 1);
  for (int i = 0; known && i < s->npart; i++) known[s->part[i].file] = true;
  for (int i = 0; known && i < s->tree.n; i++) images += counts(s, &s->tree.file[i]) && !known[i];
  return known && !images;
}

/* The folder that all images of a part lie in, below the root; *n: how many they are. */
static void folder_of_part(const Found *f, FoundPart part, char out[PATH_ROOM], int *n) {
  *n = 0, *out = 0;
  for (int i = 0; i < f->n; i++) {
    if (f->item[i].part != part) continue;
    const char *path = f->item[i].file[0] + strlen(f->root) + 1, *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0, same = 0;
    if (!(*n)++) snprintf(out, PATH_ROOM, "%.*s%s", (int)length, path, length ? "/" : "");
    for (size_t k = 0; k <= length && out[k] && out[k] == (k < length ? path[k] : '/'); k++)
      if (out[k] == '/') same = k + 1;
    out[same] = 0;
  }
}

bool inputs_are_one_part(const Found *f, char err[ERR_MAX]) {
  char folder[PATH_ROOM], all[ERR_MAX] = "";
  int parts = 0;
  for (FoundPart p = PART_TRAIN; p < PART_COUNT; p++) {
    int n;
    size_t at = strlen(all);
    folder_of_part(f, p, folder, &n);
    if (!n) continue;
    snprintf(all + at, sizeof all - at, "%s%s/%.80s (%d)", parts++ ? ", " : "", f->root, folder, n);
  }
  return parts < 2 ||
         err_set(
             err,
             "%s is a data set of several parts, and which one to predict is not guessed; name a folder: %s",
             f->root, all);
}
