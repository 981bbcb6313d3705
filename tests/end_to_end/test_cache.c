/* test_cache.c - the compiler's cache: the same bytes with it and without; what changed is noticed, in the
 * file, in what it uses, in the options; damage, a full or unusable directory and other compiles at the same
 * time never harm. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"
#include "codegen/cache/cache.h"

static const char hit[] = "the module is in the cache";

static bool from_cache(void) { return strstr(said, hit) != NULL; }

/* Compiles a.net to `out` with --time; where the module came from is in `said`. */
#define COMPILE NETC_BINARY " a.net --time --cache-dir cache -o "

/* The numbers of different codes, and of those from the cache, that --time told. */
static void codes(int *all, int *cached) {
  const char *at = strstr(said, "different codes");
  if (!at || sscanf(strstr(said, " have ") ? strstr(said, " have ") : "", " have %d different codes, %d", all,
                    cached) != 2)
    fail_msg("no count of codes in: %s", said);
}

static void write_net(int channels) {
  runs("cat > a.net <<'END'\n"
       "use \"sub/b.net\"\n"
       "option width = %d\n"
       "net n(x) { return conv(act(conv(x, width, 3, pad = 1)), 2, 1) }\n"
       "m = n()\n"
       "predict(image: f32[1, 1, 8, 8]) { return softmax(m(image)) }\n"
       "END\n",
       channels);
}

static void write_block(const char *op) {
  runs("mkdir -p sub && echo 'block act(x) { return %s(x) }' > sub/b.net", op);
}

FIXTURE(fresh) {
  write_net(4);
  write_block("relu");
  return sh("rm -rf cache");
}

TEST_WITH(fresh, NULL, the_bytes_are_the_same_with_the_cache_and_without) {
  runs(NETC_BINARY " a.net --no-cache -o none.so && test ! -e cache");
  runs(COMPILE "cold.so");
  assert_false(from_cache());
  runs(COMPILE "warm.so");
  assert_true(from_cache());
  int all, cached;
  runs(COMPILE "kernels.so --verify"); /* goes through all layers, with kernels from the cache */
  codes(&all, &cached);
  assert_true(all > 0);
  assert_int_equal(all, cached);
  runs("cmp none.so cold.so && cmp none.so warm.so && cmp none.so kernels.so && test -x warm.so");
}

TEST_WITH(fresh, NULL, changes_are_seen) {
  runs(COMPILE "a.so");
  write_block("tanh"); /* a file that is used */
  runs(COMPILE "b.so");
  int all, cached;
  codes(&all, &cached);
  assert_true(cached > 0 && cached < all); /* only what changed is compiled */
  runs(NETC_BINARY " a.net --no-cache -o c.so && cmp b.so c.so && ! cmp -s a.so b.so");
  runs(COMPILE "d.so -D width=6");
  assert_false(from_cache());
  runs(COMPILE "d.so --target x86-64-v3");
  assert_false(from_cache());
  write_net(6);
  runs(COMPILE "d.so");
  assert_false(from_cache());
  write_net(4);
  write_block("relu"); /* as in the beginning */
  runs(COMPILE "e.so && cmp a.so e.so");
  runs("rm sub/b.net");
  assert_int_equal(sh(COMPILE "f.so"), 1);
  assert_non_null(strstr(said, "cannot read"));
}

/* Every byte counts: an entry with a flipped bit, or cut anywhere, is compiled anew and replaced. */
TEST_WITH(fresh, NULL, a_damaged_entry_is_compiled_anew) {
  runs(COMPILE "good.so");
  static const char *const harm[] = {
      "for f in cache/*.entry; do truncate -s -1 $f; done",
      "for f in cache/*.entry; do truncate -s 10 $f; done",
      "for f in cache/*.entry; do : > $f; done",
      "for f in cache/*.entry; do echo x >> $f; done",
      "for f in cache/*.entry; do n=$(($(stat -c %s $f) - 100)); printf '\\377\\376\\375' | dd of=$f bs=1 "
      "seek=$n "
      "conv=notrunc status=none; done",
      "f=$(ls cache/*.entry | head -1); for g in cache/*.entry; do [ $f = $g ] || cp $f $g; done",
  };
  for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
    runs("%s", harm[i]);
    runs(COMPILE "again.so");
    assert_false(from_cache());
    runs("cmp good.so again.so");
    runs(COMPILE "again.so");
    assert_true(from_cache());
    runs("cmp good.so again.so");
  }
}

