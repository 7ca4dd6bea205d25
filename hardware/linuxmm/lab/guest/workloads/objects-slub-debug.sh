# area: objects
# title: SLUB with red zones, poison and owners: the layout, and reports of wrong uses
# memory: 192M
# append: cgroup_disable=memory slub_debug=FZPU slab_nomerge
# modules: misuse
# dump: slab
# bits: 64
quiet
for c in kmalloc-64 kmalloc-256 dentry misuse; do
	for f in slab_size object_size objs_per_slab order align red_zone poison store_user sanity_checks; do
		[ -r /sys/kernel/slab/$c/$f ] && echo "$c $f $(head -1 /sys/kernel/slab/$c/$f)"
	done
done | keep slab_debug.txt
mark A
guest pipes 3 200 60
if [ -e /sys/kernel/debug/misuse ]; then # a kernel of one's own: hardware/linuxmm/lab/own_kernel
	for how in right after-end before-start after-free twice right; do
		dmesg -c > /dev/null
		echo "## $how"
		echo $how > /sys/kernel/debug/misuse
		put 1 /sys/kernel/slab/misuse/validate
		dmesg
	done | keep reports.txt
fi
for c in kmalloc-64 kmalloc-256 dentry; do # the kernel's own search for damage: nothing to report
	dmesg -c > /dev/null
	put 1 /sys/kernel/slab/$c/validate
	echo "## $c"
	dmesg
done | keep validate.txt
mark B
