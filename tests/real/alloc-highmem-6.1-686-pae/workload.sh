# area: alloc
# title: HIGHMEM of a 32-bit kernel
# memory: 1000M
# bits: 32
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
guest churn 4 150 64 20000
guest pipes 6 900 200
dd if=/dev/zero of=/tmp/f bs=1M count=24 2>/dev/null
rm /tmp/f
guest hold 90 0.1
mark B
trace_off
trace_save alloc
