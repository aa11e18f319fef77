# files of drive
