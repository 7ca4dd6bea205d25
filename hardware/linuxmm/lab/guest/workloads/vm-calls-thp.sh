# area: vm
# title: the same with transparent huge pages always on
# memory: 256M
# append: transparent_hugepage=always
ulimit -c 0
mark A
guest calls 2 3000 | keep calls.jsonl
mark B
