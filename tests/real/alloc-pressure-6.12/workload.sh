# area: alloc
# title: below the watermarks: kswapd and direct reclaim, page cache given back
# memory: 256M
# disk: 128M
# modules: ext4
# append: cgroup_disable=memory transparent_hugepage=never
# probes: alloc
# dump: lru
quiet
trace_buffer 48000
trace_probes alloc
trace_allocator
trace_events vmscan:mm_vmscan_kswapd_wake vmscan:mm_vmscan_kswapd_sleep vmscan:mm_vmscan_wakeup_kswapd \
	vmscan:mm_vmscan_direct_reclaim_begin vmscan:mm_vmscan_direct_reclaim_end
mke2fs -b 4096 /dev/vda > /dev/null 2>&1
mount -t ext4 /dev/vda /mnt
guest write /mnt/f 60 sync
guest locked $(($(available) - 50)) 1000 &
sleep 1
settle 1
trace_on
mark A
guest read /mnt/f sequential 900 65536
guest hold 30 0.1
guest read /mnt/f random 300 16384
guest hold 38 0.1 again
mark B
trace_off
trace_save alloc
