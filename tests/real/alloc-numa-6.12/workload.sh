# area: alloc
# title: two nodes with a CPU each: local pages, remote pages, the other node when one is full
# memory: 256M
# cpus: 2
# nodes: 2
# append: cgroup_disable=memory transparent_hugepage=never numa_balancing=disable
# probes: alloc
# dump: lru
quiet
trace_buffer 60000
trace_probes alloc
trace_allocator
settle 1
trace_on
taskset 1 guest mark A
taskset 1 guest hold 100 0.1
taskset 2 guest churn 4 150 64 8000
taskset 1 guest churn 5 150 64 8000 &
taskset 2 guest pipes 6 1000 300
wait
mark B
trace_off
trace_save alloc
