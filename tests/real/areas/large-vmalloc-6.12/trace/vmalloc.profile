  vaarea                                                    62               0
  vaarea_r                                                  62               0
  freeva                                                    38               0
  purge                                                     73               0
