# area: alloc
# title: mixed demand: anonymous regions, pipes, files, slab
# memory: 256M
# append: cgroup_disable=memory transparent_hugepage=never
# probes: alloc
# dump: lru
# quick: yes
quiet
trace_buffer 60000
trace_probes alloc
trace_allocator
settle 1
trace_on
mark A
guest churn 1 300 40 6000
guest pipes 2 3000 400
dd if=/dev/zero of=/tmp/f bs=64k count=100 2>/dev/null
rm /tmp/f
guest churn 3 300 64 20000
cat /proc/slabinfo > /dev/null
mark B
trace_off
trace_save alloc
