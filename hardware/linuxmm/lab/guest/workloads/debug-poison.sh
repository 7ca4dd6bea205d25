# area: debug
# title: page_poison: what free pages hold
# memory: 192M
# append: cgroup_disable=memory transparent_hugepage=never page_poison=1 init_on_alloc=0 init_on_free=0
quiet
dmesg | grep -iE 'poison|auto-init' | keep dmesg_poison.txt
guest churn 1 200 64 10000
settle 1
mark A
guest churn 2 50 64 4000
mark B
