# area: alloc
# title: compaction by hand, by demand for high orders, and huge pages reserved
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=never
# probes: alloc
# dump: lru
quiet
trace_buffer 60000
trace_probes alloc
trace_allocator
trace_events compaction migrate:mm_migrate_pages page_isolation
settle 1
trace_on
guest fragment $(($(available) - 30)) 4 > /tmp/ready &
wait_ready
mark A
echo 1 > /proc/sys/vm/compact_memory
mark C
guest churn 3 100 300 10000
mark D
echo 10 > /proc/sys/vm/nr_hugepages
cat /proc/sys/vm/nr_hugepages
mark B
trace_off
trace_save alloc
