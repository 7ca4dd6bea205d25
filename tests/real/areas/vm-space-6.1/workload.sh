# area: vm
# title: address spaces with something of every kind: exact VMAs, page tables, page cache, pools, vmalloc
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=madvise slab_nomerge
# disk: 64M
# disk: 64M
# modules: ext4
# dump: lru tasks vmalloc cache hugetlb slab
quiet
mkswap /dev/vda > /dev/null
swapon /dev/vda
mke2fs -b 4096 /dev/vdb > /dev/null 2>&1
mount -t ext4 /dev/vdb /mnt
guest write /mnt/f 2 sync
put 4 /proc/sys/vm/nr_hugepages
settle 1
mark A
guest space /mnt/f > /tmp/ready &
wait_ready
mark C
kill $!
sleep 1
mark B
