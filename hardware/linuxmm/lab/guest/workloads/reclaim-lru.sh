# area: reclaim
# title: two-list LRU: streaming and hot files, anonymous pages, refaults, MADV_FREE
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=never
# disk: 128M
# disk: 128M
# modules: ext4
# dump: lru
# probes: lru
quiet
put 0 /sys/kernel/mm/lru_gen/enabled
mkswap /dev/vda > /dev/null
swapon /dev/vda
mke2fs -b 4096 /dev/vdb > /dev/null 2>&1
mount -t ext4 /dev/vdb /mnt
guest write /mnt/f 110 sync
settle 1
trace_buffer 30000
trace_events pagemap vmscan filemap:mm_filemap_add_to_page_cache filemap:mm_filemap_delete_from_page_cache
trace_probes lru
trace_on
mark A
guest read /mnt/f sequential 300 65536
guest read /mnt/f sequential 100 65536
mark C
guest read /mnt/f sequential 1700 65536
guest read /mnt/f random 400 16384
mark E
guest hold 40 0.2 again
mark D
guest read /mnt/f random 400 16384
mark F
guest lazyfree 12 40 | keep lazyfree.json
mark B
trace_off
trace_save lru
