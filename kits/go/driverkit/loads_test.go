package driverkit

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const marker = "#m"

// planned returns a load_plan request that begins now; times are milliseconds.
func planned(id int, until int64, more string) string {
	now, _ := Nanoseconds()
	return fmt.Sprintf(
		`{"id":%d,"op":"load_plan","load":"l","marker":%q,"start_ns":%d,"until_ns":%d,%s}`,
		id, marker, now, until*1_000_000, more,
	)
}

func text(payload string) string { return base64.StdEncoding.EncodeToString([]byte(payload)) }

// samples collects what a plan says until it is done.
func (s *suite) samples() map[string][]any {
	found := map[string][]any{}
	for {
		frame := s.hear()
		if frame["event"] != "load_samples" {
			if frame["ok"] != true {
				s.t.Fatalf("%v", frame)
			}
			continue // the answer to the plan
		}
		for name, value := range frame {
			if list, many := value.([]any); many {
				found[name] = append(found[name], list...)
			}
		}
		if frame["done"] == true {
			found["repeats"] = []any{frame["repeats"]}
			return found
		}
	}
}

func TestASenderStampsWhatBecameOfEachRecord(t *testing.T) {
	var mutex sync.Mutex
	payloads, keys := []string{}, []string{}
	blocked := make(chan struct{})
	defer close(blocked)
	s := start(t, func(link *Link) Driver {
		driver, loads := plain(nil), NewLoads(link)
		driver.LoadPlan = func(plan LoadPlan) error {
			return loads.Send(plan, func(record Record) string {
				mutex.Lock()
				payloads, keys = append(payloads, string(record.Payload)), append(keys, record.DedupeKey)
				number := len(payloads)
				mutex.Unlock()
				switch number {
				case 1: // it holds up nobody else
					<-blocked
				case 2:
					return Fail
				}
				return OK
			})
		}
		return driver
	})
	record := fmt.Sprintf(
		`{"topic":"t","schema_fqdn":"s","key":{},"payload":%q,"dedupe_key":"k-%s0000000000-x"}`,
		text("a"+marker+"0000000000z"), marker,
	)
	s.say("%s", planned(1, 300, `"producer":"p","first":7,"schedule":[0,20000000,40000000],"picks":[0,0,0],"templates":[`+record+`]`))
	found := s.samples()
	if fmt.Sprint(found["numbers"], found["outcomes"]) != "[7 8 9] [2 1 0]" {
		t.Errorf("%v %v", found["numbers"], found["outcomes"])
	}
	for at, due := range []float64{0, 20e6, 40e6} {
		called, returned := found["called_ns"][at].(float64), found["returned_ns"][at].(float64)
		if called < due {
			t.Errorf("record %d was sent at %v, before it was due", at, called)
		}
		if at == 0 && returned != -1 || at > 0 && returned < called {
			t.Errorf("record %d was answered at %v", at, returned)
		}
	}
	mutex.Lock()
	defer mutex.Unlock()
	if strings.Join(payloads, " ") != "a#m0000000007z a#m0000000008z a#m0000000009z" {
		t.Error(payloads)
	}
	if keys[2] != "k-#m0000000009-x" {
		t.Error(keys)
	}
}

func TestAWindowIsKept(t *testing.T) {
	var open, most atomic.Int32
	s := start(t, func(link *Link) Driver {
		driver, loads := plain(nil), NewLoads(link)
		driver.LoadPlan = func(plan LoadPlan) error {
			return loads.Send(plan, func(Record) string {
				now := open.Add(1)
				for known := most.Load(); now > known && !most.CompareAndSwap(known, now); known = most.Load() {
				}
				time.Sleep(20 * time.Millisecond)
				open.Add(-1)
				return OK
			})
		}
		return driver
	})
	record := fmt.Sprintf(`{"topic":"t","schema_fqdn":"s","key":{},"payload":%q}`, text(marker+"0000000000"))
	many := strings.TrimSuffix(strings.Repeat("0,", 12), ",")
	s.say("%s", planned(1, 10_000, `"producer":"p","in_flight":3,"schedule":[`+many+`],"picks":[`+many+`],"templates":[`+record+`]`))
	if found := s.samples(); len(found["numbers"]) != 12 {
		t.Errorf("%d were sent", len(found["numbers"]))
	}
	if most.Load() != 3 {
		t.Errorf("%d were open at once", most.Load())
	}
}

func TestAReceiverStampsTheFirstDelivery(t *testing.T) {
	var receiver *Receiver
	s := start(t, func(link *Link) Driver {
		driver, loads := plain(nil), NewLoads(link)
		driver.LoadPlan = func(plan LoadPlan) (err error) {
			receiver, err = loads.Receive(plan)
			return err
		}
		return driver
	})
	s.say("%s", planned(1, 60_000, `"subscription":"s","expect":2`))
	if answer := s.hear(); answer["ok"] != true {
		t.Fatal(answer)
	}
	for _, body := range []string{"of another load", marker + "00", marker + "0000000003", marker + "0000000003", "x" + marker + "0000000001y"} {
		receiver.Delivered([]byte(body))
	}
	found := s.samples() // long before the end of the plan: everything is there
	if len(found["numbers"]) != 2 || len(found["delivered_ns"]) != 2 || found["repeats"][0] != 1.0 {
		t.Errorf("%v", found)
	}
	receiver.Delivered([]byte(marker + "0000000009")) // too late, and without effect
}

func TestAReceiverThatMissesSomeReportsAtTheEnd(t *testing.T) {
	s := start(t, func(link *Link) Driver {
		driver, loads := plain(nil), NewLoads(link)
		driver.LoadPlan = func(plan LoadPlan) error {
			_, err := loads.Receive(plan)
			return err
		}
		return driver
	})
	s.say("%s", planned(1, 50, `"subscription":"s","expect":2`))
	if found := s.samples(); len(found["numbers"]) != 0 {
		t.Errorf("%v", found)
	}
}

func TestPlansThatAreNone(t *testing.T) {
	s := start(t, func(link *Link) Driver {
		driver, loads := plain(nil), NewLoads(link)
		driver.LoadPlan = func(plan LoadPlan) error {
			if plan.Subscription != "" {
				_, err := loads.Receive(plan)
				return err
			}
			return loads.Send(plan, func(Record) string { return OK })
		}
		return driver
	})
	good := fmt.Sprintf(`{"topic":"t","schema_fqdn":"s","key":{},"payload":%q}`, text(marker+"0000000000"))
	bad := fmt.Sprintf(`{"topic":"t","schema_fqdn":"s","key":{},"payload":%q}`, text(marker+"00"))
	for more, says := range map[string]string{
		`"producer":"p"`: "are needed",
		`"producer":"p","schedule":[0],"picks":[],"templates":[` + good + `]`:  "not of one length",
		`"producer":"p","schedule":[0],"picks":[1],"templates":[` + good + `]`: "names no template",
		`"producer":"p","schedule":[0],"picks":[0],"templates":[` + bad + `]`:  "the marker and ten digits",
	} {
		s.say("%s", planned(1, 50, more))
		s.refused(BadRequest, says)
	}
	s.say(`{"id":2,"op":"load_plan","load":"l","subscription":"s"}`)
	s.refused(BadRequest, "are needed")
}
