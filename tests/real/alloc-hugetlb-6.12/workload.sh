# area: alloc
# title: huge pages reserved and given back: contiguous ranges, splits, dissolves
# memory: 256M
# append: cgroup_disable=memory transparent_hugepage=never
# probes: alloc
# dump: lru
quiet
trace_buffer 60000
trace_probes alloc
trace_allocator
settle 1
trace_on
mark A
echo 12 > /proc/sys/vm/nr_hugepages
guest churn 3 100 64 8000
echo 3 > /proc/sys/vm/nr_hugepages
echo 20 > /proc/sys/vm/nr_hugepages
echo 0 > /proc/sys/vm/nr_hugepages
mark B
trace_off
trace_save alloc
