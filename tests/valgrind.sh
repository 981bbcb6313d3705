#!/bin/sh
# Runs the tests under valgrind. It knows no AVX-512, so generated code is held to AVX2. Left out: the tests
# that spawn the two programs (commands, precision, fixtures: valgrind would watch the test, not the program),
# and test_math, whose NaN cases valgrind itself gets wrong (the ordered not-equal comparison of AVX is
# emulated as the unordered one). It translates code a block at a time into memory of a fixed size, which long
# blocks of generated code exhaust: blocks are cut at 20 instructions, and where that is not enough the script
# says so.
set -eu
command -v valgrind >/dev/null || {
  echo "valgrind is not installed: not run (apt-get install valgrind)"
  exit 0
}
echo "testing under valgrind"
for t in build/tests/test_*; do
  case "$t" in */test_commands | */test_precision | */test_fixtures | */test_math) continue ;; esac
  valgrind -q --vex-guest-max-insns=20 --error-exitcode=99 --leak-check=full \
    --errors-for-leak-kinds=definite "$t" >valgrind.log 2>&1 || {
    if grep -q "VEX temporary storage exhausted" valgrind.log; then
      echo "valgrind cannot translate $t: not run"
      continue
    fi
    cat valgrind.log
    echo "valgrind: $t failed" >&2
    exit 1
  }
done
rm -f valgrind.log
