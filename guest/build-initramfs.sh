#!/bin/sh
# build-initramfs.sh AGENT OUTPUT: the guest's first file system, an archive that holds the agent as /init and nothing else.
# The same bytes for the same agent.
set -eu
agent=$1
output=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
strip -s -o "$work/init" "$agent"
chmod 755 "$work" "$work"/*
touch -d @0 "$work" "$work"/*
(cd "$work" && find . -print0 | LC_ALL=C sort -z | cpio --null --create --format=newc --owner=0:0 --reproducible --quiet) >"$output.tmp"
mv "$output.tmp" "$output"
