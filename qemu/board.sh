# shellcheck shell=sh disable=SC2034  # sourced: the variables are for the scripts that read it
# What the emulated machine of each board is.  Usage: . qemu/board.sh; board_facts BOARD

board_facts() {
    board=$1
    append="console=ttyS0"
    # The order is resolved from the modules' own dependencies; built-in ones are skipped.
    modules="virtio_mmio virtio_net virtio_blk crc32c_generic libcrc32c ext4 squashfs overlay"
    # What is there as well, for the scenario that needs it: modules that nobody loads, programs of a Debian package.
    extra='' tools_package='' tools=''
    nic=virtio-net-device
    disk_device=virtio-blk-device
    memory=128M
    disk_fs=ext4
    case $board in
    arm-virt | armel-virt)
        # ARMv5 code runs on the ARMv7 kernel: Debian's armel kernels know no virt machine.
        debian=armhf flavour=armmp
        modules="$modules wireguard"
        extra="nandsim ubi nf_conntrack nfsd nfsv4"
        tools_package=mtd-utils tools="ubiattach ubidetach ubimkvol ubiupdatevol"
        qemu="qemu-system-arm -M virt,highmem=off -cpu cortex-a15"
        append="console=ttyAMA0"
        disk=vda
        ;;
    aarch64-virt)
        debian=arm64 flavour=arm64
        qemu="qemu-system-aarch64 -M virt -cpu cortex-a53"
        append="console=ttyAMA0"
        extra="ramoops i6300esb"
        memory=256M
        disk=vda
        ;;
    mipsel-malta | mips-malta)
        nic=pcnet,romfile= disk_device=ide-hd disk=sda
        modules="pcnet32 ata_piix crc32c_generic libcrc32c ext4 squashfs overlay"
        debian=mipsel flavour=4kc-malta
        qemu="qemu-system-mipsel -M malta -vga none -cpu 24Kc"
        [ "$board" = mipsel-malta ] || {
            debian='' modules='' disk_fs=ext2 qemu="qemu-system-mips -M malta -vga none -cpu 24Kc"
        }
        ;;
    *)
        echo "qemu: no emulated machine for the board '$board'; there are arm-virt armel-virt" \
            "aarch64-virt mips-malta mipsel-malta" >&2
        exit 2
        ;;
    esac
}
