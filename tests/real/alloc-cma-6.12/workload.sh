# area: alloc
# title: a contiguous area with over half of the free memory: movable guests in it, ranges taken and given back
# memory: 256M
# needs: cma_alloc
# append: cgroup_disable=memory transparent_hugepage=never cma=128M
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
guest churn 3 60 64 4000
[ -n "$C" ] && echo 100 > $C/alloc
[ -n "$C" ] && echo 1000 > $C/alloc
mark C
guest hold 24 2 ready > /tmp/ready &
wait_ready
[ -n "$C" ] && echo 2048 > $C/alloc # guests are moved out of the way
wait
mark D
[ -n "$C" ] && echo 1100 > $C/free # what is given back is a part of what was taken
mark B
trace_off
trace_save alloc
