package main

import (
	"context"
	"errors"
	"time"

	"ampy-conform.invalid/kit/driverkit"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

const publishTimeout = 5 * time.Second // where the suite sets none; that of the library's CLI

// bus is one of the library's buses; what its brokers have in common stands here, once.
type bus interface {
	// ready does what the library's own programs do before the first record on a topic.
	ready(ctx context.Context, topic string) error
	// publish returns the record's position where the library tells it.
	publish(ctx context.Context, envelope ampybus.Envelope, headers map[string]string) (*string, error)
	// subscribe begins to call the handlers and returns what ends it.
	subscribe(request driverkit.Subscribe, handlers *handlers) (leave func(), err error)
	close() error
}

// driver keeps what the suite's handles stand for.
type driver struct {
	link          *driverkit.Link
	loads         *driverkit.Loads
	connect       func(driverkit.Open) (bus, error)
	buses         driverkit.Handles[*opened]
	producers     driverkit.Handles[*publisher]
	subscriptions driverkit.Handles[*subscription]
}

type opened struct {
	bus
	tuning driverkit.Tuning
}

type publisher struct {
	producer
	on *opened
}

type subscription struct {
	*handlers
	on    *opened
	leave func()
}

// newDriver makes the driver of one binding; identity and profiles are to be filled in.
func newDriver(link *driverkit.Link, connect func(driverkit.Open) (bus, error)) driverkit.Driver {
	d := &driver{link: link, loads: driverkit.NewLoads(link), connect: connect}
	return driverkit.Driver{
		Open:         d.open,
		OpenProducer: d.openProducer,
		Publish:      d.publish,
		Subscribe:    d.subscribe,
		Credit:       d.credit,
		Settle:       d.settle,
		LoadPlan:     d.loadPlan,
		Unsubscribe:  d.unsubscribe,
		Close:        d.close,
		Stop:         d.stop,
	}
}

func (d *driver) open(request driverkit.Open) error {
	connected, err := d.connect(request)
	if err == nil {
		d.buses.Set(request.Bus, &opened{connected, request.Tuning})
	}
	return err
}

func (d *driver) openProducer(request driverkit.OpenProducer) error {
	on, err := d.buses.Get(request.Bus)
	if err == nil {
		told := producer{request.Name, request.Source, request.RunID}
		d.producers.Set(request.Producer, &publisher{told, on})
	}
	return err
}

func (d *driver) publish(request driverkit.Publish) ([]driverkit.PublishResult, error) {
	by, err := d.producers.Get(request.Producer)
	if err != nil {
		return nil, err
	}
	results := make([]driverkit.PublishResult, len(request.Records))
	for number, record := range request.Records {
		results[number] = by.publish(record)
	}
	return results, nil
}

func (p *publisher) publish(record driverkit.Record) driverkit.PublishResult {
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
	if err := p.on.ready(ctx, envelope.Topic); err != nil {
		return notDone(err)
	}
	called, _ := driverkit.Nanoseconds()
	position, err := p.on.bus.publish(ctx, envelope, record.Headers)
	returned, _ := driverkit.Nanoseconds()
	if err != nil {
		return notDone(err)
	}
	return driverkit.PublishResult{
		Outcome:    driverkit.OK,
		MessageID:  envelope.Headers.MessageID,
		Position:   position,
		CalledNS:   &called,
		ReturnedNS: &returned,
	}
}

func (d *driver) subscribe(request driverkit.Subscribe) (driverkit.Subscribed, error) {
	none := driverkit.Subscribed{}
	if request.Start != "earliest" {
		return none, driverkit.Refuse(
			driverkit.Unsupported, "the library's subscriptions always begin at the start of the log",
		)
	}
	on, err := d.buses.Get(request.Bus)
	if err != nil {
		return none, err
	}
	handlers := newHandlers(d.link, request.Subscription, request.Credit)
	leave, err := on.bus.subscribe(request, handlers)
	if err != nil {
		return none, err
	}
	d.subscriptions.Set(request.Subscription, &subscription{handlers, on, leave})
	return driverkit.Subscribed{Consumers: []string{request.Group}}, nil
}

func (d *driver) credit(request driverkit.Credit) error {
	found, err := d.subscriptions.Get(request.Subscription)
	if err == nil {
		found.desk.Grant(request.N)
	}
	return err
}

func (d *driver) settle(request driverkit.Settle) ([]driverkit.SettleResult, error) {
	found, err := d.subscriptions.Get(request.Subscription)
	if err != nil {
		return nil, err
	}
	return found.desk.Settle(request.Verdicts), nil
}

// loadPlan sends a load as fast as records are due, or has a subscription's handler succeed at once.
func (d *driver) loadPlan(request driverkit.LoadPlan) error {
	if request.Subscription != "" {
		found, err := d.subscriptions.Get(request.Subscription)
		if err != nil {
			return err
		}
		receiver, err := d.loads.Receive(request)
		if err == nil {
			found.receiver.Store(receiver)
		}
		return err
	}
	by, err := d.producers.Get(request.Producer)
	if err != nil {
		return err
	}
	return d.loads.Send(request, func(record driverkit.Record) string { return by.publish(record).Outcome })
}

func (d *driver) unsubscribe(request driverkit.OfSubscription) error {
	found, err := d.subscriptions.Remove(request.Subscription)
	if err == nil {
		found.leave()
	}
	return err
}

func (d *driver) close(request driverkit.Close) error {
	on, err := d.buses.Remove(request.Bus)
	if err != nil {
		return err
	}
	for _, name := range d.producers.Names() {
		if each, err := d.producers.Get(name); err == nil && each.on == on {
			_, _ = d.producers.Remove(name)
		}
	}
	for _, name := range d.subscriptions.Names() { // before the bus: the order of the library's examples
		if each, err := d.subscriptions.Get(name); err == nil && each.on == on {
			_ = d.unsubscribe(driverkit.OfSubscription{Subscription: name})
		}
	}
	return on.bus.close()
}

func (d *driver) stop() error {
	var all []error
	for _, name := range d.buses.Names() {
		all = append(all, d.close(driverkit.Close{Bus: name}))
	}
	return errors.Join(all...)
}

// Codes that leave open whether the record was stored.
var uncertain = map[string]bool{
	driverkit.Internal: true, driverkit.Timeout: true, driverkit.ConnectionLost: true,
}

func notDone(err error) driverkit.PublishResult {
	var refusal *driverkit.Refusal
	if !errors.As(err, &refusal) {
		refusal = &driverkit.Refusal{Code: driverkit.Internal, Message: err.Error()}
	}
	outcome := driverkit.Fail
	if uncertain[refusal.Code] {
		outcome = driverkit.Info
	}
	return driverkit.PublishResult{Outcome: outcome, Code: refusal.Code, Detail: refusal.Message}
}