TEST_WITH(fresh, NULL, an_unusable_directory_does_no_harm) {
  runs(NETC_BINARY " a.net --no-cache -o good.so");
  runs("echo > file");
  runs(NETC_BINARY " a.net --cache-dir file -o a.so && cmp good.so a.so");
  assert_non_null(strstr(said, "file is no directory"));
  runs(NETC_BINARY " a.net --cache-dir /proc/nothing/here -o a.so && cmp good.so a.so");
  assert_non_null(strstr(said, "cannot make the directory"));
  runs("mkdir open && chmod 777 open");
  runs(NETC_BINARY " a.net --cache-dir open -o a.so && cmp good.so a.so && test -z \"$(ls open)\"");
  assert_non_null(strstr(said, "others may write"));
  runs(COMPILE "a.so && chmod 555 cache"); /* can be read only */
  runs(COMPILE "b.so && cmp good.so b.so");
  assert_true(from_cache());
  write_net(5);
  runs(COMPILE "b.so && chmod 755 cache");
  runs("HOME= XDG_CACHE_HOME= " NETC_BINARY " a.net -o b.so");
  runs("XDG_CACHE_HOME=$PWD/x env -u NETC_CACHE " NETC_BINARY " a.net -o b.so && ls x/netc/*.entry");
}

TEST_WITH(fresh, NULL, compiles_at_the_same_time_agree) {
  runs("for i in 1 2 3 4; do " COMPILE
       "$i.so & done; wait; for i in 2 3 4; do cmp 1.so $i.so || exit 1; done");
  runs(COMPILE "5.so && cmp 1.so 5.so && test -z \"$(ls cache | grep -v entry)\"");
  assert_true(from_cache());
}

/* A module is compiled again when a file cannot be put where it should go; and that is told. */
TEST_WITH(fresh, NULL, an_output_that_cannot_be_written_is_told) {
  runs(COMPILE "a.so && mkdir -p dir");
  assert_int_equal(sh(COMPILE "dir"), 1);
  assert_non_null(strstr(said, "it is a directory"));
}

/* ---- the store itself ---- */
static Bytes bytes(const char *text) {
  Bytes b = {0};
  bytes_add(&b, text, strlen(text));
  return b;
}

TEST(entries_not_used_for_longest_go_first) {
  enum { N = 40, SIZE = 100000 };
  Arena *a = arena_new();
  char why[IR_ERR];
  Cache *c = cache_open(a, arena_printf(a, "%s/evict", root), why);
  assert_non_null(c);
  c->limit = N / 2 * SIZE;
  Bytes value = {0};
  static uint8_t block[SIZE];
  bytes_add(&value, block, sizeof block);
  for (int i = 0; i < N; i++) {
    Bytes key = bytes(arena_printf(a, "key %d", i));
    cache_put(c, &key, &value);
    bytes_free(&key);
    /* the older, the smaller i; but 3 was used just now */
    runs("touch -d '%d minutes ago' $(ls -t evict/*.entry | head -1)", i == 3 ? 0 : 2 * N - i);
  }
  cache_close(c);
  int left = 0;
  for (int i = 0; i < N; i++) {
    Bytes key = bytes(arena_printf(a, "key %d", i)), found = {0};
    bool is = cache_get(c, &key, &found);
    if (is) assert_true(bytes_equal(&found, &value));
    if (i < N / 2 && i != 3) assert_false(is);
    if (i == 3 || i == N - 1) assert_true(is);
    left += is;
    bytes_free(&key);
    bytes_free(&found);
  }
  assert_true(left >= N / 4 && left < N / 2);
  bytes_free(&value);
  arena_free(a);
}

/* Keys whose parts run into each other in other ways are other keys. */
TEST(keys_that_run_into_each_other_differ) {
  Bytes a = {0}, b = {0};
  bytes_text(&a, "ab", 2), bytes_text(&a, "c", 1);
  bytes_text(&b, "a", 1), bytes_text(&b, "bc", 2);
  assert_false(bytes_equal(&a, &b));
  char x[33];
  assert_string_equal(hash_text(hash_bytes("", 0), x),
                      "6c62272e07bb014262b821756295c58d"); /* FNV's own values */
  assert_string_equal(hash_text(hash_bytes("a", 1), x), "d228cb696f1a8caf78912b704e4a8964");
  bytes_free(&a);
  bytes_free(&b);
}

RUN_TESTS(shell_set_up, scratch_tear_down)
