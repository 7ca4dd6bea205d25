# area: large
# title: vmalloc: stacks, module space, areas freed lazily
# memory: 192M
# modules: zram loop
# probes: vmalloc
# dump: vmalloc
# append: cgroup_disable=memory
quiet
trace_buffer 16000
trace_events vmalloc
trace_probes vmalloc
trace_on
mark A
for n in 1 2 3; do
	rmmod zram loop
	insmod /modules/zsmalloc.ko 2>/dev/null
	insmod /modules/zram.ko
	insmod /modules/loop.ko
done
put 64M /sys/block/zram0/disksize
i=0
while [ $i -lt 40 ]; do guest churn $i 3 4 100; i=$((i+1)); done
stacks() { # kernel stacks are aligned to their size: so many processes at once
	n=0
	while [ $n -lt "$1" ]; do sleep 100 & n=$((n+1)); done
}
stacks 12
kill $(jobs -p | sed -n 'n;p') # every other one: its stack leaves a hole
stacks 9
# a table of files large enough for huge pages (5.18), where the shell can ask for one
(ulimit -n 1000000 && eval "exec 900000</dev/null") 2>/dev/null
put 1 /proc/sys/vm/drop_caches
mark B
trace_off
trace_save vmalloc
