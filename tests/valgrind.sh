#!/bin/sh
# Runs the unit tests of every layer under valgrind. It knows no AVX-512, so generated code is held to AVX2.
set -eu
command -v valgrind >/dev/null || { echo "valgrind is not installed: not run (apt-get install valgrind)"; exit 0; }
echo "testing under valgrind"
for t in build/tests/test_*; do
  case "$t" in *road*) continue ;; esac # whole training runs take hours under valgrind
  NETRUN_ISA=avx2 NETC_TEST_ISA=avx2 valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite "$t" >valgrind.log 2>&1 || {
    cat valgrind.log
    echo "valgrind: $t failed" >&2
    exit 1
  }
done
rm -f valgrind.log
