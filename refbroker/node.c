/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The node's engine: routes events, runs the start and the stop, ends every step.
 *
 *  1. A step is: what the event brings, then timers, then settling (files, metadata log, connections) until nothing is
 *     left to do. Work that would run one handler inside another is left for settling.
 *  2. Clients are let in (LISTEN) only when the registration, and after an unclean stop every new leader epoch, is on
 *     disk.
 */
#include "config.h"

#include "refbroker/node.h"

#include "base/check.h"
#include "base/mem.h"
#include "refbroker/cluster/creation.h"
#include "refbroker/handler/fetch.h"
#include "refbroker/node_state.h"
#include "wire/value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPEN_FILES_MAX = 4096, META_MAX = 64 * 1024 };

static const struct ferry_id listener = {0, 1};

/* ---- saying things ---- */

void broker_node_say(struct broker_node *n, int level, const char *format, ...)
{
    char text[512];
    if (!n->options.log)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    n->options.log(n->options.cookie, level, text);
}

static void on_log_line(void *cookie, enum log_level level, const char *text)
{
    struct broker_node *n = cookie;
    if (n->options.log)
        n->options.log(n->options.cookie, (int)level, text);
}

static void move(struct broker_node *n, enum broker_phase to)
{
    static const char *const names[] = {"new",   "meta",    "dir",      "metalog", "logs",
                                        "epoch", "serving", "stopping", "stopped", "failed"};
    FERRY_CHECK(to == n->phase + 1 || to == PHASE_FAILED ||
                (to == PHASE_STOPPING && n->phase < PHASE_STOPPING));
    broker_node_say(n, LOG_DEBUG, "phase %s -> %s", names[n->phase], names[to]);
    n->phase = to;
}

static void notify(struct broker_node *n, struct broker_notice *notice,
                   enum broker_notice_type type)
{
    notice->type = type;
    ferry_act(n->out, FERRY_DO_DELIVER, (struct ferry_id){0, 0})->deliver = notice;
}

void broker_node_fail(struct broker_node *n, const char *format, ...)
{
    if (n->notified_failed)
        return;
    n->notified_failed = true;
    va_list args;
    va_start(args, format);
    vsnprintf(n->failed.text, sizeof n->failed.text, format, args);
    va_end(args);
    broker_node_say(n, LOG_ERROR, "%s", n->failed.text);
    move(n, PHASE_FAILED);
    notify(n, &n->failed, BROKER_FAILED);
}

/* ---- start: identity ---- */

static void open_dir(struct broker_node *);

static void on_meta_saved(struct log_save *save, int status)
{
    struct broker_node *n = FERRY_CONTAINER(save, struct broker_node, meta_save);
    if (status)
        broker_node_fail(n, "meta.properties cannot be written (%d): %s", status, n->files.failure);
    else
        open_dir(n);
}

static void make_identity(struct broker_node *n)
{
    struct ferry_uuid cluster = ferry_prng_uuid(&n->prng);
    char directory[23];
    struct ferry_text t = {0};
    ferry_uuid_text(&cluster, n->cluster_id);
    n->directory_id = ferry_prng_uuid(&n->prng);
    ferry_uuid_text(&n->directory_id, directory);
    ferry_text_add(&t, "#\ncluster.id=%s\nversion=1\nnode.id=%d\ndirectory.id=%s\n", n->cluster_id,
                   (int)n->config.now.node_id, directory);
    if (t.failed) {
        ferry_text_free(&t);
        broker_node_fail(n, "no memory for meta.properties");
        return;
    }
    n->meta_save.done = on_meta_saved;
    log_files_save(&n->files, &n->meta_save, "meta.properties", t.data, t.len);
}

/* The value of a key in a properties file that we, or Kafka, wrote. */
static struct ferry_str property(struct ferry_bytes data, const char *key)
{
    const char *p = (const char *)data.data, *end = p + data.len;
    size_t n = strlen(key);
    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop)
            stop = end;
        if ((size_t)(stop - p) > n && !memcmp(p, key, n) && p[n] == '=')
            return (struct ferry_str){p + n + 1, (size_t)(stop - p) - n - 1 - (stop[-1] == '\r')};
        p = stop + 1;
    }
    return (struct ferry_str){0};
}

