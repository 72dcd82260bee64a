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
	"github.com/AmpyFin/ampy-bus/pkg/kafkabinding"
	"github.com/segmentio/kafka-go"
)

// How long a member that leaves may take to hand its partitions back.
const leaving = 5 * time.Second

const partitions = 3 // the default of the library's command line

// kafkaDriver drives kafkabinding.
type kafkaDriver struct {
	link          *driverkit.Link
	mutex         sync.Mutex
	buses         map[string]*kafkaBus
	producers     map[string]*kafkaProducer
	subscriptions map[string]*kafkaSubscription
}

type kafkaBus struct {
	bus     *kafkabinding.Bus
	config  kafkabinding.Config
	tuning  driverkit.Tuning
	mutex   sync.Mutex
	ensured map[string]bool
}

type kafkaProducer struct {
	producer
	on *kafkaBus
}

type kafkaSubscription struct {
	*handlers
	on     *kafkaBus
	bus    *kafkabinding.Bus
	cancel context.CancelFunc
	ended  chan struct{}
}

func newKafka(link *driverkit.Link) driverkit.Driver {
	d := &kafkaDriver{
		link:          link,
		buses:         map[string]*kafkaBus{},
		producers:     map[string]*kafkaProducer{},
		subscriptions: map[string]*kafkaSubscription{},
	}
	return driverkit.Driver{
		Identity: identity("kafka", "github.com/segmentio/kafka-go"),
		// Subscribe takes one topic and no pattern, never calls a handler twice and keeps no
		// seen-state, so delivery is not claimed; nothing of the binding calls the library's
		// metrics, and there is no function for replays, backpressure, blobs or state.
		Profiles:     []string{"core", "kafka"},
		Open:         d.open,
		OpenProducer: d.openProducer,
		Publish:      d.publish,
		Subscribe:    d.subscribe,
		Credit:       d.credit,
		Settle:       d.settle,
		Unsubscribe:  d.unsubscribe,
		Close:        d.close,
		Stop:         d.stop,
	}
}

func (d *kafkaDriver) open(request driverkit.Open) error {
	if request.TLS != nil {
		return driverkit.Refuse(driverkit.Unsupported, "the Kafka binding has no TLS")
	}
	brokers, err := addresses(request.URL)
	if err != nil {
		return err
	}
	config := kafkabinding.Config{
		Brokers:   brokers,
		DLQPrefix: "ampy." + request.Env + ".dlq.v1.",
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.buses[request.Bus] = &kafkaBus{
		bus: kafkabinding.New(config), config: config, tuning: request.Tuning, ensured: map[string]bool{},
	}
	return nil
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

func (d *kafkaDriver) openProducer(request driverkit.OpenProducer) error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	bus, there := d.buses[request.Bus]
	if !there {
		return driverkit.Refuse(driverkit.BadRequest, "there is no bus %q", request.Bus)
	}
	d.producers[request.Producer] = &kafkaProducer{
		producer{request.Name, request.Source, request.RunID}, bus,
	}
	return nil
}

func (d *kafkaDriver) publish(request driverkit.Publish) ([]driverkit.PublishResult, error) {
	d.mutex.Lock()
	producer, there := d.producers[request.Producer]
	d.mutex.Unlock()
	if !there {
		return nil, driverkit.Refuse(driverkit.BadRequest, "there is no producer %q", request.Producer)
	}
	results := make([]driverkit.PublishResult, len(request.Records))
	for number, record := range request.Records {
		results[number] = producer.publish(record)
	}
	return results, nil
}

func (p *kafkaProducer) publish(record driverkit.Record) driverkit.PublishResult {
	envelope, err := p.envelope(record, p.on.tuning.CompressOver)
	if err != nil {
		return notDone(err)
	}
	timeout := publishTimeout
	if p.on.tuning.PublishTimeoutMS > 0 {
		timeout = time.Duration(p.on.tuning.PublishTimeoutMS) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(traced(context.Background(), record), timeout)
	defer cancel()
	if err := p.on.ensure(ctx, envelope.Topic); err != nil {
		return notDone(refusedByKafka(err))
	}
	called, _ := driverkit.Nanoseconds()
	err = p.on.bus.PublishEnvelope(ctx, envelope, record.Headers)
	returned, _ := driverkit.Nanoseconds()
	if err != nil {
		return notDone(refusedByKafka(err))
	}
	return driverkit.PublishResult{
		Outcome:    driverkit.OK,
		MessageID:  envelope.Headers.MessageID,
		CalledNS:   &called,
		ReturnedNS: &returned,
	}
}

// ensure makes the topic before the first record, as the library's own programs do; the binding
// does not do it by itself.
func (b *kafkaBus) ensure(ctx context.Context, topic string) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.ensured[topic] {
		return nil
	}
	err := b.bus.EnsureTopic(ctx, topic, partitions)
	b.ensured[topic] = err == nil
	return err
}

func (d *kafkaDriver) subscribe(request driverkit.Subscribe) (driverkit.Subscribed, error) {
	none := driverkit.Subscribed{}
	if strings.ContainsAny(request.Pattern, "*>") {
		return none, driverkit.Refuse(
			driverkit.Unsupported, "Subscribe takes one topic, no pattern such as %s", request.Pattern,
		)
	}
	if request.Start != "earliest" {
		return none, driverkit.Refuse(
			driverkit.Unsupported, "Subscribe always begins at the start of the log",
		)
	}
	d.mutex.Lock()
	bus, there := d.buses[request.Bus]
	d.mutex.Unlock()
	if !there {
		return none, driverkit.Refuse(driverkit.BadRequest, "there is no bus %q", request.Bus)
	}
	// The group is a setting of the library's bus, so each subscription has one of its own.
	config := bus.config
	config.GroupID = request.Group
	ctx, cancel := context.WithCancel(context.Background())
	subscription := &kafkaSubscription{
		handlers: newHandlers(d.link, request.Subscription, request.Credit),
		on:       bus,
		bus:      kafkabinding.New(config),
		cancel:   cancel,
		ended:    make(chan struct{}),
	}
	go func() {
		defer close(subscription.ended)
		err := subscription.bus.Subscribe(ctx, request.Pattern, subscription.handle)
		if err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintln(os.Stderr, "Subscribe ended:", err)
		}
	}()
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.subscriptions[request.Subscription] = subscription
	return driverkit.Subscribed{Consumers: []string{request.Group}}, nil
}

