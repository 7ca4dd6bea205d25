# area: alloc
# title: transparent huge pages: high orders on the per-CPU lists
# memory: 256M
# append: cgroup_disable=memory transparent_hugepage=always
# probes: alloc
# dump: lru
quiet
trace_buffer 60000
trace_probes alloc
trace_allocator
settle 1
trace_on
mark A
guest churn 3 200 1500 30000
guest pipes 6 1000 300
guest churn 4 100 1500 30000
mark B
trace_off
trace_save alloc
