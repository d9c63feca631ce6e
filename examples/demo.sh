#!/bin/sh
# What `make demo` shows, in less than half a minute. $1 is the folder with the venv's programs.
set -eu
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
trap 'exit 130' INT TERM
rm -rf examples/thumbnails/thumbnails

cat <<'TEXT'
For twenty seconds channelbeat runs the schedules of examples/thumbnails on a Redis of its own, with one worker for each of two channels.
Every two seconds the event `new` makes the thumbnails that are missing; every five seconds `expire` deletes those older than four.
You see each line that a worker prints, and each event that is sent: in a line of its own, or on a terminal in a table.

TEXT
"$1/channelbeat" local examples/thumbnails --for 20s --data "$data"

echo
echo "The same without an end: $1/channelbeat local examples/thumbnails (and edit its beatschedule.yaml meanwhile)"
