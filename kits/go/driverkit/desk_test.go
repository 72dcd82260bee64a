package driverkit

import (
	"context"
	"errors"
	"testing"
	"time"
)

func atDesk(t *testing.T, credit int) (*suite, *Desk) {
	t.Helper()
	made := make(chan *Desk, 1)
	s := start(t, func(link *Link) Driver {
		desk := NewDesk(link, "s1", credit)
		made <- desk
		driver := plain(nil)
		driver.Settle = func(r Settle) ([]SettleResult, error) { return desk.Settle(r.Verdicts), nil }
		driver.Credit = func(r Credit) error { desk.Grant(r.N); return nil }
		return driver
	})
	return s, <-made
}

func settled(t *testing.T, answer map[string]any) map[string]any {
	t.Helper()
	results, ok := answer["results"].([]any)
	if !ok {
		t.Fatalf("%v is no answer to settle", answer)
	}
	return results[0].(map[string]any)
}

func TestAVerdictComesBackAndItsResultGoesOut(t *testing.T) {
	s, desk := atDesk(t, 1)
	rulings := make(chan Ruling, 1)
	go func() {
		ruling, err := desk.Handle(context.Background(), Delivery{Topic: "t", Attempt: 1})
		if err != nil {
			t.Error(err)
		}
		rulings <- ruling
		ruling.Answer(SettleResult{Ack: OK, Recorded: true})
	}()
	event := s.hear()
	if event["event"] != "deliver" || event["delivery"] != "s1.1" {
		t.Error(event)
	}
	s.say(`{"id":1,"op":"settle","subscription":"s1","verdicts":[{"delivery":"s1.1","verdict":"fail","reason":"r"}]}`)
	result := settled(t, s.hear())
	if result["ack"] != "ok" || result["recorded"] != true || result["delivery"] != "s1.1" {
		t.Error(result)
	}
	if ruling := <-rulings; ruling.Verdict != Failed || ruling.Reason != "r" {
		t.Error(ruling)
	}
	s.say(`{"id":2,"op":"settle","subscription":"s1","verdicts":[{"delivery":"s1.1","verdict":"ack"}]}`)
	if result := settled(t, s.hear()); result["ack"] != "fail" || result["code"] != Expired {
		t.Errorf("a second verdict on a delivery has an effect: %v", result)
	}
}

func TestNoDeliveryBeyondTheCredit(t *testing.T) {
	s, desk := atDesk(t, 1)
	for range 3 {
		go func() {
			if ruling, err := desk.Handle(context.Background(), Delivery{Topic: "t"}); err == nil {
				ruling.Answer(SettleResult{Ack: Info})
			}
		}()
	}
	s.hear()
	s.say(`{"id":1,"op":"clock"}`)
	if frame := s.hear(); frame["re"] != 1.0 {
		t.Fatalf("beyond the credit came %v", frame)
	}
	s.say(`{"id":2,"op":"credit","subscription":"s1","n":1}`)
	kinds := map[any]bool{s.hear()["event"]: true, s.hear()["event"]: true}
	if !kinds["deliver"] || !kinds[nil] {
		t.Error("a credit of one more brings no delivery")
	}
	s.say(`{"id":3,"op":"settle","subscription":"s1","verdicts":[{"delivery":"s1.1","verdict":"ack"}]}`)
	kinds = map[any]bool{s.hear()["event"]: true, s.hear()["event"]: true}
	if !kinds["deliver"] || !kinds[nil] {
		t.Error("a settled delivery makes no room for another")
	}
	desk.Close()
}

func TestAHandlersTimeIsOver(t *testing.T) {
	s, desk := atDesk(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	ends := make(chan error, 1)
	go func() {
		_, err := desk.Handle(ctx, Delivery{Topic: "t"})
		ends <- err
	}()
	s.hear()
	cancel()
	if event := s.hear(); event["event"] != "abandoned" || event["delivery"] != "s1.1" {
		t.Error(event)
	}
	if err := <-ends; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.say(`{"id":1,"op":"settle","subscription":"s1","verdicts":[{"delivery":"s1.1","verdict":"ack"}]}`)
	if result := settled(t, s.hear()); result["code"] != Expired {
		t.Error(result)
	}
}

func TestLeavingEndsWhatWaits(t *testing.T) {
	s, desk := atDesk(t, 1)
	ends := make(chan error, 2)
	for range 2 { // one waits for its verdict, one for credit
		go func() {
			_, err := desk.Handle(context.Background(), Delivery{Topic: "t"})
			ends <- err
		}()
	}
	s.hear()
	desk.Close()
	desk.Close()
	for range 2 {
		select {
		case err := <-ends:
			if !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("a handler still waits")
		}
	}
}