func (d *kafkaDriver) subscription(name string) (*kafkaSubscription, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	found, there := d.subscriptions[name]
	if !there {
		return nil, driverkit.Refuse(driverkit.BadRequest, "there is no subscription %q", name)
	}
	return found, nil
}

func (d *kafkaDriver) credit(request driverkit.Credit) error {
	found, err := d.subscription(request.Subscription)
	if err == nil {
		found.desk.Grant(request.N)
	}
	return err
}

func (d *kafkaDriver) settle(request driverkit.Settle) ([]driverkit.SettleResult, error) {
	found, err := d.subscription(request.Subscription)
	if err != nil {
		return nil, err
	}
	return found.desk.Settle(request.Verdicts), nil
}

func (d *kafkaDriver) unsubscribe(request driverkit.OfSubscription) error {
	found, err := d.subscription(request.Subscription)
	if err != nil {
		return err
	}
	d.mutex.Lock()
	delete(d.subscriptions, request.Subscription)
	d.mutex.Unlock()
	found.leave()
	return nil
}

// leave ends the reader. A handler without a verdict ends with its context, and what the library
// does then (a dead letter, or the end of the reader) is the library's.
func (s *kafkaSubscription) leave() {
	s.cancel()
	s.desk.Close()
	select {
	case <-s.ended:
	case <-time.After(leaving):
	}
	_ = s.bus.Close()
}

func (d *kafkaDriver) close(request driverkit.Close) error {
	d.mutex.Lock()
	bus, there := d.buses[request.Bus]
	delete(d.buses, request.Bus)
	var found []*kafkaSubscription
	for name, each := range d.subscriptions {
		if each.on == bus {
			found = append(found, each)
			delete(d.subscriptions, name)
		}
	}
	for name, each := range d.producers {
		if each.on == bus {
			delete(d.producers, name)
		}
	}
	d.mutex.Unlock()
	if !there {
		return driverkit.Refuse(driverkit.BadRequest, "there is no bus %q", request.Bus)
	}
	for _, each := range found {
		each.leave()
	}
	return bus.bus.Close()
}

func (d *kafkaDriver) stop() error {
	d.mutex.Lock()
	var names []string
	for name := range d.buses {
		names = append(names, name)
	}
	d.mutex.Unlock()
	for _, name := range names {
		if err := d.close(driverkit.Close{Bus: name}); err != nil {
			return err
		}
	}
	return nil
}

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
