# area: huge
# title: the pool of huge pages: reserve, touch, share, overcommit, shrink
# memory: 256M
# dump: hugetlb
# append: cgroup_disable=memory transparent_hugepage=never
quiet
mark A
cat /sys/kernel/mm/hugepages/hugepages-2048kB/* | keep start.txt
{
	put 8 /proc/sys/vm/nr_hugepages
	guest reserved 4 D
	guest reserved 12
	put 4 /proc/sys/vm/nr_overcommit_hugepages
	guest reserved 10 E
	put 2 /proc/sys/vm/nr_hugepages
} | keep reserved.jsonl
mark C
put 0 /proc/sys/vm/nr_hugepages
mark B
