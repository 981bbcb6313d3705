/* random.c - the numbers of ir/philox.h as kernel code: the same rounds, on 32-bit lanes. */
#include "codegen/kir/kir.h"
#include "codegen/kir/internal.h"

typedef struct {
  KV x[4];
} Counter;

static KV xor3(KFn *k, KV a, KV b, KV c) { return k_bin(k, K_xor, k_bin(k, K_xor, a, b), c); }
static KV word(KFn *k, uint32_t v) { return k_i32(k, (int32_t)v); }

static Counter philox(KFn *k, int64_t site, KV index) {
  KV low = index, high = k_i32(k, 0);
  if (index >= 0 && k->ins[index].type.base == K_I64) {
    low = k_cast(k, K_I32, index);
    high = k_cast(k, K_I32, k_bin(k, K_shr, index, k_i64(k, 32)));
  }
  KV site_high = word(k, (uint32_t)((uint64_t)site >> 32)), site_low = word(k, (uint32_t)site);
  KV c0 = low, c1 = k_bin(k, K_xor, high, site_high), c2 = site_low, c3 = k_seed(k, 2);
  KV k0 = k_seed(k, 0), k1 = k_seed(k, 1);
  KV m0 = word(k, 0xD2511F53u), m1 = word(k, 0xCD9E8D57u);
  for (int r = 0; r < 10; r++) {
    KV a_low = k_mul(k, m0, c0), a_high = k_bin(k, K_mulhi, m0, c0);
    KV b_low = k_mul(k, m1, c2), b_high = k_bin(k, K_mulhi, m1, c2);
    c0 = xor3(k, b_high, c1, k0);
    c1 = b_low;
    c2 = xor3(k, a_high, c3, k1);
    c3 = a_low;
    k0 = k_add(k, k0, word(k, 0x9E3779B9u));
    k1 = k_add(k, k1, word(k, 0xBB67AE85u));
  }
  return (Counter){{c0, c1, c2, c3}};
}

/* The upper 24 bits of a word: an integer below 2^24, so that its float is exact. */
static KV top24(KFn *k, KV x) { return k_bin(k, K_shr, x, k_i32(k, 8)); }
static KV unit(KFn *k, KV i) { return k_mul(k, k_cast(k, K_F32, i), k_f32(k, 0x1p-24)); }

KV k_uniform(KFn *k, int64_t site, KV index) { return unit(k, top24(k, philox(k, site, index).x[0])); }

KV k_normal(KFn *k, int64_t site, KV index) {
  Counter c = philox(k, site, index);
  KV u1 = unit(k, k_add(k, top24(k, c.x[0]), k_i32(k, 1))), u2 = unit(k, top24(k, c.x[1]));
  KV r = k_un(k, K_sqrt, k_mul(k, k_f32(k, -2), k_un(k, K_log, u1)));
  return k_mul(k, r, math_cos2pi(k, u2));
}
