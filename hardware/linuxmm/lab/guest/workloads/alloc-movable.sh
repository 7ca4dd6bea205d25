# area: alloc
# title: a movable zone (kernelcore=): which zone serves whom
# memory: 512M
# append: cgroup_disable=memory transparent_hugepage=never kernelcore=224M
# probes: alloc
# dump: lru
quiet
trace_buffer 60000
trace_probes alloc
trace_allocator
settle 1
trace_on
mark A
guest churn 4 200 64 30000
guest pipes 6 600 200
dd if=/dev/zero of=/tmp/f bs=1M count=40 2>/dev/null
rm /tmp/f
mark B
trace_off
trace_save alloc
