# area: cache
# title: readahead windows by pattern: reads and faults
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=never
# disk: 64M
# modules: ext4
# dump: cache
# probes: readahead
quiet
mke2fs -b 4096 /dev/vda > /dev/null 2>&1
mount -t ext4 /dev/vda /mnt
guest write /mnt/f 16 sync
trace_buffer 30000
trace_events filemap:mm_filemap_add_to_page_cache filemap:mm_filemap_delete_from_page_cache readahead
trace_probes readahead
mark A
trace_on
for p in sequential random stride backward mixed two; do
	put 1 /proc/sys/vm/drop_caches
	phase "read $p"
	guest read /mnt/f $p 150 4096
done
put 1 /proc/sys/vm/drop_caches
phase "read sequential 64k"
guest read /mnt/f sequential 60 65536
for p in sequential random; do
	put 1 /proc/sys/vm/drop_caches
	phase "map $p"
	guest map /mnt/f $p 200
done
trace_off
mark B
trace_save readahead