bool broker_node_parse_uuid(struct ferry_str s, struct ferry_uuid *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0, have = 0;
    size_t at = 0;
    if (s.len != 22)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        const char *d = s.data[i] ? strchr(digits, s.data[i]) : NULL;
        if (!d)
            return false;
        bits = bits << 6 | (uint32_t)(d - digits);
        have += 6;
        if (have >= 8 && at < 16) {
            have -= 8;
            out->b[at++] = (uint8_t)(bits >> have);
        }
    }
    return at == 16;
}

static void on_meta_loaded(struct log_load *load, int status, struct ferry_bytes data)
{
    struct broker_node *n = FERRY_CONTAINER(load, struct broker_node, meta_load);
    if (status == FERRY_E_NOT_FOUND) {
        make_identity(n);
        return;
    }
    if (status) {
        broker_node_fail(n, "meta.properties cannot be read (%d): %s", status, n->files.failure);
        return;
    }
    struct ferry_str cluster = property(data, "cluster.id"), node = property(data, "node.id");
    char id[16];
    snprintf(id, sizeof id, "%d", (int)n->config.now.node_id);
    if (!cluster.len || cluster.len >= sizeof n->cluster_id) {
        broker_node_fail(
            n,
            "meta.properties has no usable cluster.id; this is not a data directory of a broker");
        return;
    }
    if (!ferry_str_eq(node, ferry_str_of(id))) {
        broker_node_fail(n,
                         "the data directory belongs to node.id=%.*s, this broker is node.id=%s; "
                         "use that id, or "
                         "another directory",
                         (int)node.len, node.data ? node.data : "", id);
        return;
    }
    snprintf(n->cluster_id, sizeof n->cluster_id, "%.*s", (int)cluster.len, cluster.data);
    if (!broker_node_parse_uuid(property(data, "directory.id"), &n->directory_id))
        n->directory_id = ferry_prng_uuid(&n->prng);
    open_dir(n);
}

/* ---- start: logs ---- */

static void open_logs(struct broker_node *n)
{
    if (n->phase != PHASE_METALOG)
        return;
    move(n, PHASE_LOGS);
    n->opening = 1; /* our own hold, so that the count does not reach 0 too early */
    broker_partition_reconcile(n);
    broker_node_log_opened(n);
}

static void on_metalog_loaded(struct broker_node *n, int error)
{
    if (error)
        broker_node_fail(n,
                         "the metadata log in __cluster_metadata-0 cannot be used (%d), for the "
                         "reason above; put "
                         "back a copy of that directory, or start on an empty data directory",
                         error);
    else if (n->phase == PHASE_METALOG)
        broker_strays_clear(n, open_logs);
}

static void on_dir_open(struct log_request *r, int error)
{
    struct broker_node *n = FERRY_CONTAINER(r, struct broker_node, dir_request);
    if (n->phase != PHASE_DIR)
        return;
    if (error) {
        broker_node_fail(n, "the data directory cannot be opened (%d): %s", error,
                         n->files.failure);
        return;
    }
    move(n, PHASE_METALOG);
    broker_metalog_open(n, on_metalog_loaded);
}

static void open_dir(struct broker_node *n)
{
    if (n->phase != PHASE_META)
        return;
    move(n, PHASE_DIR);
    n->dir_request.done = on_dir_open;
    log_dir_open(&n->dir, &n->dir_request);
}

/* ---- start: registration ---- */

static int add_registration(struct broker_node *n)
{
    struct ferry_register_broker_record r;
    struct ferry_register_broker_record_end_point at;
    struct ferry_register_broker_record_feature feature;
    ferry_register_broker_record_init(&r);
    ferry_register_broker_record_end_point_init(&at);
    ferry_register_broker_record_feature_init(&feature);
    r.broker_id = n->config.now.node_id;
    r.incarnation_id = ferry_prng_uuid(&n->prng);
    r.broker_epoch = n->metalog.log->end;
    r.fenced = false;
    at.name = FERRY_STR("PLAINTEXT");
    at.host = ferry_str_of(n->host ? n->host : "127.0.0.1");
    at.port = n->port;
    r.end_points = &at;
    r.end_points_count = 1;
    feature.name = FERRY_STR("metadata.version");
    feature.min_supported_version = BROKER_METADATA_VERSION_MIN;
    feature.max_supported_version = BROKER_METADATA_VERSION;
    r.features = &feature;
    r.features_count = 1;
    r.log_dirs = &n->directory_id;
    r.log_dirs_count = 1;
    return broker_metalog_add(n, IMAGE_REGISTER_BROKER, 3, &r);
}

