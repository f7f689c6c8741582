#!/usr/bin/env bash
# Builds the guest kernel from Debian's linux-source package and prints the path of its vmlinux. A kernel that was built
# before, of the same source, configuration and script, is found in the cache and not built again.
#
#   BULKHEAD_CACHE            where built kernels are kept (default /var/cache/bulkhead), in kernel/<hash>/vmlinux
#   BULKHEAD_KERNEL_PACKAGE   default linux-source-6.12
#   BULKHEAD_KERNEL_VERSION   Debian version of that package (default: what apt would install now)
#   BULKHEAD_JOBS             parallel compilers (default: all processors)
set -euo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fragment=$folder/kernel.config
cache=${BULKHEAD_CACHE:-/var/cache/bulkhead}/kernel
package=${BULKHEAD_KERNEL_PACKAGE:-linux-source-6.12}

fail() { echo "build-kernel.sh: $*" >&2; exit 1; }

candidate_version() {
  apt-cache policy "$package" | sed -nE 's/^  Candidate: (.*)$/\1/p'
}

# With no package lists (an offline machine) the last kernel that was built from this fragment still serves.
version=${BULKHEAD_KERNEL_VERSION:-$(candidate_version)}
content=$(cat "$fragment" "${BASH_SOURCE[0]}" | sha256sum | cut -c1-32)
if [ -z "$version" ] || [ "$version" = "(none)" ]; then
  [ -e "$cache/latest-$content/vmlinux" ] || fail "apt knows no package $package (run 'apt-get update'), and no kernel is cached"
  readlink -f "$cache/latest-$content/vmlinux"
  exit 0
fi
hash=$(printf '%s %s %s' "$package" "$version" "$content" | sha256sum | cut -c1-32)
built=$cache/$hash
if [ -e "$built/vmlinux" ]; then
  echo "$built/vmlinux"
  exit 0
fi

mkdir -p "$cache"
exec {lock}>"$cache/.lock"
flock "$lock"  # two builds at once: the second finds what the first has made
if [ ! -e "$built/vmlinux" ]; then
  work=$(mktemp -d "$cache/.build-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work"

  echo "guest kernel: fetching $package $version" >&2
  # As root, apt would otherwise warn that its own user can't write here.
  apt-get download -q -o APT::Sandbox::User=root "$package=$version" >&2
  mkdir source
  dpkg-deb --fsys-tarfile ./"$package"_*.deb | tar -xO "./usr/src/$package.tar.xz" | tar -xJ -C source --strip-components=1
  rm ./"$package"_*.deb

  echo "guest kernel: configuring" >&2
  cd source
  # The same bytes from the same source, whoever builds where and when.
  export KBUILD_BUILD_USER=bulkhead KBUILD_BUILD_HOST=bulkhead KBUILD_BUILD_VERSION=1
  KBUILD_BUILD_TIMESTAMP="$(LC_ALL=C date -u -r Makefile)"
  export KBUILD_BUILD_TIMESTAMP
  make -s tinyconfig
  scripts/kconfig/merge_config.sh -m -Q .config "$fragment" >/dev/null
  make -s olddefconfig
  # What Kconfig drops silently (a missing dependency) would be missed in a container much later.
  while read -r line; do
    case "$line" in
      CONFIG_*=*) grep -qxF -- "$line" .config || fail "$line did not survive 'make olddefconfig'" ;;
      '# CONFIG_'*' is not set')
        option=${line#\# }
        ! grep -qE "^${option%% *}=" .config || fail "${option%% *} is set all the same" ;;
    esac
  done <"$fragment"

  echo "guest kernel: building (a few minutes)" >&2
  make -s -j"${BULKHEAD_JOBS:-$(nproc)}" vmlinux >&2
  mkdir "$work/result"
  strip -s -o "$work/result/vmlinux" vmlinux
  cp .config "$work/result/config"
  make -s kernelrelease >"$work/result/release"
  printf '%s %s\n' "$package" "$version" >"$work/result/source"
  chmod 755 "$work/result"
  sync -f "$work/result"
  mv -T "$work/result" "$built"
fi
ln -sfnT "$hash" "$cache/latest-$content"
echo "$built/vmlinux"
