/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DRIVE_ADDRESS_H
#define DRIVE_ADDRESS_H
/* The engine's addresses and the system's. */
#include "engine/env.h"

#include <sys/socket.h>

/* The length of what was written, 0 if the address has no family. */
socklen_t ferry_address_to_system(const struct ferry_addr *, struct sockaddr_storage *);
/* family 0 if it is none of ours. An IPv4 address mapped into IPv6 comes back as IPv4. */
struct ferry_addr ferry_address_from_system(const struct sockaddr_storage *);
/* Numeric text to an address. false if it is not one (a name). */
bool ferry_address_parse(const char *text, uint16_t port, struct ferry_addr *);
/* "127.0.0.1:9092", "[::1]:9092". Returns `out`. */
enum { FERRY_ADDRESS_TEXT = 64 };
const char *ferry_address_format(const struct ferry_addr *, char out[FERRY_ADDRESS_TEXT]);

#endif
