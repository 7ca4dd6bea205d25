  freebulk                                                  57               0
