package driverkit

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	digits    = 10
	chunk     = 10_000 // stamps in one event
	never     = -1
	okStamp   = 0
	failStamp = 1
	infoStamp = 2
)

var stampOf = map[string]int{OK: okStamp, Fail: failStamp, Info: infoStamp}

// Loads runs the load plans of a driver: it sends and stamps, or stamps what is delivered. Samples
// leave when a plan has ended.
type Loads struct{ link *Link }

// NewLoads returns what runs the load plans that come over a link.
func NewLoads(link *Link) *Loads { return &Loads{link} }

// Send begins to send a plan. publish sends one record and returns OK, Fail or Info; it is called in
// a goroutine of its own for each record, because a record is due whether or not the one before it
// was answered.
func (l *Loads) Send(plan LoadPlan, publish func(Record) string) error {
	if plan.Marker == "" || plan.StartNS == 0 || plan.UntilNS == 0 || len(plan.Templates) == 0 {
		return Refuse(BadRequest, "load_plan: marker, start_ns, until_ns and templates are needed")
	}
	if len(plan.Schedule) != len(plan.Picks) {
		return Refuse(BadRequest, "schedule and picks are not of one length")
	}
	templates := make([]template, len(plan.Templates))
	for number, record := range plan.Templates {
		var err error
		if templates[number], err = apart(record, plan.Marker); err != nil {
			return err
		}
	}
	for _, each := range plan.Picks {
		if each < 0 || each >= len(templates) {
			return Refuse(BadRequest, "a pick names no template")
		}
	}
	if _, err := Nanoseconds(); err != nil {
		return Refuse(Unsupported, "this system has no clock that the suite could read: %v", err)
	}
	sender := &sender{plan: plan, templates: templates, publish: publish, stamps: newStamps(len(plan.Schedule))}
	go func() { sender.run(l.link) }()
	return nil
}

// Receive begins to stamp what a subscription delivers. The driver tells it of every call of its
// handler, which then succeeds at once.
func (l *Loads) Receive(plan LoadPlan) (*Receiver, error) {
	if plan.Marker == "" || plan.StartNS == 0 || plan.UntilNS == 0 {
		return nil, Refuse(BadRequest, "load_plan: marker, start_ns and until_ns are needed")
	}
	if _, err := Nanoseconds(); err != nil {
		return nil, Refuse(Unsupported, "this system has no clock that the suite could read: %v", err)
	}
	receiver := &Receiver{
		plan: plan, marker: []byte(plan.Marker), whole: make(chan struct{}), stamps: map[int]int64{},
	}
	if plan.Expect == 0 {
		close(receiver.whole)
	}
	go func() { receiver.run(l.link) }()
	return receiver, nil
}

// template is a record of which only the number behind the marker changes.
type template struct {
	record        Record
	before, after []byte
	key           []string // the dedupe key around the number, where it holds one
}

func apart(record Record, marker string) (template, error) {
	place := bytes.Index(record.Payload, []byte(marker)) + len(marker)
	if place < len(marker) || len(record.Payload) < place+digits {
		return template{}, Refuse(BadRequest, "a template does not hold the marker and ten digits")
	}
	found := template{record: record, before: record.Payload[:place], after: record.Payload[place+digits:]}
	if at := strings.Index(record.DedupeKey, marker) + len(marker); at >= len(marker) && len(record.DedupeKey) >= at+digits {
		found.key = []string{record.DedupeKey[:at], record.DedupeKey[at+digits:]}
	}
	return found, nil
}

func (t template) fill(number int) Record {
	text := fmt.Sprintf("%0*d", digits, number)
	record := t.record
	record.Payload = make([]byte, 0, len(t.before)+digits+len(t.after))
	record.Payload = append(append(append(record.Payload, t.before...), text...), t.after...)
	if t.key != nil {
		record.DedupeKey = t.key[0] + text + t.key[1]
	}
	return record
}

// stamps of a sender; what is answered after the end of the plan is not noted any more.
type stamps struct {
	mutex            sync.Mutex
	ended            bool
	sent             int
	called, returned []int64
	outcomes         []int
}

func newStamps(count int) *stamps {
	found := &stamps{called: make([]int64, count), returned: make([]int64, count), outcomes: make([]int, count)}
	for at := range count {
		found.called[at], found.returned[at], found.outcomes[at] = never, never, infoStamp
	}
	return found
}

