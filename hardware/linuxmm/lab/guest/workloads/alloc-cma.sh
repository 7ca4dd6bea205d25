# area: alloc
# title: a contiguous area: movable guests in it, ranges taken and given back
# memory: 256M
# needs: cma_alloc
# append: cgroup_disable=memory transparent_hugepage=never cma=32M
# probes: alloc
# dump: lru
quiet
trace_buffer 60000
trace_probes alloc
trace_allocator
trace_events cma migrate:mm_migrate_pages compaction page_isolation
C=$(ls -d /sys/kernel/debug/cma/* 2>/dev/null | head -1)
settle 1
trace_on
mark A
guest churn 3 150 64 30000
[ -n "$C" ] && echo 100 > $C/alloc
[ -n "$C" ] && echo 1000 > $C/alloc
guest hold 150 2 ready > /tmp/ready &
wait_ready
[ -n "$C" ] && echo 2048 > $C/alloc
wait
[ -n "$C" ] && echo 3148 > $C/free
mark B
trace_off
trace_save alloc
