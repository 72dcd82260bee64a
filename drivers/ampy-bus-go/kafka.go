package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"ampy-conform.invalid/kit/driverkit"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/kafkabinding"
	"github.com/segmentio/kafka-go"
)

// How long a member that leaves may take to hand its partitions back.
const leaving = 5 * time.Second

const partitions = 3 // the default of the library's command line

// The library's writer asks kafka-go's transport which topics there are, and that answers from
// memory: for six seconds, if nobody says otherwise, a topic that has just been made is refused as
// unknown. Deployed topics are older than that.
const (
	forgetAfter = 100 * time.Millisecond
	lookEvery   = 20 * time.Millisecond
	patience    = 10 * time.Second
)

func init() {
	kafka.DefaultTransport.(*kafka.Transport).MetadataTTL = forgetAfter
}

// kafkaBus drives kafkabinding.
type kafkaBus struct {
	library *kafkabinding.Bus
	config  kafkabinding.Config
	mutex   sync.Mutex
	ensured map[string]bool
}

func newKafka(link *driverkit.Link) driverkit.Driver {
	d := newDriver(link, connectKafka)
	d.Identity = identity("kafka", "github.com/segmentio/kafka-go")
	// Subscribe takes one topic and no pattern, never calls a handler twice and keeps no
	// seen-state, so delivery is not claimed; nothing of the binding calls the library's
	// metrics, and there is no function for replays, backpressure, blobs or state.
	d.Profiles = []string{"core", "kafka"}
	return d
}

func connectKafka(request driverkit.Open) (bus, error) {
	if request.TLS != nil {
		return nil, driverkit.Refuse(driverkit.Unsupported, "the Kafka binding has no TLS")
	}
	brokers, err := addresses(request.URL)
	if err != nil {
		return nil, err
	}
	config := kafkabinding.Config{
		Brokers:   brokers,
		DLQPrefix: "ampy." + request.Env + ".dlq.v1.",
	}
	return &kafkaBus{
		library: kafkabinding.New(config), config: config, ensured: map[string]bool{},
	}, nil
}

// addresses returns the brokers of a URL such as kafka://127.0.0.1:9092,127.0.0.1:9093.
func addresses(text string) ([]string, error) {
	if !strings.Contains(text, "://") {
		return strings.Split(text, ","), nil
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return nil, driverkit.Refuse(driverkit.BadRequest, "the broker's URL cannot be read")
	}
	if parsed.User != nil {
		return nil, driverkit.Refuse(driverkit.Unsupported, "the Kafka binding has no authentication")
	}
	return strings.Split(parsed.Host, ","), nil
}

// ready makes the topic before the first record, as the library's own programs do; the binding
// does not do it by itself.
func (b *kafkaBus) ready(ctx context.Context, topic string) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.ensured[topic] {
		return nil
	}
	if err := b.library.EnsureTopic(ctx, topic, partitions); err != nil {
		return refusedByKafka(err)
	}
	if err := b.known(ctx, topic); err != nil {
		return err
	}
	b.ensured[topic] = true
	return nil
}

// known waits until the transport that the library's writer uses knows a topic.
func (b *kafkaBus) known(ctx context.Context, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := kafka.Client{Addr: kafka.TCP(b.config.Brokers...)}
	request := &kafka.MetadataRequest{Topics: []string{topic}}
	for {
		answer, err := client.Metadata(ctx, request)
		if err == nil && len(answer.Topics) == 1 && answer.Topics[0].Error == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return driverkit.Refuse(driverkit.Timeout, "the topic was made and is still not known")
		case <-time.After(lookEvery):
		}
	}
}

func (b *kafkaBus) publish(
	ctx context.Context, envelope ampybus.Envelope, headers map[string]string,
) (*string, error) {
	if err := b.library.PublishEnvelope(ctx, envelope, headers); err != nil {
		return nil, refusedByKafka(err)
	}
	return nil, nil // the library does not tell it
}

// subscribe reads one topic. A handler without a verdict ends with its context when the member
// leaves, and what the library does then (a dead letter, or the end of the reader) is the library's.
func (b *kafkaBus) subscribe(request driverkit.Subscribe, handlers *handlers) (func(), error) {
	if strings.ContainsAny(request.Pattern, "*>") {
		return nil, driverkit.Refuse(
			driverkit.Unsupported, "Subscribe takes one topic, no pattern such as %s", request.Pattern,
		)
	}
	// The group is a setting of the library's bus, so each subscription has one of its own.
	config := b.config
	config.GroupID = request.Group
	own := kafkabinding.New(config)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := own.Subscribe(ctx, request.Pattern, handlers.handle)
		if err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintln(os.Stderr, "Subscribe ended:", err)
		}
	}()
	return func() {
		cancel()
		handlers.desk.Close()
		select {
		case <-ended:
		case <-time.After(leaving):
		}
		_ = own.Close()
	}, nil
}

func (b *kafkaBus) close() error { return b.library.Close() }

// refusedByKafka gives an error of kafka-go the code that says whether it happened.
func refusedByKafka(err error) error {
	code := driverkit.Internal
	var several kafka.WriteErrors
	if errors.As(err, &several) && len(several) == 1 && several[0] != nil {
		err = several[0]
	}
	var large kafka.MessageTooLargeError
	var answer kafka.Error
	switch {
	case errors.As(err, &large), errors.Is(err, kafka.MessageSizeTooLarge):
		code = driverkit.TooLarge
	case errors.Is(err, kafka.UnknownTopicOrPartition), errors.Is(err, kafka.InvalidTopic):
		code = driverkit.InvalidTopic
	case errors.Is(err, kafka.TopicAuthorizationFailed):
		code = driverkit.Denied
	case errors.Is(err, context.DeadlineExceeded):
		code = driverkit.Timeout
	case errors.As(err, &answer) && !answer.Temporary():
		code = driverkit.Denied
	}
	return driverkit.Refuse(code, "%v", err)
}
