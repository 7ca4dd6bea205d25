# area: alloc
# title: memory that was plugged in: part of it movable, part of it the kernel's
# memory: 320M
# slots: 1G
# append: cgroup_disable=memory transparent_hugepage=never
# needs: add_memory_resource
# probes: alloc
# dump: lru
quiet
put offline /sys/devices/system/memory/auto_online_blocks
trace_buffer 40000
trace_probes alloc
trace_allocator
new() { for m in /sys/devices/system/memory/memory*; do [ "$(cat $m/state)" = offline ] && echo $m; done; }
guest monitor object_add memory-backend-ram,id=extra,size=256M
guest monitor device_add pc-dimm,id=d1,memdev=extra
sleep 1
set -- $(new)
put online_movable $2/state
put online_kernel $1/state
settle 1
trace_on
mark A
guest churn 3 100 300 24000
guest pipes 3 200 60
mark B
trace_off
trace_save alloc
