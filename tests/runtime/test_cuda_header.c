/* test_cuda_header.c - runtime/device/cuda_api.h against what NVIDIA says: the toolkit's cuda.h, where the
 * machine has one, for types, arguments, constants and which of a function's versions goes by its name; the
 * toolkit's libcuda.so, which has the driver's symbols and nothing behind them. */
#include <stdint.h>
#if __has_include(<cuda.h>)
#include <cuda.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include "tests/test.h"
#include "runtime/device/cuda_api.h"

/* ---- types and constants: seen by the compiler ---- */

#define SAME_VALUE(name, value) _Static_assert((int)name == (value), #name);
CUDA_CODES(SAME_VALUE)

#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #ours)
SAME(CU_CLOCK_RATE, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
SAME(CU_MULTIPROCESSORS, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME(CU_MEMORY_CLOCK_RATE, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
SAME(CU_MEMORY_BUS_WIDTH, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
SAME(CU_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME(CU_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME(CU_FUNC_REGS, CU_FUNC_ATTRIBUTE_NUM_REGS);
SAME(CU_FUNC_LOCAL_BYTES, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
SAME(CU_FUNC_MAX_DYNAMIC_SHARED, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME(CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BUFFER);
SAME(CU_JIT_ERROR_LOG_BYTES, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
SAME(CU_NON_BLOCKING, CU_STREAM_NON_BLOCKING);
SAME(CU_CAPTURE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
SAME(CU_EVENT_BLOCKING, CU_EVENT_BLOCKING_SYNC);
SAME(CU_EVENT_NO_TIMING, CU_EVENT_DISABLE_TIMING);

/* What runtime/device/cuda_api.h says where it stands alone. */
_Static_assert(sizeof(CUresult) == sizeof(int) && sizeof(CUdevice) == sizeof(int), "codes and devices");
_Static_assert(sizeof(CUdevice_attribute) == sizeof(int) && sizeof(CUfunction_attribute) == sizeof(int),
               "attributes");
_Static_assert(sizeof(CUjit_option) == sizeof(int) && sizeof(CUstreamCaptureMode) == sizeof(int), "options");
_Static_assert(sizeof(CUdeviceptr) == sizeof(uint64_t), "addresses");

#define SAME_ARGUMENTS(name, symbol, args)                                                                   \
  _Static_assert(__builtin_types_compatible_p(__typeof__(&symbol), CUresult(*) args), #symbol);
CUDA_FUNCTIONS(SAME_ARGUMENTS, SAME_ARGUMENTS)

/* ---- versions ---- */

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

/* cuda.h makes a name that of its newest version: which must be the symbol that is looked up, but for those
 * whose first version stays right and is in older drivers, too. */
TEST(each_function_has_the_version_of_the_header) {
  static const char *const first[] = {"cuEventElapsedTime"};
#define CHECK(name, symbol, args)                                                                            \
  {                                                                                                          \
    bool older = false;                                                                                      \
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) older |= !strcmp(#symbol, first[i]);           \
    if (!older) assert_string_equal(TEXT(name), #symbol);                                                    \
  }
  CUDA_FUNCTIONS(CHECK, CHECK)
#undef CHECK
}

TEST(every_symbol_is_one_of_the_driver) {
#ifdef CUDA_STUB
  void *stub = dlopen(CUDA_STUB, RTLD_LAZY | RTLD_LOCAL);
  if (!stub) fail_msg("%s", dlerror());
#define CHECK(name, symbol, args)                                                                            \
  if (!dlsym(stub, #symbol)) fail_msg("libcuda.so has no %s", #symbol);
  CUDA_FUNCTIONS(CHECK, CHECK)
#undef CHECK
  dlclose(stub);
#else
  print_message("no libcuda.so of a toolkit here\n");
  skip();
#endif
}

#else
TEST(there_is_no_header_to_compare_with) {
  print_message("no cuda.h of a toolkit here: runtime/device/cuda_api.h is not compared\n");
  skip();
}
#endif

RUN_TESTS(NULL, NULL)
