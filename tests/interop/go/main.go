// franz-go: HOST:PORT TOPIC
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var failed int

func check(what string, passed bool, detail any) {
	if passed {
		fmt.Println("ok - franz-go:", what)
		return
	}
	fmt.Println("not ok - franz-go:", what, ":", detail)
	failed++
}

func records(topic, codec string, count int) []*kgo.Record {
	var out []*kgo.Record
	for i := 0; i < count; i++ {
		out = append(out, &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "key-%d", i%17),
			Value:   fmt.Appendf(nil, "%s:%06d:%0160d", codec, i, 7),
			Headers: []kgo.RecordHeader{{Key: "codec", Value: []byte(codec)}}})
	}
	return out
}

func byKey(list []*kgo.Record) map[string][]string {
	m := map[string][]string{}
	for _, r := range list {
		m[string(r.Key)] = append(m[string(r.Key)], string(r.Value))
	}
	return m
}

func produce(ctx context.Context, server, topic, codec string, count int) error {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	c, err := kgo.NewClient(kgo.SeedBrokers(server), kgo.ProducerBatchCompression(codecs[codec]))
	if err != nil {
		return err
	}
	defer c.Close()
	return c.ProduceSync(ctx, records(topic, codec, count)...).FirstErr()
}

func consume(ctx context.Context, server, topic string, count int) ([]*kgo.Record, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(server), kgo.ConsumerGroup("g-"+topic), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var got []*kgo.Record
	for len(got) < count && ctx.Err() == nil {
		got = append(got, c.PollFetches(ctx).Records()...)
	}
	return got, c.CommitUncommittedOffsets(ctx)
}

func main() {
	server, topic := os.Args[1], os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers(server))
	if err != nil {
		check("makes a client", false, err)
		os.Exit(1)
	}
	admin := kadm.NewClient(c)
	_, err = admin.CreateTopic(ctx, 3, 1, nil, topic)
	check("creates a topic", err == nil, err)
	codecs := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	var want []*kgo.Record
	for _, codec := range codecs {
		err = produce(ctx, server, topic, codec, 200)
		check("produces "+codec, err == nil, err)
		want = append(want, records(topic, codec, 200)...)
	}
	got, err := consume(ctx, server, topic, len(want))
	check("reads all of it in a group", err == nil && reflect.DeepEqual(byKey(got), byKey(want)), fmt.Sprint(len(got), " records, ", err))
	err = produce(ctx, server, topic, "none", 100)
	check("produces more", err == nil, err)
	more, err := consume(ctx, server, topic, 100)
	check("resumes behind its commit", err == nil && reflect.DeepEqual(byKey(more), byKey(records(topic, "none", 100))), fmt.Sprint(len(more), " records, ", err))
	lag, err := admin.Lag(ctx, "g-"+topic)
	check("sees no lag", err == nil && lag.Error() == nil && lag["g-"+topic].Lag.Total() == 0, err)
	admin.Close()
	if failed > 0 {
		os.Exit(1)
	}
}
