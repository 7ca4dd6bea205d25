# area: huge
# title: transparent huge pages: fault, split by unmap, protect and write after fork, collapse
# memory: 256M
# append: cgroup_disable=memory
quiet
put always /sys/kernel/mm/transparent_hugepage/enabled
trace_buffer 20000
trace_events huge_memory thp migrate
mark A
trace_on
guest huge
guest churn 5 60 1500 20000
trace_off
mark B
trace_save thp
