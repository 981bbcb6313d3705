/* fragment.h - matrices spread over the registers of a warp, as the instruction mma wants them (PTX ISA, "Matrix Fragments for
 * mma.m16n8k8" and "m16n8k16"). With lane = 4 g + t, registers in order:
 *
 *   sums, 16 x 8, f32       (g, 2t)  (g, 2t + 1)  (g + 8, 2t)  (g + 8, 2t + 1)
 *   tf32: a, 16 x 8         (g, t)  (g + 8, t)  (g, t + 4)  (g + 8, t + 4)
 *         b, 8 x 8          (t, g)  (t + 4, g)
 *   bf16: a, 16 x 16        (g, 2t..)  (g + 8, 2t..)  (g, 2t + 8..)  (g + 8, 2t + 8..)
 *         b, 16 x 8         (2t.., g)  (2t + 8.., g)
 *
 * 2t.. are the elements 2t (low half) and 2t + 1 along the axis that is summed over. Both kinds of a are what load_matrix gives of
 * the 16-byte pieces (rows 0-7, first) (rows 8-15, first) (rows 0-7, second) (rows 8-15, second) of rows that hold that axis, and b
 * what it gives of the two pieces of its columns.
 */
#ifndef NETC_FRAGMENT_H
#define NETC_FRAGMENT_H
#include <stdbool.h>
#include <stdint.h>

/* sum[lane][0..3] += a times b. In what order the machine adds is not known; here it is that of the axis, each step rounded
 * once. Only the bits that a tf32 has are looked at. */
void fragment_mma(bool bf16, const uint32_t *const a[32], const uint32_t *const b[32], float *const sum[32]);
/* Element `at` of a register's: of tf32 it has one, of bf16 two. */
float fragment_element(bool bf16, uint32_t reg, int at);
/* Has one of the n registers bits that a tf32 has not? */
bool fragment_unrounded(const uint32_t *reg, int n);
/* The word that `lane` gets of an 8 x 8 matrix, given its rows. */
uint32_t fragment_word(const void *const row[8], int lane, bool transposed);
#endif
