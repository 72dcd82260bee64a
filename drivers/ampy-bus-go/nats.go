package main

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"ampy-conform.invalid/kit/driverkit"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
	"github.com/nats-io/nats.go"
)

const publishTimeout = 5 * time.Second // where the suite sets none; that of the library's CLI

// natsDriver drives natsbinding.
type natsDriver struct {
	link          *driverkit.Link
	mutex         sync.Mutex
	buses         map[string]*natsBus
	producers     map[string]*natsProducer
	subscriptions map[string]*natsSubscription
}

type natsBus struct {
	bus    *natsbinding.Bus
	tuning driverkit.Tuning
}

type natsProducer struct {
	producer
	handle string
	on     *natsBus
}

type natsSubscription struct {
	*handlers
	on     *natsBus
	cancel func()
}

func newNATS(link *driverkit.Link) driverkit.Driver {
	d := &natsDriver{
		link:          link,
		buses:         map[string]*natsBus{},
		producers:     map[string]*natsProducer{},
		subscriptions: map[string]*natsSubscription{},
	}
	return driverkit.Driver{
		Identity: identity("nats", "github.com/nats-io/nats.go"),
		// Section 8 and the README promise at-least-once delivery, retries, dead letters and
		// metrics; there is no function for replays, backpressure, blobs or state.
		Profiles:     []string{"core", "delivery", "metrics", "nats"},
		Open:         d.open,
		OpenProducer: d.openProducer,
		Publish:      d.publish,
		Subscribe:    d.subscribe,
		Credit:       d.credit,
		Settle:       d.settle,
		Metrics:      metrics,
		Unsubscribe:  d.unsubscribe,
		Close:        d.close,
		Stop:         d.stop,
	}
}

func (d *natsDriver) open(request driverkit.Open) error {
	config := natsbinding.Config{
		URLs:          request.URL,
		StreamName:    request.Names.Stream,
		Subjects:      []string{"ampy.>"},
		DurablePrefix: "conformance",
	}
	if request.TLS != nil {
		config.TLS = &natsbinding.TLSConfig{
			CAFile: request.TLS.CA, CertFile: request.TLS.Cert, KeyFile: request.TLS.Key,
		}
	}
	bus, err := natsbinding.Connect(config)
	if err != nil {
		return refused(err)
	}
	if err := bus.EnsureStream(); err != nil {
		bus.Close()
		return refused(err)
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.buses[request.Bus] = &natsBus{bus, request.Tuning}
	return nil
}

func (d *natsDriver) openProducer(request driverkit.OpenProducer) error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	bus, there := d.buses[request.Bus]
	if !there {
		return driverkit.Refuse(driverkit.BadRequest, "there is no bus %q", request.Bus)
	}
	d.producers[request.Producer] = &natsProducer{
		producer{request.Name, request.Source, request.RunID}, request.Producer, bus,
	}
	return nil
}

