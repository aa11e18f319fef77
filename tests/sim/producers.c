/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

/*
 * Producers: bursts of sends at drawn times, through the same calls as an application's threads; every report goes to
 * the ledger. The first is always idempotent, the others are what the seed makes them.
 */

#include "base/check.h"
#include "base/mem.h"
#include "client/sender.h"
#include "tests/sim/scene.h"

#include <stdio.h>
#include <stdlib.h>

struct scene_producer {
    struct scene_client client; /* first */
    struct ferry_sender *sender;
    struct ferry_sender_topic *topics[LEDGER_TOPICS];
    struct ledger_promise promise;
    int index, left;
    ferry_nsec pause; /* between bursts, at most */
    struct ferry_timer burst;
};

static void lock(_Atomic uint32_t *word)
{
    if (atomic_exchange(word, 1))
        abort(); /* one thread: a lock that is taken twice is a mistake */
}

static void unlock(_Atomic uint32_t *word)
{
    atomic_store(word, 0);
}

static int64_t now(void *cookie)
{
    return sim_world_now(((struct scene_producer *)cookie)->client.scene->world);
}

static void wake(void *cookie, struct ferry_command *command, int64_t need_by)
{
    scene_client_post(cookie, command);
}

static void take_report(struct scene_producer *p, struct ferry_delivery *d)
{
    struct ferry_lot *lot = ferry_lot_of_delivery(d);
    struct scene *s = p->client.scene;
    struct ferry_sealed_record r;
    while (ferry_sealed_iter_next(&lot->iter, &r) && !s->ending) {
        ledger_report(s->ledger, r.cookie, lot->lane ? lot->lane->partition : -1, lot->error,
                      lot->outcome, lot->base_offset < 0 ? -1 : lot->base_offset + r.index);
        s->totals.expired += lot->error == FERRY_E_EXPIRED;
    }
    ferry_lot_release(lot);
}

static void late(void *cookie, struct ferry_delivery *d)
{
    take_report(cookie, d);
}

static void delivered(struct scene_client *c, void *delivery)
{
    take_report((struct scene_producer *)c, delivery);
}

static void started(struct scene_client *c)
{
    struct scene_producer *p = (struct scene_producer *)c;
    const struct ferry_sender_hooks hooks = {lock, unlock, now, wake, late, p};
    struct ferry_error err = {0};
    p->sender = ferry_sender_new(c->client->config, FERRY_SENDER_REPORTS | FERRY_SENDER_COOKIES,
                                 &hooks, NULL, p, &err);
    FERRY_CHECK(p->sender);
    scene_client_post(c, ferry_sender_start(p->sender));
    for (int t = 0; t < LEDGER_TOPICS; t++) {
        p->topics[t] =
            ferry_sender_topic_new(p->sender, ferry_str_of(ledger_topic_name(t)), NULL, &err);
        FERRY_CHECK(p->topics[t]);
        scene_client_post(c, &p->topics[t]->add);
    }
}

static void stopped(struct scene_client *c)
{
    struct scene_producer *p = (struct scene_producer *)c;
    ferry_sender_free(p->sender);
    p->sender = NULL;
}

static void send_one(struct scene_producer *p, int topic, int32_t partition)
{
    struct scene *s = p->client.scene;
    struct ferry_sender_place place;
    uint8_t value[256];
    uint64_t id = ledger_send(s->ledger, p->index, p->promise, topic, partition);
    struct ferry_accum_record r = {
        .record = {.value = {value, ledger_value(id, value, sizeof value)}},
        .timestamp = sim_world_wall(s->world),
        .cookie = id,
        .sent_at = sim_world_now(s->world),
        .expires_at = INT64_MAX};
    s->totals.ops++;
    int rc = ferry_sender_append(p->topics[topic], partition, &r, &place);
    if (!rc)
        return;
    ledger_refused(s->ledger, id);
    if (rc == FERRY_E_QUEUE_FULL)
        ferry_sender_press(p->sender);
    else
        sim_world_fail(s->world, "%s refuses a send: %d", sim_node_name(p->client.node), rc);
}

