# area: large
# title: vmalloc: stacks, module space, areas freed lazily
# memory: 192M
# modules: zram loop
# dump: vmalloc
# append: cgroup_disable=memory
quiet
trace_buffer 16000
trace_events vmalloc
mark A
trace_on
for n in 1 2 3; do
	rmmod zram loop
	insmod /modules/zsmalloc.ko 2>/dev/null
	insmod /modules/zram.ko
	insmod /modules/loop.ko
done
put 64M /sys/block/zram0/disksize
i=0
while [ $i -lt 40 ]; do guest churn $i 3 4 100; i=$((i+1)); done
trace_off
mark B
trace_save vmalloc
