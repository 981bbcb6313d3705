/* test_batch_words.c - lists of plain words mean what they always meant: batches of flip, rot90, crop and
 * noise have the bits that they had when these were all there was. */
#include "tests/runtime/augment_data.h"
#include "tests/runtime/streams.h"

static const struct {
  const char *kind;
  DataShape shape;
} set[] = {{"folder", {.spatial = 2, .channels = 1, .size = {24, 24}, .classes = 2}},
           {"folder", {.spatial = 2, .channels = 3, .size = {20, 33}, .classes = 2}},
           {"la", {.spatial = 3, .channels = 1, .size = {8, 8, 9}, .classes = 3}},
           {"la", {.spatial = 3, .channels = 1, .size = {16, 8, 12}, .classes = 3}}}; /* larger than images */

/* Of each set and each subset of the words, bit i word i. Made by runtime/data/sampler.c of version 0.1.0. */
static const uint64_t was[4][16] = {
    {0xd1486897963ec619, 0x69e9fbd25a72fc31, 0xfaaf5439fa8ec81d, 0x73fcc3920893608d, 0xe932ba58c4582526,
     0x3941dca4a317670e, 0xa98099f9c0f50a9e, 0x1f86acfc8e1c950e, 0x54a0fb1a05abc280, 0xa1a029840100ac67,
     0x9b524253be97df93, 0x203ef2a77df0e59d, 0x7b88c80a6e0a6ba4, 0x6037aa52c32c3676, 0x0fd5d2a8a942747b,
     0xc40e9770d0eef2d5},
    {0x936e6ac2504efdcb, 0xb67b296b25f0276f, 0x50327a0acd233da3, 0x9b8cc9314d548cdf, 0x947dccbea2bcc9c0,
     0x1217744eccb2fb34, 0x8da3d06e4b838d1c, 0x9c2b46fe4aaf6020, 0xc6050ad26ba42c16, 0x7455364eb1b6a75a,
     0xd8e6182076735482, 0x26e276895e1098cb, 0x94085ef84442649a, 0x88df9dbc989876fd, 0x16d02817920455d9,
     0xc74a071962d82f18},
    {0xd98d02a5349bd359, 0x626b076702e62229, 0x71d70e621ae5b4f5, 0x12926044350b92e5, 0xd57a12be81c560b4,
     0xedec5fa9e74c27e8, 0xbd927cde6b7ae590, 0x74bf1ab77224a41c, 0x4398b25aa00ced34, 0x2d830e5fb40573ab,
     0xaf36b5b2c6f4225a, 0x065c0b8dafae0304, 0xf2a009bfc7a3eeee, 0x552f5146b3037c08, 0xa9e0214b8c6407b9,
     0xc54b3728077909dc},
    {0x4b33fa03c35e6ea9, 0x65d1b25f135604dd, 0x777e07fafedad339, 0xdf2303e680583535, 0x307ad2ff04e5f4ca,
     0x7b17ac8fba1587ea, 0x0178f2dc53105e22, 0x0c30c75a79509c9a, 0xd5bc561e42c6bb99, 0xbba6c433189083e1,
     0x764fada0a6cc5ab8, 0x6bc56a809400e69e, 0x845d4e02d5289c5a, 0x07c44dde2a268223, 0xfdd1d31bebb272ca,
     0x956ad6874a60fb34}};

/* Images, labels and distance maps of iterations 0, 7, 14 and 21. */
static uint64_t hash_of(Sampler *s, const DataShape *shape) {
  int64_t n = shape->channels;
  for (int a = 0; a < shape->spatial; a++) n *= shape->size[a];
  float image[3 * 2400], sdf[3 * 2400];
  int32_t label[3 * 2400];
  BatchField f[3] = {{NETC_FIELD_IMAGE, 3, image}, {NETC_FIELD_LABEL, 3, label}, {NETC_FIELD_SDF, 3, sdf}};
  uint64_t h = 14695981039346656037u;
  assert_true(n <= 2400);
  for (uint64_t t = 0; t < 4; t++) {
    if (!sampler_batch(s, 7 * t, f, 3, err)) fail_msg("%s", err);
    size_t spatial = (size_t)(3 * n / shape->channels) * 4;
    h = fnv(fnv(fnv(h, image, (size_t)(3 * n) * 4), label, spatial), sdf, spatial);
  }
  return h;
}

static void write_set(int i) {
  const DataShape *s = &set[i].shape;
  if (s->spatial == 2) write_noise_pictures(10, (int)s->size[0], (int)s->size[1]);
  else write_noise_volumes(5);
}

static void check_words(Dataset *d, int i, unsigned mask) {
  static const char *const word[] = {"flip", "rot90", "crop", "noise"};
  char words[64] = "";
  for (int k = 0; k < 4; k++)
    if (mask >> k & 1) strcat(strcat(words, *words ? " " : ""), word[k]);
  NetcStream stream = stream_of_words(NETC_SRC_LABELED, words);
  Sampler *s = sampler_new(d, &stream, 1, 9, err);
  if (!s) fail_msg("%s", err);
  uint64_t h = hash_of(s, &set[i].shape);
  if (h != was[i][mask])
    fail_msg("set %d, [%s]: %016llx, it was %016llx", i, words, (unsigned long long)h,
             (unsigned long long)was[i][mask]);
  sampler_free(s);
}

TEST(batches_of_plain_words_have_the_bits_they_had) {
  for (int i = 0; i < 4; i++) {
    fresh(NULL);
    write_set(i);
    Dataset *d = open_data(set[i].kind, &set[i].shape);
    for (unsigned mask = 0; mask < 16; mask++) check_words(d, i, mask);
    data_close(d);
  }
}

RUN_TESTS(scratch_set_up, scratch_tear_down)
