# files of client
include libclient/client/consumer.mk
