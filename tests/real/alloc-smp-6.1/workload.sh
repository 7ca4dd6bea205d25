# area: alloc
# title: two CPUs at once on the same zones
# memory: 256M
# cpus: 2
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
taskset 1 guest mark A
taskset 1 guest churn 4 150 64 8000 &
taskset 2 guest churn 5 150 64 8000 &
wait
taskset 1 guest pipes 6 1000 300 &
taskset 2 guest pipes 7 1000 300 &
wait
mark B
trace_off
trace_save alloc
