#!/usr/bin/env bash
# Builds the guest kernel from Debian's linux-source package, in two flavours, and prints the paths of their vmlinux, one a line:
#
#   kvm        kernel.config as it is
#   emulated   with emulated.config and emulated.patch: for machines whose processor QEMU emulates
#
# A flavour that was built before, of the same source, configuration and script, is found in the cache and not built again.
#
#   BULKHEAD_CACHE            where built kernels are kept (default /var/cache/bulkhead), in kernel/<hash>/vmlinux
#   BULKHEAD_KERNEL_PACKAGE   default linux-source-6.12
#   BULKHEAD_KERNEL_VERSION   Debian version of that package (default: what apt would install now)
#   BULKHEAD_JOBS             parallel compilers (default: all processors)
set -euo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${BULKHEAD_CACHE:-/var/cache/bulkhead}/kernel
package=${BULKHEAD_KERNEL_PACKAGE:-linux-source-6.12}
flavours=(kvm emulated)
declare -A more=([kvm]="" [emulated]="$folder/emulated.config $folder/emulated.patch")

fail() { echo "build-kernel.sh: $*" >&2; exit 1; }

hash_of() { sha256sum | cut -c1-32; }

candidate_version() {
  apt-cache policy "$package" | sed -nE 's/^  Candidate: (.*)$/\1/p'
}

# Of all that a flavour is made of but the source.
content_of() {
  # shellcheck disable=SC2086  # a list of files
  cat "$folder/kernel.config" ${more[$1]} "${BASH_SOURCE[0]}" | hash_of
}

fetch_source() {
  [ ! -e source ] || return 0
  echo "guest kernel: fetching $package $version" >&2
  # As root, apt would otherwise warn that its own user can't write here.
  apt-get download -q -o APT::Sandbox::User=root "$package=$version" >&2
  mkdir source
  dpkg-deb --fsys-tarfile ./"$package"_*.deb | tar -xO "./usr/src/$package.tar.xz" | tar -xJ -C source --strip-components=1
  rm ./"$package"_*.deb
}

# Checks that .config has what the fragment says. What Kconfig drops silently (a missing dependency) would be missed in a
# container much later. Options that a later fragment changes are left to that one.
check_fragment() {
  local fragment=$1 later=$2 line option
  while read -r line; do
    case "$line" in
      CONFIG_*=*) option=${line%%=*} ;;
      '# CONFIG_'*' is not set') option=${line#\# }; option=${option%% *} ;;
      *) continue ;;
    esac
    if [ -n "$later" ] && grep -qE "^(# )?$option( is not set$|=)" "$later"; then
      continue
    fi
    case "$line" in
      CONFIG_*) grep -qxF -- "$line" .config || fail "$line did not survive 'make olddefconfig'" ;;
      *) ! grep -qE "^$option=" .config || fail "$option is set all the same" ;;
    esac
  done <"$fragment"
}

# In the folder of that name within the source: paths in messages are the same wherever the source lies.
configure() {
  local flavour=$1 base=$folder/kernel.config flavoured=
  [ "$flavour" = kvm ] || flavoured=$folder/$flavour.config
  echo "guest kernel: configuring ($flavour)" >&2
  make -s O="$flavour" tinyconfig
  cd "$flavour"
  ../scripts/kconfig/merge_config.sh -m -Q .config "$base" ${flavoured:+"$flavoured"} >/dev/null
  make -s olddefconfig
  check_fragment "$base" "$flavoured"
  [ -z "$flavoured" ] || check_fragment "$flavoured" ""
}

build_flavour() {
  local flavour=$1 built=$2 result=$PWD/result
  fetch_source
  cd source
  if [ -e "$folder/$flavour.patch" ]; then
    patch -s -p1 <"$folder/$flavour.patch"
  fi
  # The same bytes from the same source, whoever builds where and when.
  export KBUILD_BUILD_USER=bulkhead KBUILD_BUILD_HOST=bulkhead KBUILD_BUILD_VERSION=1
  KBUILD_BUILD_TIMESTAMP="$(LC_ALL=C date -u -r COPYING)"
  export KBUILD_BUILD_TIMESTAMP
  configure "$flavour"
  echo "guest kernel: building ($flavour, a few minutes)" >&2
  make -s -j"${BULKHEAD_JOBS:-$(nproc)}" vmlinux >&2
  mkdir "$result"
  strip -s -o "$result/vmlinux" vmlinux
  cp .config "$result/config"
  make -s kernelrelease >"$result/release"
  printf '%s %s\n' "$package" "$version" >"$result/source"
  chmod 755 "$result"
  sync -f "$result"
  mv -T "$result" "$built"
}

version=${BULKHEAD_KERNEL_VERSION:-$(candidate_version)}
if [ -z "$version" ] || [ "$version" = "(none)" ]; then
  # With no package lists (an offline machine) the last kernels that were built from these fragments still serve.
  for flavour in "${flavours[@]}"; do
    latest=$cache/latest-$(content_of "$flavour")
    [ -e "$latest/vmlinux" ] || fail "apt knows no package $package (run 'apt-get update'), and no kernel is cached"
    readlink -f "$latest/vmlinux"
  done
  exit 0
fi

mkdir -p "$cache"
work=
trap 'rm -rf ${work:+"$work"}' EXIT
for flavour in "${flavours[@]}"; do
  content=$(content_of "$flavour")
  hash=$(printf '%s %s %s' "$package" "$version" "$content" | hash_of)
  if [ ! -e "$cache/$hash/vmlinux" ]; then
    exec {lock}>"$cache/.lock"
    flock "$lock"  # two builds at once: the second finds what the first has made
    if [ ! -e "$cache/$hash/vmlinux" ]; then
      work=${work:-$(mktemp -d "$cache/.build-XXXXXX")}
      ( cd "$work" && build_flavour "$flavour" "$cache/$hash" )
    fi
    exec {lock}>&-
    ln -sfnT "$hash" "$cache/latest-$content"
  fi
  echo "$cache/$hash/vmlinux"
done
