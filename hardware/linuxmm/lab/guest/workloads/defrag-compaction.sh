# area: defrag
# title: compaction by hand of holes in movable memory
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=never
# disk: 64M
# probes: alloc
# dump: lru
quiet
mkswap /dev/vda > /dev/null
swapon /dev/vda
trace_buffer 48000
trace_probes alloc
trace_allocator
trace_events compaction migrate:mm_migrate_pages page_isolation
settle 1
trace_on
guest fragment $(($(available) - 30)) 3 > /tmp/ready &
wait_ready
mark A
echo 1 > /proc/sys/vm/compact_memory
mark B
trace_off
trace_save compaction
