# area: reclaim
# title: mlock: pages that reclaim passes by
# memory: 160M
# append: cgroup_disable=memory transparent_hugepage=never
# dump: lru
quiet
trace_buffer 16000
trace_events pagemap vmscan
trace_on
mark A
guest locked 20 1
guest locked 10 3 &
guest hold 60 0.2
mark C
wait
mark B
trace_off
trace_save locked
