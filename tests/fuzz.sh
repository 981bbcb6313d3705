#!/bin/sh
# Runs every libFuzzer target for SECONDS each (default 600), one a core at a time. Needs clang and its
# runtime.
set -eu
seconds=${1:-600}
clang=$(command -v clang-19 || command -v clang || true)
[ -n "$clang" ] || {
  echo "clang is not installed: not fuzzed (apt-get install clang-19 libclang-rt-19-dev)"
  exit 0
}
cmake -S . -B build-fuzz -DNETC_FUZZ=ON -DCMAKE_C_COMPILER="$clang" \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
cmake --build build-fuzz --target fuzz -j "$(nproc)" >build-fuzz/build.log 2>&1 || {
  tail -40 build-fuzz/build.log
  exit 1
}
run() {
  name=$(basename "$1")
  mkdir -p "build-fuzz/corpus/$name" "build-fuzz/no-seeds"
  seeds="tests/fuzz/seeds/$name"
  [ -d "$seeds" ] || seeds=build-fuzz/no-seeds
  "$1" -max_total_time="$seconds" -max_len=4096 -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix="build-fuzz/$name-" \
    "build-fuzz/corpus/$name" "$seeds" >"build-fuzz/$name.log" 2>&1 ||
    { tail -40 "build-fuzz/$name.log"; echo "fuzzing: $name failed" >&2; return 1; }
  units=$(grep -o 'stat::number_of_executed_units: *[0-9]*' "build-fuzz/$name.log")
  echo "$name: $units, no finding in $seconds s"
}
failed=0 pids=""
for target in build-fuzz/fuzz/fuzz_*; do
  run "$target" & pids="$pids $!"
  [ "$(jobs -p | wc -l)" -lt "$(nproc)" ] || { for p in $pids; do wait "$p" || failed=1; done; pids=""; }
done
for p in $pids; do wait "$p" || failed=1; done
exit $failed
