# area: reclaim
# title: multi-generational LRU: generations, ageing by hand, eviction
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=never
# disk: 128M
# disk: 128M
# modules: ext4
# dump: lru
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
trace_events vmscan pagemap:mm_lru_insertion pagemap:mm_lru_activate
trace_probes lru
trace_on
mark A /sys/kernel/debug/lru_gen
guest read /mnt/f sequential 600 65536
guest hold 50 0.2 again
mark C /sys/kernel/debug/lru_gen
guest read /mnt/f random 200 16384
youngest=$(awk '/^ *[0-9]+ / { m = $1 } END { print m }' /sys/kernel/debug/lru_gen)
put "+ 0 0 $youngest 1 1" /sys/kernel/debug/lru_gen
mark B /sys/kernel/debug/lru_gen
trace_off
trace_save lru
