# area: vm
# title: random system calls on one address space, with its maps after each
# memory: 256M
# append: transparent_hugepage=never
ulimit -c 0
mark A
guest calls 1 3000 | keep calls.jsonl
mark B
