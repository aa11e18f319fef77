pkginclude_HEADERS = %D%/ferry/ferry.h %D%/ferry/error.h
