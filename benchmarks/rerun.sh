#!/usr/bin/env bash
# Makes a published board again, from nothing, in a folder of its own:
#
#     benchmarks/rerun.sh pixel_digits again
#     benchmarks/rerun.sh pixel_mnist_perm again --data-dir /home/me/mnist
#
# The commands are those that stand on the board. What follows the folder is added to each of them:
# `--data-dir` with a whole path, `--workers 1`, `--dry-run`. Stopped or killed, the same line goes on.
set -euo pipefail
boards=$(cd "$(dirname "$0")/../leaderboards" && pwd)
board=$boards/${1-}.md
[ -f "$board" ] || board=$(compgen -G "$boards/${1-}*.md" || true) # its beginning is enough
if [ $# -lt 2 ] || [ ! -f "$board" ]; then
    echo "rerun.sh: expected a board, a folder and options of \`bench run\`; the boards are:" >&2
    for board in "$boards"/*.md; do basename "$board" .md >&2; done
    exit 2
fi
folder=$2
shift 2
options=("$@")
mkdir -p "$folder"
cd "$folder"
bench() { command bench "$@" --yes "${options[@]}"; }
# A board's commands are the lines that begin with four spaces.
# shellcheck source=/dev/null
source <(sed -n 's/^    //p' "$board")
