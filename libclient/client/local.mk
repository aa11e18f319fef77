# files of client
