#!/bin/sh
# Builds a kernel for the lab: kernel.sh SOURCE OUT [CONFIG...]
#
# SOURCE is an unpacked kernel tree; OUT gets bzImage and modules/; fragments are merged over mm.config in order.
# Needs gcc, make, flex, bison, bc, libelf-dev and dwarves.  About 15 minutes on two cores.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$1" && pwd)
mkdir -p "$2/build"
out=$(cd "$2" && pwd)
shift 2
make -C "$source" O="$out/build" tinyconfig
(cd "$out/build" && "$source/scripts/kconfig/merge_config.sh" -m .config "$here/mm.config" "$@")
make -C "$source" O="$out/build" olddefconfig
make -C "$source" O="$out/build" -j"${JOBS:-$(nproc)}" bzImage modules
cp -r "$here/misuse" "$out/build/misuse"
make -C "$out/build" M="$out/build/misuse" modules
make -C "$out/build" INSTALL_MOD_PATH="$out/build/root" modules_install
rm -rf "$out/modules"
cp -r "$out"/build/root/lib/modules/* "$out/modules"
mkdir -p "$out/modules/kernel/lib"
cp "$out/build/misuse/misuse.ko" "$out/modules/kernel/lib/"
cp "$out/build/arch/x86/boot/bzImage" "$out/bzImage"
