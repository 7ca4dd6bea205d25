# area: vm
# title: a list of system calls on one address space, with its areas after each
# memory: 256M
# append: transparent_hugepage=never
# seconds: 600
ulimit -c 0
[ -s /etc/overcommit ] && cat /etc/overcommit > /proc/sys/vm/overcommit_memory
guest areas /etc/areas.calls | keep areas.log