func (d *natsDriver) publish(request driverkit.Publish) ([]driverkit.PublishResult, error) {
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

func (p *natsProducer) publish(record driverkit.Record) driverkit.PublishResult {
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
	called, _ := driverkit.Nanoseconds()
	ack, err := p.on.bus.PublishEnvelope(ctx, envelope, record.Headers)
	returned, _ := driverkit.Nanoseconds()
	if err != nil {
		return notDone(refused(err))
	}
	position := strconv.FormatUint(ack.Sequence, 10)
	return driverkit.PublishResult{
		Outcome:    driverkit.OK,
		MessageID:  envelope.Headers.MessageID,
		Position:   &position,
		CalledNS:   &called,
		ReturnedNS: &returned,
	}
}

func (d *natsDriver) subscribe(request driverkit.Subscribe) (driverkit.Subscribed, error) {
	if request.Start != "earliest" {
		return driverkit.Subscribed{}, driverkit.Refuse(
			driverkit.Unsupported, "SubscribePull always begins at the start of the log",
		)
	}
	d.mutex.Lock()
	bus, there := d.buses[request.Bus]
	d.mutex.Unlock()
	if !there {
		return driverkit.Subscribed{}, driverkit.Refuse(
			driverkit.BadRequest, "there is no bus %q", request.Bus,
		)
	}
	handlers := newHandlers(d.link, request.Subscription, request.Credit)
	cancel, err := bus.bus.SubscribePull(request.Pattern, request.Group, handlers.handle)
	if err != nil {
		return driverkit.Subscribed{}, refused(err)
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.subscriptions[request.Subscription] = &natsSubscription{handlers, bus, cancel}
	return driverkit.Subscribed{Consumers: []string{request.Group}}, nil
}

func (d *natsDriver) subscription(name string) (*natsSubscription, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	found, there := d.subscriptions[name]
	if !there {
		return nil, driverkit.Refuse(driverkit.BadRequest, "there is no subscription %q", name)
	}
	return found, nil
}

func (d *natsDriver) credit(request driverkit.Credit) error {
	found, err := d.subscription(request.Subscription)
	if err == nil {
		found.desk.Grant(request.N)
	}
	return err
}

func (d *natsDriver) settle(request driverkit.Settle) ([]driverkit.SettleResult, error) {
	found, err := d.subscription(request.Subscription)
	if err != nil {
		return nil, err
	}
	return found.desk.Settle(request.Verdicts), nil
}

func (d *natsDriver) unsubscribe(request driverkit.OfSubscription) error {
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

// leave ends the subscription. That ends the contexts of handlers without a verdict, as it would
// in any service; what the library does with their records then is the library's.
func (s *natsSubscription) leave() {
	s.cancel()
	s.desk.Close()
}

func (d *natsDriver) close(request driverkit.Close) error {
	d.mutex.Lock()
	bus, there := d.buses[request.Bus]
	delete(d.buses, request.Bus)
	var leaving []*natsSubscription
	for name, each := range d.subscriptions {
		if each.on == bus {
			leaving = append(leaving, each)
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
	for _, each := range leaving { // in the order of the library's examples
		each.leave()
	}
	bus.bus.Close()
	return nil
}

func (d *natsDriver) stop() error {
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

// JetStream's codes for a stream that may not grow.
var full = map[nats.ErrorCode]bool{10047: true, 10077: true, 10122: true}

// refused gives an error of the library the code of the protocol that says whether it happened.
func refused(err error) error {
	code := driverkit.Internal
	var api *nats.APIError
	switch {
	case errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrNoResponders),
		errors.Is(err, nats.ErrNoStreamResponse):
		code = driverkit.InvalidTopic // no stream takes the subject
	case errors.Is(err, nats.ErrMaxPayload):
		code = driverkit.TooLarge
	case errors.As(err, &api) && full[api.ErrorCode]:
		code = driverkit.Throttled
	case errors.As(err, &api):
		code = driverkit.Denied
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		code = driverkit.Timeout
	case errors.Is(err, nats.ErrAuthorization):
		code = driverkit.Denied
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrNoServers):
		code = driverkit.NotConnected
	case errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrConnectionReconnecting):
		code = driverkit.ConnectionLost
	}
	return driverkit.Refuse(code, "%v", err)
}

// Codes that leave open whether the record was stored.
var open = map[string]bool{
	driverkit.Internal: true, driverkit.Timeout: true, driverkit.ConnectionLost: true,
}

func notDone(err error) driverkit.PublishResult {
	var refusal *driverkit.Refusal
	if !errors.As(err, &refusal) {
		refusal = &driverkit.Refusal{Code: driverkit.Internal, Message: err.Error()}
	}
	outcome := driverkit.Fail
	if open[refusal.Code] {
		outcome = driverkit.Info
	}
	return driverkit.PublishResult{Outcome: outcome, Code: refusal.Code, Detail: refusal.Message}
}
