/* test_runs.c - what keeps runs apart and their results honest, from the command line: the lock of a run's
 * directory. */
#include "tests/test.h"
#include "tests/end_to_end/shell.h"

#define TRAIN NETRUN_BINARY " train m.so --data phantom --iterations 12 --seed 5 "

FIXTURE(set_up) {
  if (shell_set_up(state)) return -1;
  if (sh(NETC_BINARY " %s/models/unet.net -o m.so -D size=[32,32] -D widths=[4,8] -D batch=2", source))
    return fprintf(stderr, "%s", said), -1;
  return 0;
}

/* Whatever the second one wants, it goes away; the first one ends as if it had been alone. */
TEST(a_directory_in_use_is_refused_to_others) {
  runs("(" NETRUN_BINARY
       " train m.so --data phantom --seed 5 --iterations 100000 --out busy >first 2>&1; echo "
       "$? >status) & "
       "while ! [ -s busy/metrics.csv ] || [ $(wc -l < busy/metrics.csv) -lt 4 ]; do sleep 0.02; done; "
       "for how in '' --resume --force; do " TRAIN "--out busy $how; echo \"exit $?\"; done >second 2>&1; "
       "kill -TERM $(sed -n 's/^pid //p' busy/lock); while ! [ -s status ]; do sleep 0.02; done; "
       "grep -c 'netrun: busy is in use by process [0-9]* on host ' second; grep -c 'exit 1' second; cat "
       "status");
  assert_string_equal(said, "3\n3\n0\n");
  runs("test ! -e busy/lock && n=$(($(wc -l < busy/metrics.csv) - 1)) && " NETRUN_BINARY
       " train m.so --data phantom --seed 5 --iterations $n --out alone && cmp busy/metrics.csv "
       "alone/metrics.csv");
}

RUN_TESTS(set_up, scratch_tear_down)