/* What was not flushed may be gone: whoever saw it must notice by the epoch. */
static int add_new_epochs(struct broker_node *n)
{
    struct ferry_map_entry *e;
    int code = 0;
    for (size_t at = 0; !code && (e = ferry_map_next(&n->image.by_name, &at));) {
        struct image_topic *t = e->value;
        for (int32_t i = 0; !code && i < t->partition_count; i++) {
            struct ferry_partition_change_record r;
            if (!t->partitions[i].exists)
                continue;
            ferry_partition_change_record_init(&r);
            r.partition_id = i;
            r.topic_id = t->id;
            r.leader = n->config.now.node_id;
            code = broker_metalog_add(n, IMAGE_PARTITION_CHANGE, 0, &r);
        }
    }
    return code;
}

static int prepare_start(struct broker_node *n, struct metalog_op *op)
{
    (void)op;
    int code = 0;
    if (!n->image.metadata_version) {
        struct ferry_feature_level_record f;
        ferry_feature_level_record_init(&f);
        f.name = FERRY_STR("metadata.version");
        f.feature_level = BROKER_METADATA_VERSION;
        code = broker_metalog_add(n, IMAGE_FEATURE_LEVEL, 0, &f);
    }
    if (!code)
        code = add_registration(n);
    struct ferry_producer_ids_record ids;
    ferry_producer_ids_record_init(&ids);
    ids.broker_id = n->config.now.node_id;
    ids.broker_epoch = n->metalog.log->end;
    ids.next_producer_id = n->image.next_producer_id + BROKER_PRODUCER_ID_BLOCK;
    n->producer_id_next = n->image.next_producer_id;
    n->producer_id_end = ids.next_producer_id;
    if (!code)
        code = broker_metalog_add(n, IMAGE_PRODUCER_IDS, 0, &ids);
    if (!code && !n->dir.was_clean)
        code = add_new_epochs(n);
    return code;
}

static void on_registered(struct broker_node *n, struct metalog_op *op, int error)
{
    (void)op;
    if (error) {
        broker_node_fail(n, "the broker's registration cannot be written (%d)", error);
        return;
    }
    ferry_act(n->out, FERRY_DO_LISTEN, listener)->addr = n->options.listen;
}

void broker_node_log_opened(struct broker_node *n)
{
    if (n->phase == PHASE_SERVING)
        broker_creation_opened(n);
    if (n->phase != PHASE_LOGS || --n->opening)
        return;
    move(n, PHASE_EPOCH);
    broker_metalog_begin_epoch(n);
    n->start_op.prepare = prepare_start;
    n->start_op.done = on_registered;
    broker_metalog_submit(n, &n->start_op);
}

static int set_advertised(struct broker_node *n)
{
    char text[64];
    const struct ferry_addr *a = &n->bound;
    n->port = n->options.advertised_port ? n->options.advertised_port : a->port;
    if (n->host)
        return 0;
    if (a->family == FERRY_INET4)
        snprintf(text, sizeof text, "%u.%u.%u.%u", a->ip[0], a->ip[1], a->ip[2], a->ip[3]);
    else {
        int at = 0;
        for (int i = 0; i < 16; i += 2)
            at += snprintf(text + at, sizeof text - (size_t)at, "%s%x", i ? ":" : "",
                           a->ip[i] << 8 | a->ip[i + 1]);
    }
    n->host = ferry_strdup(text);
    return n->host ? 0 : FERRY_E_NOMEM;
}

static void on_listening(struct broker_node *n, const struct ferry_event *ev)
{
    if (n->phase != PHASE_EPOCH)
        return;
    if (ev->status || !ev->addr_count) {
        broker_node_fail(n, "cannot listen: %s", ev->text ? ev->text : "no address");
        return;
    }
    n->bound = ev->addrs[0];
    if (set_advertised(n)) {
        broker_node_fail(n, "no memory for the advertised address");
        return;
    }
    move(n, PHASE_SERVING);
    broker_groups_load(n);
    n->ready.addr = n->bound;
    notify(n, &n->ready, BROKER_READY);
}

