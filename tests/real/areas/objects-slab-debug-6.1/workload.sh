# area: objects
# title: SLAB with red words, poison and owners: /proc/slabinfo, and reports of wrong uses
# memory: 192M
# append: cgroup_disable=memory slab_nomerge
# modules: misuse
# bits: 64
# needs: check_poison_obj
quiet
cat /proc/slabinfo | keep slabinfo.txt
mark A
guest pipes 3 200 60
if [ -e /sys/kernel/debug/misuse ]; then # a kernel of one's own: hardware/linuxmm/lab/own_kernel
	# what was freed and written comes back with the next request; "twice" leaves an object on a list twice
	for how in right after-end right before-start right after-free right after-free after-end right twice; do
		dmesg -c > /dev/null
		echo "## $how"
		echo $how > /sys/kernel/debug/misuse
		dmesg
	done | keep reports.txt
fi
cat /proc/slabinfo | keep slabinfo-B.txt
mark B
