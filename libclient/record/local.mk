# files of record