func (s *stamps) begun(at int, now int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.called[at], s.sent = now, at+1
}

func (s *stamps) done(at int, now int64, outcome string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.ended {
		return
	}
	s.returned[at] = now
	if code, known := stampOf[outcome]; known {
		s.outcomes[at] = code
	}
}

type sender struct {
	plan      LoadPlan
	templates []template
	publish   func(Record) string
	stamps    *stamps
}

func (s *sender) run(link *Link) {
	var open sync.WaitGroup
	s.send(&open)
	answered := make(chan struct{})
	go func() { open.Wait(); close(answered) }()
	select {
	case <-answered:
	case <-time.After(until(s.plan)):
	}
	s.stamps.mutex.Lock()
	s.stamps.ended = true
	s.stamps.mutex.Unlock()
	for begin := 0; begin < s.stamps.sent; begin += chunk {
		end := min(begin+chunk, s.stamps.sent)
		numbers := make([]int, end-begin)
		for at := range numbers {
			numbers[at] = s.plan.First + begin + at
		}
		_ = link.Samples(LoadSamples{
			Load:       s.plan.Load,
			Numbers:    numbers,
			CalledNS:   s.stamps.called[begin:end],
			ReturnedNS: s.stamps.returned[begin:end],
			Outcomes:   s.stamps.outcomes[begin:end],
		})
	}
	_ = link.Samples(LoadSamples{Load: s.plan.Load, Done: true})
}

// send starts what is due, when it is due, until the plan ends.
func (s *sender) send(open *sync.WaitGroup) {
	var room chan struct{}
	if s.plan.InFlight > 0 {
		room = make(chan struct{}, s.plan.InFlight)
	}
	for at, due := range s.plan.Schedule {
		now := since(s.plan)
		if now < due {
			time.Sleep(time.Duration(due - now))
		}
		if room != nil {
			select {
			case room <- struct{}{}:
			case <-time.After(until(s.plan)):
			}
		}
		if until(s.plan) <= 0 {
			return
		}
		record := s.templates[s.plan.Picks[at]].fill(s.plan.First + at)
		s.stamps.begun(at, since(s.plan))
		open.Add(1)
		go func() {
			defer open.Done()
			outcome := s.publish(record)
			s.stamps.done(at, since(s.plan), outcome)
			if room != nil {
				<-room
			}
		}()
	}
}

// Receiver stamps the first delivery of every record of a load.
type Receiver struct {
	plan    LoadPlan
	marker  []byte
	whole   chan struct{}
	mutex   sync.Mutex
	ended   bool
	stamps  map[int]int64
	repeats int
}

// Delivered takes note that the handler is given this payload now; what is not of the load counts not.
func (r *Receiver) Delivered(body []byte) {
	now := since(r.plan)
	place := bytes.Index(body, r.marker) + len(r.marker)
	if place < len(r.marker) || len(body) < place+digits {
		return
	}
	number, err := strconv.Atoi(string(body[place : place+digits]))
	if err != nil {
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.ended {
		return
	}
	if _, known := r.stamps[number]; known {
		r.repeats++
		return
	}
	r.stamps[number] = now
	if len(r.stamps) == r.plan.Expect {
		close(r.whole)
	}
}

func (r *Receiver) run(link *Link) {
	select {
	case <-r.whole:
	case <-time.After(until(r.plan)):
	}
	r.mutex.Lock()
	r.ended = true
	r.mutex.Unlock()
	numbers, delivered := make([]int, 0, len(r.stamps)), make([]int64, 0, len(r.stamps))
	for number, at := range r.stamps {
		numbers, delivered = append(numbers, number), append(delivered, at)
	}
	for begin := 0; begin < len(numbers); begin += chunk {
		end := min(begin+chunk, len(numbers))
		_ = link.Samples(LoadSamples{
			Load: r.plan.Load, Numbers: numbers[begin:end], DeliveredNS: delivered[begin:end],
		})
	}
	_ = link.Samples(LoadSamples{Load: r.plan.Load, Repeats: r.repeats, Done: true})
}

// since returns the nanoseconds after the beginning of a plan.
func since(plan LoadPlan) int64 {
	now, _ := Nanoseconds()
	return now - plan.StartNS
}

// until returns how long a plan still lasts.
func until(plan LoadPlan) time.Duration { return time.Duration(plan.UntilNS - since(plan)) }
