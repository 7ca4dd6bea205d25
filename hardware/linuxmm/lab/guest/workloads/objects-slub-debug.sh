# area: objects
# title: SLUB with red zones, poison and owners
# memory: 192M
# append: cgroup_disable=memory slub_debug=FZPU slab_nomerge
# dump: slab
quiet
for c in kmalloc-64 kmalloc-256 dentry; do
	for f in slab_size object_size objs_per_slab order align red_zone poison store_user sanity_checks; do
		[ -r /sys/kernel/slab/$c/$f ] && echo "$c $f $(head -1 /sys/kernel/slab/$c/$f)"
	done
done | keep slab_debug.txt
mark A
guest pipes 3 200 60
mark B
