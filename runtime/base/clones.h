/* clones.h - functions that are compiled for several generations of x86-64, of which the loader takes the
 * newest that the machine has. What they compute has the same bits in each: nothing is fused
 * (-ffp-contract=off, runtime/CMakeLists.txt), and no sum is reordered. Builds with sanitizers have the plain
 * function alone, as theirs are not ready when the loader chooses. */
#ifndef NETRUN_CLONES_H
#define NETRUN_CLONES_H
#if defined __x86_64__ && defined __gnu_linux__ && defined __GNUC__ && !defined __clang__ &&                 \
    !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
#define CLONED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONED
#endif
#endif
