#!/bin/sh
# The comparison on LiTS slices in docs/results.md: supervised U-Net, Mean Teacher and ASE-Net at 128x128, a
# quarter of the widths, 10 % of the patients labelled, three seeds. Takes about 40 minutes on two cores.
#
#   tests/results/lits.sh DIR_OF_SLICES [OUT] [ITERATIONS]
set -eu
cd "$(dirname "$0")/../.."
data=$1 out=${2:-out/lits} iterations=${3:-400}
common="-D size=[128,128] -D widths=[16,32,64,128,256]"
mkdir -p "$out"
build/netc models/unet.net -o "$out/unet.so" $common
build/netc models/mean_teacher.net -o "$out/mean_teacher.so" $common -D 'optimiser="adam"' -D ramp_length=2
build/netc models/asenet.net -o "$out/asenet.so" $common -D ramp_length=60
run() {
  run=$out/$1-$2
  build/netrun train "$out/$1.so" --data "lits:$data" --labeled 10% --iterations "$iterations" --seed "$2" \
    --threads 1 --force --out "$run"
  build/netrun eval "$out/$1.so" --data "lits:$data" --weights "$run/last.safetensors" --threads 1 \
    --out "$run/eval" --overlays 4 >"$run/eval.txt"
}
# Two single-threaded runs at a time: results do not depend on threads.
{
  run unet 1 & run mean_teacher 1 & wait
  run asenet 1 & run unet 2 & wait
  run mean_teacher 2 & run asenet 2 & wait
  run unet 3 & run mean_teacher 3 & wait
  run asenet 3
} >"$out/log.txt" 2>&1
for model in unet mean_teacher asenet; do
  for seed in 1 2 3; do awk -v m=$model '$1 == "DI" { print m, $2 }' "$out/$model-$seed/eval.txt"; done
done | awk '{ n[$1]++; s[$1] += $2; q[$1] += $2 * $2; v[$1] = v[$1] " " $2 }
            END {
              for (m in n) {
                mean = s[m] / n[m]; sd = sqrt((q[m] - n[m] * mean * mean) / (n[m] - 1))
                printf "%s: mean %.4f, sd %.4f (%s)\n", m, mean, sd, v[m]
              }
            }'
