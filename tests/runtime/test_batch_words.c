/* test_batch_words.c - lists of plain words mean what they always meant: batches of flip, rot90, crop and
 * noise have the bits that they had when these were all there was. */
#include "tests/runtime/augment_data.h"

static const struct {
  DataShape shape;
  int64_t dim[3]; /* of the images */
} set[] = {{{.spatial = 2, .channels = 1, .size = {24, 24}, .classes = 2}, {24, 24}},
           {{.spatial = 2, .channels = 3, .size = {20, 33}, .classes = 2}, {20, 33}},
           {{.spatial = 3, .channels = 1, .size = {8, 8, 9}, .classes = 3}, {12, 13, 10}},
           {{.spatial = 3, .channels = 2, .size = {16, 8, 9}, .classes = 3}, {12, 13, 8}}}; /* too large */

/* Of each set and each subset of the words, bit i word i. Made by the sampler that knew these words alone. */
static const uint64_t was[4][16] = {
    {0x69abdc3471c0f7f5, 0x422fb566935d7c3d, 0xd5c195e02c98d4f9, 0xb851cd3f9c307775, 0x9b33def9b67ff502,
     0x613dd776d46901e6, 0x70dbc3a17f0f5d6a, 0x5c95a383ecd5cbde, 0x101c084e9d35be2a, 0x87ed4d4662390f8e,
     0xb411c59f0841df05, 0xd31f03118c9bdf3f, 0x3e6c4e684f3751b0, 0x262c26144109e43f, 0x147aed07995d0c66,
     0xd2b36b69fe38d800},
    {0xc1b986ff4a86910a, 0x0af11f941d13b9ca, 0x758be0489ec36912, 0xd3fd66a1a3de0a42, 0x236ff8cac0f23205,
     0xd08d2184833efe0d, 0x9e9906f9953d51a5, 0x9e8d902fabec555d, 0x28b1bb951de59175, 0x9457dac11f802b47,
     0x10468f1b50461a46, 0xe2a074fc25106a6c, 0x1416389f07682bee, 0xf3537f86b41107a1, 0xfd00a93ea2bb3aeb,
     0x425aafb38a42ce3a},
    {0xdf5489cb6b3fbce6, 0xf356184f521e3c5e, 0xed4d0766e3929b16, 0xc09ac4e217c790a6, 0x0fe39aabccc70223,
     0xb5eca2f7c1a35357, 0xb2b6473c4d118473, 0x8727403c787b539b, 0x482526217a02873a, 0x5bc87ba4235dcde6,
     0x9a9353a4391bdd9f, 0x981bb05d2fa45e78, 0x36220a2663cd1070, 0x1a3d6cdb17f97ffc, 0xf20f1f9e22d2d39f,
     0xec3526534b9c0daa},
    {0x30690923691137e7, 0x6aa12257a1173223, 0xa2570568e05dc10b, 0x98b8a577bfcbd1bf, 0x60b4922a2dd32865,
     0x91a5ced03c596281, 0x2b19333fe12ae505, 0x6d0b1ae1dcbdbef9, 0xa68ac1e34c0741b9, 0x0401ab1cd0d2c62c,
     0xba62dfdabf33917f, 0x9eae989cda5c4432, 0x03c31065e6426348, 0xf4b92f6d4db2dab3, 0x63a65617ba68b751,
     0x8824701418d502a0}};

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

static void check_words(Dataset *d, int i, unsigned mask) {
  static const char *const word[] = {"flip", "rot90", "crop", "noise"};
  char words[64] = "";
  for (int k = 0; k < 4; k++)
    if (mask >> k & 1) strcat(strcat(words, *words ? " " : ""), word[k]);
  NetcStream stream = stream_of_words(NETC_SRC_LABELED, words);
  Sampler *s = sampler_of(d, &stream, 1, 9, set[i].dim, draw_noise);
  uint64_t h = hash_of(s, &set[i].shape);
  if (h != was[i][mask])
    fail_msg("set %d, [%s]: %016llx, it was %016llx", i, words, (unsigned long long)h,
             (unsigned long long)was[i][mask]);
  sampler_free(s);
}

TEST(batches_of_plain_words_have_the_bits_they_had) {
  for (int i = 0; i < 4; i++) {
    Dataset *d = open_items(&set[i].shape);
    for (unsigned mask = 0; mask < 16; mask++) check_words(d, i, mask);
    data_close(d);
  }
}

RUN_TESTS(NULL, NULL)
