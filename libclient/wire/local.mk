# files of wire
