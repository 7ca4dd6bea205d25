  vaarea                                                    60               0
  vaarea_r                                                  60               0
  freeva                                                    38               0
  purge                                                    122               0