/* ---- stop ---- */

static void on_dir_closed(struct log_request *r, int error)
{
    struct broker_node *n = FERRY_CONTAINER(r, struct broker_node, dir_request);
    if (n->phase != PHASE_STOPPING)
        return;
    if (error) {
        broker_node_fail(n, "the logs cannot be closed cleanly (%d): %s", error, n->files.failure);
        return;
    }
    move(n, PHASE_STOPPED);
    notify(n, &n->stopped, BROKER_STOPPED);
}

static void stop(struct broker_node *n)
{
    if (n->phase >= PHASE_STOPPING)
        return;
    bool served = n->phase == PHASE_SERVING;
    move(n, PHASE_STOPPING);
    if (!served) { /* nothing was begun that a crash could not undo as well */
        n->phase = PHASE_STOPPED;
        notify(n, &n->stopped, BROKER_STOPPED);
        return;
    }
    ferry_act(n->out, FERRY_DO_CLOSE, listener);
    broker_conns_close_all(n);
    n->dir_request.done = on_dir_closed;
    log_dir_close(&n->dir, &n->dir_request);
}

/* ---- the engine ---- */

static void on_dir_timer(struct ferry_timer *t, void *context)
{
    struct broker_node *n = context;
    (void)t;
    log_dir_tick(&n->dir);
}

static void on_offline(struct log_dir *dir, const char *why)
{
    struct broker_node *n = dir->cookie;
    broker_node_say(n, LOG_ERROR,
                    "the data directory is offline until the broker is started again: %s", why);
}

static void begin(struct broker_node *n)
{
    move(n, PHASE_META);
    n->meta_load.done = on_meta_loaded;
    log_files_load(&n->files, &n->meta_load, "meta.properties", META_MAX);
}

static void route(struct broker_node *n, const struct ferry_event *ev)
{
    switch (ev->type) {
    case FERRY_EV_LISTENING:
        on_listening(n, ev);
        break;
    case FERRY_EV_ACCEPTED:
        broker_conns_accept(n, ev);
        break;
    case FERRY_EV_CLOSED:
        if (ferry_id_eq(ev->who, listener)) {
            if (n->phase == PHASE_EPOCH)
                broker_node_fail(n, "cannot listen: %s",
                                 ev->text ? ev->text : "the listener was closed");
            else if (n->phase == PHASE_SERVING)
                broker_node_fail(n, "the listener is gone: %s",
                                 ev->text ? ev->text : "no reason given");
            break;
        }
        broker_conns_event(n, ev);
        break;
    case FERRY_EV_RECEIVED:
    case FERRY_EV_DRAINED:
        broker_conns_event(n, ev);
        break;
    case FERRY_EV_DONE:
        log_files_done(&n->files, ev);
        break;
    case FERRY_EV_COMMAND: {
        const struct broker_command *c = ev->command;
        if (c->type == BROKER_STOP)
            stop(n);
        break;
    }
    default:
        break;
    }
}

static void settle(struct broker_node *n)
{
    bool any;
    do {
        any = log_files_settle(&n->files);
        if (n->phase >= PHASE_EPOCH && n->phase <= PHASE_SERVING)
            any |= broker_metalog_settle(n);
        if (n->phase == PHASE_SERVING) {
            any |= broker_groups_settle(n);
            any |= broker_fetch_settle(n);
            any |= broker_conns_settle(n);
        }
    } while (any && n->phase != PHASE_FAILED);
}

