#!/usr/bin/env bash
# Makes a folder of guest kernels that holds Debian's stock 6.1 cloud kernel as "6.1-cloud", and prints its path.
#
#   guest/fetch-stock-kernel.sh BULKHEAD      the command line's program, which packs the kernel (bulkhead kernel add --into)
#
# The kernel and its modules are Debian's, as the package has them. Debian builds no 9p for it, by which guests mount folders of
# the host: those modules are compiled here, from the package's own source, against its own headers. What was made before, of the
# same package by the same program, is found in the cache.
#
#   BULKHEAD_CACHE          where it is kept (default /var/cache/bulkhead), in stock-kernel/<hash>/6.1-cloud
#   BULKHEAD_STOCK_KERNEL   the meta-package that names the newest kernel (default linux-image-cloud-amd64)
set -euo pipefail

bulkhead=$(realpath "${1:?usage: fetch-stock-kernel.sh BULKHEAD}")
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${BULKHEAD_CACHE:-/var/cache/bulkhead}/stock-kernel
meta=${BULKHEAD_STOCK_KERNEL:-linux-image-cloud-amd64}

fail() { echo "fetch-stock-kernel.sh: $*" >&2; exit 1; }

hash_of() { sha256sum | cut -c1-32; }

# What an entry holds depends on what packs it; what it is packed from, on this file alone.
packer=$(cat "$folder"/../src/kernels/*.h "$folder"/../src/kernels/*.cc | hash_of)
script=$(hash_of <"${BASH_SOURCE[0]}")
package=$(apt-cache depends "$meta" 2>/dev/null | sed -nE 's/^ +Depends: (linux-image-6\.1\.0-[0-9]+-cloud-amd64)$/\1/p')
version=$(apt-cache policy ${package:+"$package"} | sed -nE 's/^  Candidate: (.*)$/\1/p')
if [ -z "$package" ] || [ -z "$version" ] || [ "$version" = "(none)" ]; then
  # With no package lists (an offline machine) the last one that was made still serves.
  [ -e "$cache/latest/6.1-cloud" ] || fail "apt knows no 6.1 kernel by $meta (run 'apt-get update'), and none is cached"
  readlink -f "$cache/latest"
  exit 0
fi
parts=$cache/parts-$(printf '%s %s %s' "$package" "$version" "$script" | hash_of)
made=$cache/$(printf '%s %s' "$parts" "$packer" | hash_of)

# Debian's package, and beside it the 9p modules for its kernel.
fetch_parts() {
  local release=${package#linux-image-} common each
  common=linux-headers-${release%-cloud-amd64}-common
  echo "stock kernel: fetching $package $version" >&2
  # As root, apt would otherwise warn that its own user can't write here.
  apt-get download -q -o APT::Sandbox::User=root "$package=$version" "linux-headers-$release=$version" "$common=$version" \
    "linux-kbuild-6.1=$version" "linux-source-6.1=$version" >&2

  echo "stock kernel: compiling its 9p modules" >&2
  mkdir headers source
  for each in linux-headers-*.deb linux-kbuild-*.deb; do
    dpkg-deb --extract "$each" headers
  done
  # The package's Makefile names the place where it would be installed.
  sed -i "s#/usr/src/#$PWD/headers/usr/src/#" "headers/usr/src/linux-headers-$release/Makefile"
  dpkg-deb --fsys-tarfile linux-source-6.1_*.deb | tar -xO ./usr/src/linux-source-6.1.tar.xz |
    tar -xJ -C source --strip-components=1 --wildcards '*/net/9p/*' '*/fs/9p/*' '*/fs/netfs/*'
  rm -rf source/include
  printf 'obj-m := fs/netfs/ net/9p/ fs/9p/\n' >source/Kbuild
  make -s -C "headers/usr/src/linux-headers-$release" M="$PWD/source" \
    KCFLAGS='-DCONFIG_9P_FS_POSIX_ACL=1 -DCONFIG_9P_FS_SECURITY=1' CONFIG_NETFS_SUPPORT=m CONFIG_NET_9P=m CONFIG_NET_9P_VIRTIO=m \
    CONFIG_9P_FS=m CONFIG_9P_FS_POSIX_ACL=y CONFIG_9P_FS_SECURITY=y modules >&2
  mkdir -p result/9p
  find source -name '*.ko' -exec strip --strip-debug {} + -exec cp -t result/9p {} +
  mv "$package"_*.deb result/kernel.deb
}

mkdir -p "$cache"
exec {lock}>"$cache/.lock"
flock "$lock"  # two at once: the second finds what the first has made
work=$(mktemp -d "$cache/.make-XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ ! -e "$parts" ]; then
  ( cd "$work" && fetch_parts )
  sync -f "$work/result"
  mv -T "$work/result" "$parts"
fi
if [ ! -e "$made/6.1-cloud" ]; then
  echo "stock kernel: packing" >&2
  "$bulkhead" kernel add --into "$work/packed" --modules "$parts/9p" 6.1-cloud "$parts/kernel.deb" >&2
  mv -T "$work/packed" "$made"
fi
ln -sfnT "${made##*/}" "$cache/latest"
echo "$made"