static void on_burst(struct ferry_timer *t, void *world)
{
    struct scene_producer *p = FERRY_CONTAINER(t, struct scene_producer, burst);
    struct ferry_prng *prng = p->client.scene->prng;
    int n = (int)ferry_prng_between(prng, 1, 12);
    int topic = (int)ferry_prng_below(prng, LEDGER_TOPICS);
    int32_t partition = (int32_t)ferry_prng_between(prng, -1, LEDGER_PARTITIONS - 1);
    for (; n > 0 && p->left > 0; n--, p->left--)
        send_one(p, topic, partition);
    if (p->left > 0)
        sim_world_at(world, t,
                     sim_world_now(world) + ferry_prng_between(prng, FERRY_MS / 10, p->pause));
}

static void draw_settings(struct scene_producer *p, struct ferry_prng *prng)
{
    static const char *const codecs[] = {"none", "none", "gzip", "snappy", "lz4", "zstd"};
    bool idempotent = p->index == 0 || ferry_prng_chance(prng, 1, 2);
    int in_flight = ferry_prng_chance(prng, 1, 3) ? 1 : 5;
    bool expires = ferry_prng_chance(prng, 1, 4);
    static const char *const weaker[] = {"all", "all", "1", "1", "0"};
    const char *acks = idempotent ? "all" : weaker[ferry_prng_below(prng, 5)];
    /* Drawn one by one: the order in which arguments are evaluated is the compiler's. */
    int batch_size = (int)ferry_prng_between(prng, 200, 2000);
    int linger = (int)ferry_prng_below(prng, 8);
    const char *codec = codecs[ferry_prng_below(prng, 6)];
    p->promise = (struct ledger_promise){
        .idempotent = idempotent, .ordered = idempotent || in_flight == 1, .acked = acks[0] != '0'};
    snprintf(p->client.settings, sizeof p->client.settings,
             "enable.idempotence=%s\nacks=%s\nmax.in.flight.requests.per.connection=%d\n"
             "batch.size=%d\nlinger.ms=%d\ncompression.type=%s\nrequest.timeout.ms=%d\n"
             "delivery.timeout.ms=%d\nretry.backoff.ms=20\nretry.backoff.max.ms=200\n"
             "reconnect.backoff.ms=20\nreconnect.backoff.max.ms=200\n",
             idempotent ? "true" : "false", acks, in_flight, batch_size, linger, codec,
             expires ? 400 : 2000, expires ? 1200 : 60000);
}

void scene_producers_init(struct scene *s)
{
    s->producers = ferry_zalloc(SCENE_PRODUCERS * sizeof *s->producers);
    FERRY_CHECK(s->producers);
    for (int i = 0; i < SCENE_PRODUCERS; i++) {
        struct scene_producer *p = &s->producers[i];
        char name[16];
        snprintf(name, sizeof name, "producer-%d", i);
        p->index = i;
        p->left = SCENE_SENDS;
        p->pause = ferry_prng_between(s->prng, 5 * FERRY_MS, 60 * FERRY_MS);
        p->burst.fire = on_burst;
        p->client.started = started;
        p->client.stopped = stopped;
        p->client.delivered = delivered;
        draw_settings(p, s->prng);
        s->totals.acks_none += !p->promise.acked;
        if (s->trace)
            fprintf(s->trace, "%s:\n%s", name, p->client.settings);
        scene_client_init(s, &p->client, name);
        sim_node_start(p->client.node);
        sim_world_at(s->world, &p->burst,
                     sim_world_now(s->world) + ferry_prng_between(s->prng, 0, 50 * FERRY_MS));
    }
}

void scene_producers_free(struct scene *s)
{
    ferry_free(s->producers);
}

bool scene_producers_sent(const struct scene *s)
{
    for (int i = 0; i < SCENE_PRODUCERS; i++)
        if (s->producers[i].left)
            return false;
    return true;
}

uint32_t scene_producer_in_flight(const struct scene *s, int i)
{
    struct ferry_link *it, *tmp;
    uint32_t most = 0;
    FERRY_LIST_EACH(it, tmp, &s->producers[i].sender->nodes)
    {
        uint32_t n = FERRY_CONTAINER(it, struct ferry_sender_node, link)->in_flight;
        most = n > most ? n : most;
    }
    return most;
}

struct sim_node *scene_producer_node(struct scene *s, int i)
{
    return s->producers[i].client.node;
}

void scene_stall_client(struct scene *s, ferry_nsec until)
{
    struct scene_producer *p = &s->producers[ferry_prng_below(s->prng, SCENE_PRODUCERS)];
    sim_pair_stall(p->client.node, s->broker.node, until);
}