static int step(struct ferry_engine *engine, const struct ferry_event *ev,
                struct ferry_actions *out)
{
    struct broker_node *n = FERRY_CONTAINER(engine, struct broker_node, engine);
    n->now = ev->now;
    n->wall = ev->wall;
    n->out = out;
    log_files_step(&n->files, ev->now, ev->wall, out);
    if (n->phase == PHASE_NEW)
        begin(n);
    route(n, ev);
    ferry_timers_run(&n->timers, n->now, n);
    settle(n);
    ferry_nsec tick = n->phase == PHASE_SERVING ? log_dir_deadline(&n->dir) : FERRY_NEVER;
    if (tick == FERRY_NEVER)
        ferry_timer_cancel(&n->timers, &n->dir_timer);
    else if (ferry_timer_set(&n->timers, &n->dir_timer, tick))
        broker_node_fail(n, "no memory for a timer");
    n->out = NULL;
    return 0;
}

static ferry_nsec deadline(const struct ferry_engine *engine)
{
    const struct broker_node *n = FERRY_CONTAINER(engine, struct broker_node, engine);
    return n->phase == PHASE_NEW       ? 0
           : n->phase >= PHASE_STOPPED ? FERRY_NEVER
                                       : ferry_timers_next(&n->timers);
}

static const struct ferry_engine_ops ops = {step, deadline};

int broker_node_new(struct broker_node **out, const struct broker_node_options *options,
                    struct ferry_error *err)
{
    struct broker_node *n = ferry_zalloc(sizeof *n);
    if (!n)
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a broker");
    n->engine.ops = &ops;
    n->options = *options;
    n->options.config = NULL;
    n->log_host = (struct log_host){n, on_log_line};
    n->dir.cookie = n;
    n->dir_timer.fire = on_dir_timer;
    ferry_prng_seed(&n->prng, options->seed);
    ferry_list_init(&n->creations);
    ferry_list_init(&n->woken);
    ferry_list_init(&n->gone);
    broker_conns_init(&n->conns);
    broker_metalog_init(&n->metalog);
    broker_sessions_init(&n->sessions);
    broker_groups_init(&n->groups);
    n->host = options->host ? ferry_strdup(options->host) : NULL;
    if ((options->host && !n->host) || broker_config_copy(&n->config, options->config) ||
        broker_image_init(&n->image) || log_files_init(&n->files, &n->log_host, OPEN_FILES_MAX) ||
        log_dir_init(&n->dir, &n->files)) {
        broker_node_free(n);
        return ferry_fail(err, FERRY_E_NOMEM, "no memory for a broker");
    }
    log_dir_schedule(&n->dir, n->config.now.retention_check_ms,
                     n->config.now.watermark_checkpoint_ms);
    n->dir.on_offline = on_offline;
    n->dir.cookie = n;
    *out = n;
    return 0;
}

struct ferry_engine *broker_node_engine(struct broker_node *n)
{
    return &n->engine;
}

static void free_partitions(struct broker_node *n)
{
    struct ferry_map_entry *e;
    struct ferry_link *l;
    while ((l = ferry_list_pop_front(&n->gone)))
        broker_partition_free(FERRY_CONTAINER(l, struct broker_partition, gone));
    for (size_t at = 0; (e = ferry_map_next(&n->image.by_name, &at));) {
        struct image_topic *t = e->value;
        for (int32_t i = 0; i < t->partition_count; i++)
            if (t->partitions[i].local)
                broker_partition_free(t->partitions[i].local);
    }
}

void broker_node_free(struct broker_node *n)
{
    if (!n)
        return;
    log_dir_free(&n->dir);
    ferry_timers_free(&n->timers); /* before what they are embedded in: parked requests, members */
    n->files.out = NULL; /* nothing acts any more, though a load or a save may be under way */
    log_load_drop(&n->meta_load);
    log_save_drop(&n->meta_save);
    broker_groups_free(n);
    broker_sessions_free(&n->sessions);
    broker_metalog_free(&n->metalog);
    broker_conns_free(n);
    free_partitions(n);
    broker_image_free(&n->image);
    log_files_free(&n->files);
    broker_config_free(&n->config);
    ferry_free(n->host);
    ferry_free(n);
}

void broker_node_read_counts(const struct broker_node *n, struct broker_node_counts *out)
{
    *out = n->counts;
    out->connections = n->conns.open;
    out->connections_total = n->conns.total;
    out->requests = n->conns.request_total;
    out->bytes_in = n->conns.bytes_in;
    out->rebalances = n->groups.rebalances;
    out->queued_bytes = n->conns.pool.held;
    out->parked_bytes = n->conns.pool.parked;
}
