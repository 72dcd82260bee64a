package driverkit

import (
	"context"
	"fmt"
	"sync"
)

// Desk is for bindings that call a handler and act on what it returns: it hands each delivery to
// the suite, which is the handler, keeps to the credit, and brings the verdict back.
type Desk struct {
	link         *Link
	subscription string
	mutex        sync.Mutex
	credit       int
	granted      chan struct{}
	waiting      map[string]chan Ruling
	next         int
	closed       chan struct{}
}

// Ruling is a verdict with its reason; say with Answer what became of it.
type Ruling struct {
	Verdict string
	Reason  string
	reply   chan SettleResult
}

// NewDesk opens the desk of a subscription.
func NewDesk(link *Link, subscription string, credit int) *Desk {
	return &Desk{
		link:         link,
		subscription: subscription,
		credit:       credit,
		granted:      make(chan struct{}, 1),
		waiting:      map[string]chan Ruling{},
		closed:       make(chan struct{}),
	}
}

// ErrClosed is returned by Handle when the subscription is left before there is a verdict.
var ErrClosed = fmt.Errorf("the subscription was left")

// Handle waits for credit, sends the delivery (its Subscription and Delivery are filled in) and
// waits for the verdict. When `ctx` ends first, the suite is told that the delivery is abandoned.
func (d *Desk) Handle(ctx context.Context, delivery Delivery) (Ruling, error) {
	if err := d.take(ctx); err != nil {
		return Ruling{}, err
	}
	answer := make(chan Ruling, 1)
	d.mutex.Lock()
	d.next++
	name := fmt.Sprintf("%s.%d", d.subscription, d.next)
	d.waiting[name] = answer
	d.mutex.Unlock()
	defer d.forget(name)
	delivery.Subscription, delivery.Delivery = d.subscription, name
	if delivery.Nanoseconds == 0 {
		delivery.Nanoseconds, _ = Nanoseconds()
	}
	if err := d.link.Deliver(delivery); err != nil {
		return Ruling{}, err
	}
	select {
	case found := <-answer:
		return found, nil
	case <-d.closed:
		return Ruling{}, ErrClosed
	case <-ctx.Done():
		if !d.forget(name) { // the verdict has just come
			return <-answer, nil
		}
		d.give(1)
		if err := d.link.Abandon(Abandoned{d.subscription, name}); err != nil {
			return Ruling{}, err
		}
		return Ruling{}, ctx.Err()
	}
}

// Answer says what the binding made of the verdict: Ack is OK, Info or Fail.
func (r Ruling) Answer(result SettleResult) { r.reply <- result }

// Settle passes verdicts to those who wait for them and returns what they answer.
func (d *Desk) Settle(verdicts []Verdict) []SettleResult {
	results := make([]SettleResult, len(verdicts))
	replies := make([]chan SettleResult, len(verdicts))
	for number, each := range verdicts {
		results[number] = SettleResult{Delivery: each.Delivery, Ack: Fail, Code: Expired}
		d.mutex.Lock()
		answer, there := d.waiting[each.Delivery]
		delete(d.waiting, each.Delivery)
		d.mutex.Unlock()
		if there {
			replies[number] = make(chan SettleResult, 1)
			d.give(1)
			answer <- Ruling{each.Verdict, each.Reason, replies[number]}
		}
	}
	for number, reply := range replies {
		if reply == nil {
			continue
		}
		select {
		case result := <-reply:
			result.Delivery = verdicts[number].Delivery
			results[number] = result
		case <-d.closed:
			results[number].Ack, results[number].Code = Info, ""
		}
	}
	return results
}

// Grant allows n more unsettled deliveries.
func (d *Desk) Grant(n int) { d.give(n) }

// Close ends every Handle that waits.
func (d *Desk) Close() {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	select {
	case <-d.closed:
	default:
		close(d.closed)
	}
}

func (d *Desk) take(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		d.mutex.Lock()
		if d.credit > 0 {
			d.credit--
			left := d.credit
			d.mutex.Unlock()
			if left > 0 {
				d.wake()
			}
			return nil
		}
		d.mutex.Unlock()
		select {
		case <-d.granted:
		case <-d.closed:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *Desk) give(n int) {
	d.mutex.Lock()
	d.credit += n
	d.mutex.Unlock()
	d.wake()
}

func (d *Desk) wake() {
	select {
	case d.granted <- struct{}{}:
	default:
	}
}

// forget tells whether the delivery still waited for its verdict.
func (d *Desk) forget(name string) bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	_, there := d.waiting[name]
	delete(d.waiting, name)
	return there
}
