# area: reclaim
# title: lists by generation: streaming and hot files, anonymous pages, ageing by hand, eviction, refaults
# memory: 128M
# append: cgroup_disable=memory transparent_hugepage=never
# disk: 128M
# disk: 128M
# modules: ext4
# dump: lru generations
# probes: lru
# needs: lru_gen_init_lruvec
quiet
put 7 /sys/kernel/mm/lru_gen/enabled
mkswap /dev/vda > /dev/null
swapon /dev/vda
mke2fs -b 4096 /dev/vdb > /dev/null 2>&1
mount -t ext4 /dev/vdb /mnt
guest write /mnt/f 60 sync
settle 1
trace_buffer 30000
trace_events vmscan:mm_vmscan_lru_isolate vmscan:mm_vmscan_lru_shrink_inactive \
	vmscan:mm_vmscan_direct_reclaim_begin vmscan:mm_vmscan_direct_reclaim_end pagemap:mm_lru_activate
trace_probes lru
trace_on
mark A
guest read /mnt/f sequential 200 65536
mark C
guest read /mnt/f sequential 60 65536
guest hold 36 0.2 again
mark D
guest read /mnt/f random 150 16384
youngest=$(awk '/^ *[0-9]+ / { m = $1 } END { print m }' /sys/kernel/debug/lru_gen)
put "+ 0 0 $youngest 1 1" /sys/kernel/debug/lru_gen
mark B
trace_off
trace_save lru
