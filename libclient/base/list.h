/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BASE_LIST_H
#define BASE_LIST_H
/* Intrusive doubly linked list with a sentinel head. A node that is not in a list has next == NULL. */
#include <stdbool.h>
#include <stddef.h>

struct ferry_link {
    struct ferry_link *prev, *next;
};

#define FERRY_CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void ferry_list_init(struct ferry_link *head)
{
    head->prev = head->next = head;
}

static inline bool ferry_list_empty(const struct ferry_link *head)
{
    return head->next == head;
}

static inline bool ferry_link_linked(const struct ferry_link *n)
{
    return n->next != NULL;
}

static inline void ferry_list_insert_after(struct ferry_link *at, struct ferry_link *n)
{
    n->prev = at;
    n->next = at->next;
    at->next->prev = n;
    at->next = n;
}

static inline void ferry_list_push_back(struct ferry_link *head, struct ferry_link *n)
{
    ferry_list_insert_after(head->prev, n);
}

static inline void ferry_list_push_front(struct ferry_link *head, struct ferry_link *n)
{
    ferry_list_insert_after(head, n);
}

static inline void ferry_list_remove(struct ferry_link *n)
{
    if (!n->next)
        return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->prev = n->next = NULL;
}

static inline struct ferry_link *ferry_list_pop_front(struct ferry_link *head)
{
    struct ferry_link *n = head->next;
    if (n == head)
        return NULL;
    ferry_list_remove(n);
    return n;
}

/* Safe against removal of the current node. `it` and `tmp` are struct ferry_link pointers. */
#define FERRY_LIST_EACH(it, tmp, head) \
    for ((it) = (head)->next, (tmp) = (it)->next; (it) != (head); (it) = (tmp), (tmp) = (it)->next)

#endif
