/* names.c - what names of files and folders say in this field. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "runtime/find/search.h"

enum { CHANNEL_DIGITS = 4 };

const char *const part_name[PART_COUNT] = {"", "train", "val", "test"};

static const char *const image_word[] = {"images", "image", "imgs", "img",      "input",
                                         "inputs", "scans", "scan", "original", "originals"};
static const char *const mask_word[] = {
    "masks",       "mask",         "labels",       "label",         "annotations", "annotation",
    "groundtruth", "groundtruths", "segmentation", "segmentations", "seg",         "segs",
    "gt",          "gts",          "targets",      "target",        "manual"};
static const struct {
  const char *text;
  FoundPart part;
  bool alone; /* else only before or after one of the words above: imagesTr */
} part_word[] = {{"training", PART_TRAIN, true}, {"train", PART_TRAIN, true}, {"tr", PART_TRAIN, false},
                 {"validation", PART_VAL, true}, {"valid", PART_VAL, true},   {"val", PART_VAL, true},
                 {"dev", PART_VAL, true},        {"va", PART_VAL, false},     {"testing", PART_TEST, true},
                 {"test", PART_TEST, true},      {"ts", PART_TEST, false}};

#define LENGTH(a) (sizeof(a) / sizeof *(a))

static bool among(const char *const *list, size_t n, const char *word, size_t len) {
  for (size_t i = 0; i < n; i++)
    if (strlen(list[i]) == len && !strncasecmp(list[i], word, len)) return true;
  return false;
}

static Role role_of(const char *word, size_t len) {
  if (among(image_word, LENGTH(image_word), word, len)) return ROLE_IMAGE;
  return among(mask_word, LENGTH(mask_word), word, len) ? ROLE_MASK : ROLE_NONE;
}

Word folder_word(const char *name) {
  char bare[64];
  size_t n = 0;
  for (; *name && n + 1 < sizeof bare; name++)
    if (!strchr(" _-.", *name)) bare[n++] = (char)tolower((unsigned char)*name);
  bare[n] = 0;
  Word w = {role_of(bare, n), PART_NONE};
  if (*name || w.role) return *name ? (Word){ROLE_NONE, PART_NONE} : w;
  for (size_t i = 0; i < LENGTH(part_word); i++) {
    size_t len = strlen(part_word[i].text);
    if (n < len) continue;
    bool first = !strncmp(bare, part_word[i].text, len), last = !strcmp(bare + n - len, part_word[i].text);
    w.part = part_word[i].part;
    if (n == len && first && part_word[i].alone) return w;
    if (last && (w.role = role_of(bare, n - len))) return w;
    if (first && part_word[i].alone && (w.role = role_of(bare + len, n - len))) return w;
  }
  return (Word){ROLE_NONE, PART_NONE};
}

/* Length of the stem before a separator and one of the words; 0: it does not end so. */
static size_t before_word(const char *stem, size_t n, const char *const *list, size_t words) {
  size_t at = n;
  while (at > 0 && !strchr("_-. ", stem[at - 1])) at--;
  return at > 1 && among(list, words, stem + at, n - at) ? at - 1 : 0;
}

size_t mask_stem(const char *stem) {
  size_t n = strlen(stem), digits = n, len = before_word(stem, n, mask_word, LENGTH(mask_word));
  if (len) return len;
  while (digits > 0 && isdigit((unsigned char)stem[digits - 1])) digits--;
  if (digits == n || digits == 0 || !strchr("_-", stem[digits - 1])) return 0;
  return before_word(stem, digits - 1, mask_word, LENGTH(mask_word)); /* X_mask_1: one of several of X */
}

bool is_mask_word(const char *stem) { return among(mask_word, LENGTH(mask_word), stem, strlen(stem)); }

size_t image_stem(const char *stem) {
  size_t n = strlen(stem), len = before_word(stem, n, image_word, LENGTH(image_word));
  return len ? len : n;
}

const char *below(Search *s, const char *dir, const char *stem, size_t n) {
  return keep_text(s->keep, "%s%s%.*s", dir, *dir && n ? "/" : "", (int)n, stem);
}

const char *last_folder(const char *dir) {
  const char *slash = strrchr(dir, '/');
  return slash ? slash + 1 : dir;
}

FoundPart part_of(const char *dir) {
  char copy[4096], *at = copy, *folder;
  FoundPart part = PART_NONE;
  snprintf(copy, sizeof copy, "%s", dir);
  while ((folder = strsep(&at, "/")))
    if (folder_word(folder).part) part = folder_word(folder).part;
  return part;
}

int before_suffix(const char *stem, const char *word) {
  size_t n = strlen(stem), w = strlen(word);
  if (n < w || strcasecmp(stem + n - w, word)) return -1;
  if (n == w) return 0;
  return strchr("_-", stem[n - w - 1]) ? (int)(n - w - 1) : -1;
}

char *case_in_name(const char *name, char *out, size_t room) {
  static const char *const mark[] = {"_slice", "_z", "_s"};
  snprintf(out, room, "%s", name);
  for (size_t i = 0; i < LENGTH(mark); i++)
    for (char *p = strstr(out, mark[i]); p; p = strstr(p + 1, mark[i])) {
      const char *digits = p + strlen(mark[i]);
      if (*digits == '_' || *digits == '-') digits++;
      if (p > out && *digits && strspn(digits, "0123456789") == strlen(digits)) {
        *p = 0;
        return out;
      }
    }
  return out;
}

size_t before_channel(const char *stem) {
  size_t n = strlen(stem);
  if (n < CHANNEL_DIGITS + 2 || stem[n - CHANNEL_DIGITS - 1] != '_') return 0;
  for (size_t i = n - CHANNEL_DIGITS; i < n; i++)
    if (!isdigit((unsigned char)stem[i])) return 0;
  return n - CHANNEL_DIGITS - 1;
}
