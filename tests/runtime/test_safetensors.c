/* test_safetensors.c - round trips, and that no bytes whatever crash the reader. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/scratch.h"
#include "runtime/io/safetensors.h"

static char path[64];

FIXTURE(set_up) {
  if (scratch_set_up(state)) return -1;
  snprintf(path, sizeof path, "%s/w.safetensors", root);
  return 0;
}

FIXTURE(tear_down) {
  unlink(path);
  return rmdir(root);
}

static float weights[2][3] = {{1, 2, 3}, {4, 5, 6}};
static int32_t counter = 42;

static bool fill(void *user, int i, void *dst, char err[ERR_MAX]) {
  if (user) return err_set(err, "refused");
  if (i == 0) memcpy(dst, weights, sizeof weights);
  else memcpy(dst, &counter, sizeof counter);
  return true;
}

static bool write_sample(void *user, char err[ERR_MAX]) {
  StTensor t[2] = {{.name = (char[]){"net.conv.weight"}, .type = ST_F32, .rank = 2, .dim = {2, 3}},
                   {.name = (char[]){"a \"quoted\" name"}, .type = ST_I32}};
  StMeta meta[1] = {{(char[]){"iteration"}, (char[]){"7"}}};
  return st_write(path, t, 2, meta, 1, fill, user, err);
}

TEST(tensors_read_back_the_same) {
  char err[ERR_MAX];
  assert_true(write_sample(NULL, err));
  StFile *f = st_open(path, err);
  assert_non_null(f);
  assert_int_equal(f->ntensor, 2);
  const StTensor *t = st_find(f, "net.conv.weight");
  assert_non_null(t);
  assert_int_equal(t->type, ST_F32);
  assert_int_equal(t->rank, 2);
  assert_int_equal(t->dim[1], 3);
  assert_memory_equal(t->data, weights, sizeof weights);
  t = st_find(f, "a \"quoted\" name");
  assert_non_null(t);
  assert_int_equal(t->rank, 0);
  assert_memory_equal(t->data, &counter, 4);
  assert_string_equal(st_meta(f, "iteration"), "7");
  assert_null(st_meta(f, "nothing"));
  assert_null(st_find(f, "net.conv"));
  st_close(f);
}

TEST(a_failed_write_leaves_the_file_as_it_was) {
  char err[ERR_MAX];
  assert_true(write_sample(NULL, err));
  assert_false(write_sample(err, err));
  assert_string_equal(err, "refused");
  StFile *f = st_open(path, err); /* as it was */
  assert_non_null(f);
  st_close(f);
}

/* A file with this JSON as header and n bytes of data. */
static StFile *parse(const char *json, size_t n, char err[ERR_MAX]) {
  size_t len = strlen(json);
  uint8_t *b = calloc(1, 8 + len + n + 1);
  b[0] = (uint8_t)len, b[1] = (uint8_t)(len >> 8);
  memcpy(b + 8, json, len);
  StFile *f = st_parse(b, 8 + len + n, "w.safetensors", err);
  free(b); /* names and shapes stay, data pointers are not read here */
  return f;
}

TEST(a_damaged_header_is_explained) {
  static const struct {
    const char *json;
    size_t bytes;
    const char *message;
  } bad[] = {
      {"[1]", 0, "no JSON object"},
      {"{\"a\":", 0, "no JSON object"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "cut short"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, "behind its last"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "do not fit its shape"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "do not fit its shape"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,1e300]}}", 8, "do not fit its shape"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "do not fit its shape"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "no valid shape"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,8]}}", 8, "no valid shape"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9007199254740992,4096],\"data_offsets\":[0,8]}}", 8,
       "no valid shape"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8,
       "no valid shape"},
      {"{\"a\":{\"dtype\":\"Q7\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "unknown dtype"},
      {"{\"a\":7}", 0, "unknown dtype"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],"
       "\"data_offsets\":[2,6]}}",
       6, "overlap"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],"
       "\"data_offsets\":[6,10]}}",
       10, "do not follow"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"U8\",\"shape\":[4],"
       "\"data_offsets\":[4,8]}}",
       8, "twice"},
      {"{\"__metadata__\":{\"a\":1}}", 0, "strings to strings"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char err[ERR_MAX] = "";
    assert_null(parse(bad[i].json, bad[i].bytes, err));
    if (!strstr(err, bad[i].message) || !strstr(err, "w.safetensors")) fail_msg("case %zu: `%s`", i, err);
  }
  char err[ERR_MAX];
  StFile *f = parse("{}", 0, err);
  assert_non_null(f);
  st_close(f);
}

/* Every prefix of a good file, and every single-byte change of it, is an error or a sound file. */
TEST(any_bytes_are_an_error_or_a_sound_file) {
  char err[ERR_MAX];
  Bytes file;
  assert_true(write_sample(NULL, err));
  assert_true(file_map(path, &file, err));
  uint8_t *b = malloc(file.size);
  for (size_t n = 0; n < file.size; n++) {
    uint8_t *cut = malloc(n + 1);
    memcpy(cut, file.data, n);
    assert_null(st_parse(cut, n, "cut", err));
    free(cut);
  }
  static const uint8_t changes[] = {0x00, 0xff, '"', '{', '}', '9', '-', ' '};
  for (size_t n = 0; n < file.size; n++)
    for (size_t k = 0; k < sizeof changes; k++) {
      memcpy(b, file.data, file.size);
      b[n] = changes[k];
      StFile *f = st_parse(b, file.size, "changed", err);
      for (int i = 0; f && i < f->ntensor; i++) {
        const uint8_t *data = f->tensor[i].data;
        assert_true(data >= b && data + (f->tensor[i].end - f->tensor[i].begin) <= b + file.size);
      }
      st_close(f);
    }
  free(b);
  file_unmap(&file);
}

RUN_TESTS(set_up, tear_down)
