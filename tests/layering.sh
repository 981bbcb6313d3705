#!/bin/sh
# Fails on an #include that the table of folders in docs/tour.md does not allow, on a folder that is not in
# the table, and on a circle of folders.
#
#   sh tests/layering.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/..}"

# The arrows that the sources have: FILE:LINE folder header's-folder.
arrows() {
  find ir passes codegen frontend runtime -name '*.[chly]' -o -name '*.cpp' -o -name '*.def' |
    sort | xargs awk '
    /^[ \t]*#[ \t]*include[ \t]*"/ {
      to = $0; sub(/^[^"]*"/, "", to); sub(/".*/, "", to)
      if (to == "net.tab.h") next # made by bison
      header = to; from = FILENAME; sub(/\/[^\/]*$/, "", from)
      if (!sub(/\/[^\/]*$/, "", to)) to = "."
      if (from != to) print FILENAME ":" FNR, from, to, header
    }'
}

arrows | awk '
  BEGIN { # what the runtime may know of the compiler
    shared = "^(codegen\\/(abi|isa).h|ir\\/((philox|gauss).h|(fields|augment|prepare|metrics).def))$"
  }
  FNR == NR { # docs/tour.md: | `folder` | what it is | `may`, `include` |
    if ($0 !~ /^\| `[a-z0-9_\/]+` \|/) next
    split($0, cell, "|"); folder = cell[2]; gsub(/[ `]/, "", folder)
    known[folder] = 1; n = split(cell[4], may, ",")
    for (i = 1; i <= n; i++) { gsub(/[ `]/, "", may[i]); allowed[folder, may[i]] = 1 }
    next
  }
  {
    parent = $3; ok = allowed[$2, $3]
    while (!ok && sub(/\/[^\/]*$/, "", parent)) ok = allowed[$2, parent "/*"]
    if (!known[$2]) { print $1 ": folder " $2 " is not in the table of docs/tour.md"; bad = 1 }
    else if ($2 ~ /^runtime/ && $4 ~ /^(ir|codegen)\// && $4 !~ shared) {
      print $1 ": the runtime must not know " $4; bad = 1
    } else if (!ok) { print $1 ": " $2 " must not include " $3 " (docs/tour.md, Folders)"; bad = 1 }
  }
  END { exit bad }' docs/tour.md -

arrows | awk '{print $2, $3}' | sort -u | tsort >/dev/null || { echo "a circle of folders (above)"; exit 1; }
echo "layering: $(arrows | wc -l) includes across folders, all allowed"
