/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef COORD_HANDLERS_H
#define COORD_HANDLERS_H
/* One function per API key of the group coordinator: handler/request.h says how they are called. */
struct broker_request;

void coord_join(struct broker_request *);
void coord_sync(struct broker_request *);
void coord_heartbeat(struct broker_request *);
void coord_leave(struct broker_request *);
void coord_offset_commit(struct broker_request *);
void coord_offset_fetch(struct broker_request *);
void coord_offset_delete(struct broker_request *);
void coord_describe(struct broker_request *);
void coord_list(struct broker_request *);
void coord_delete(struct broker_request *);

#endif
