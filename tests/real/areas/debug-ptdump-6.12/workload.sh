# area: debug
# title: the kernel's dump of its page tables
# memory: 192M
# append: cgroup_disable=memory
# needs: ptdump_curknl_show address_markers
# dump: tables
quiet
settle
mark A
guest churn 16 1 > /dev/null 2>&1
mark B
