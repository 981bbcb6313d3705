/* cases.h - launches with what goes in and what is to come out, in a file: `emulated --cases` (cases.c)
 * writes it where the compiler and the interpreter are, `replay` (replay.c) runs it where a GPU is.
 *
 * Numbers are those of the machine, x86-64's; a text is its length (u32) and its bytes, ended by a 0 that is
 * counted.
 *
 *   "netcgpu1"
 *   u32 codes, then of each     text entry; i32 threads, tasks, shared, nparams; of each family of PTX
 *                               a text, empty: none
 *   u32 functions, then of each text name; f64 tolerance; u64 seed, iteration
 *     u32 buffers, of each      i32 kind (CaseKind); i64 bytes, count; its count elements where the kind says
 *                               so
 *     u32 launches, of each     text kernel; i32 code, cancels; i64 tasks; u64 writes, checks; u32 nargs;
 *                               i32 buffers; u64 nparams words
 *
 * Before a launch what it reads is what the buffers' elements say, but for workspace, which is what launches
 * before left there. `writes` and `checks` are bits of arguments: those it writes, and those whose buffers
 * are then to have their elements, to within the tolerance times the largest of them, but 1 at most; and 1 at
 * least where `cancels` says that what is left of the kernel's sums may be rounding errors. */
#ifndef TESTS_GPU_CASES_H
#define TESTS_GPU_CASES_H
#define CASES_MAGIC "netcgpu1"
typedef enum { CASE_WORKSPACE = -1, CASE_F32, CASE_I32, CASE_BF16 } CaseKind;
enum { CASE_NAN = 0x7fc1ffc5 }; /* what nothing was stored to holds: NaN, as f32 and as two bf16 */
#endif
