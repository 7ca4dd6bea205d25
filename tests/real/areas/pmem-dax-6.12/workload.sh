# area: pmem
# title: persistent memory: file system in it without page cache (DAX), mapped small and huge, device and its zone
# memory: 320M
# append: cgroup_disable=memory transparent_hugepage=madvise memmap=96M!160M
# modules: nd_e820 nd_pmem ext4
# dump: tasks cache
quiet
put 0 /proc/sys/vm/min_unmapped_ratio
[ -b /dev/pmem0 ] || { dmesg | tail; exit 1; }
{
	grep -H '' /sys/bus/nd/devices/*/size /sys/bus/nd/devices/*/mode /sys/bus/nd/devices/*/resource 2>/dev/null
	grep -i persist /proc/iomem
	grep -E 'Node|spanned|present|managed' /proc/zoneinfo
} | keep device.txt
mke2fs -b 4096 /dev/pmem0 > /dev/null 2>&1
mount -t ext4 -o dax=always /dev/pmem0 /mnt || { dmesg | tail; exit 1; }
grep /mnt /proc/mounts | keep mount.txt
trace_buffer 20000
trace_events fs_dax ext4:ext4_ext_map_blocks_exit
mark A
trace_on
guest write /mnt/f 4 sync
guest read /mnt/f sequential 200 4096
guest map /mnt/f random 200
guest dax /mnt/g C | keep dax.json
trace_off
mark B
trace_save dax
