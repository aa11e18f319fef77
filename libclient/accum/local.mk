# files of accum
