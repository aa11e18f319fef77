/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include "drive/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

socklen_t ferry_address_to_system(const struct ferry_addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == FERRY_INET4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip, 4);
        return sizeof *in;
    }
    if (a->family == FERRY_INET6) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)out;
        in->sin6_family = AF_INET6;
        in->sin6_port = htons(a->port);
        memcpy(&in->sin6_addr, a->ip, 16);
        return sizeof *in;
    }
    return 0;
}

struct ferry_addr ferry_address_from_system(const struct sockaddr_storage *s)
{
    struct ferry_addr a = {0};
    if (s->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)s;
        a.family = FERRY_INET4;
        a.port = ntohs(in->sin_port);
        memcpy(a.ip, &in->sin_addr, 4);
    } else if (s->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)s;
        a.port = ntohs(in->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) {
            a.family = FERRY_INET4;
            memcpy(a.ip, in->sin6_addr.s6_addr + 12, 4);
        } else {
            a.family = FERRY_INET6;
            memcpy(a.ip, &in->sin6_addr, 16);
        }
    }
    return a;
}

bool ferry_address_parse(const char *text, uint16_t port, struct ferry_addr *a)
{
    *a = (struct ferry_addr){.port = port};
    if (inet_pton(AF_INET, text, a->ip) == 1)
        a->family = FERRY_INET4;
    else if (inet_pton(AF_INET6, text, a->ip) == 1)
        a->family = FERRY_INET6;
    return a->family != 0;
}

const char *ferry_address_format(const struct ferry_addr *a, char out[FERRY_ADDRESS_TEXT])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (a->family == FERRY_INET4)
        inet_ntop(AF_INET, a->ip, ip, sizeof ip);
    else if (a->family == FERRY_INET6)
        inet_ntop(AF_INET6, a->ip, ip, sizeof ip);
    const char *form = a->family == FERRY_INET6 ? "[%s]:%u" : "%s:%u";
    snprintf(out, FERRY_ADDRESS_TEXT, form, ip, (unsigned)a->port);
    return out;
}
