// Package driverkit speaks the driver protocol of ampy-bus-conformance, so that the author of a
// driver writes only the calls into the binding. See docs/driver-protocol.md and docs/drivers.md.
package driverkit

import "encoding/json"

// Driver is what an author fills in: who the binding is, what it claims, and one function for each
// request that it can serve. A function that is nil answers "unsupported", which is an honest answer.
//
// Functions run beside each other. Those that name the same producer, subscription or bus start in
// the order of arrival and wait for one another, except Settle, Credit, Checkpoint, Lag and Query,
// which only wait for the others. An error that is no Refusal is answered as "internal".
type Driver struct {
	Identity     Identity
	Profiles     []string // core is never optional
	Capabilities []string

	Open         func(Open) error
	OpenProducer func(OpenProducer) error
	Publish      func(Publish) ([]PublishResult, error)
	Subscribe    func(Subscribe) (Subscribed, error)
	Credit       func(Credit) error
	Settle       func(Settle) ([]SettleResult, error)
	ServeReplay  func(ServeReplay) error
	Checkpoint   func(OfSubscription) (map[string]string, error)
	Lag          func(OfSubscription) (Lag, error)
	Query        func(Query) (map[string]any, error)
	Redrive      func(Redrive) (int, error)
	Metrics      func() (Metrics, error)
	LoadPlan     func(LoadPlan) error
	Unsubscribe  func(OfSubscription) error
	Close        func(Close) error
	Stop         func() error // releases everything; called too when the suite is gone
}

// An operation reads its request and returns the fields of its answer.
type operation func(line []byte) (any, error)

// Requests that need not wait for those of their own kind: one verdict must not wait for another.
var concurrent = map[string]bool{
	"settle": true, "credit": true, "checkpoint": true, "lag": true, "query": true,
}

func serves[Request any](function func(Request) (any, error)) operation {
	return func(line []byte) (any, error) {
		var request Request
		if err := decode(line, &request); err != nil {
			return nil, Refuse(BadRequest, "%v", err)
		}
		return function(request)
	}
}

func quiet[Request any](function func(Request) error) operation {
	if function == nil {
		return nil
	}
	return serves(func(request Request) (any, error) { return nothing{}, function(request) })
}

func operations(driver Driver) map[string]operation {
	all := map[string]operation{
		"hello":         serves(driver.hello),
		"clock":         serves(func(nothing) (any, error) { return stamp() }),
		"open":          quiet(driver.Open),
		"open_producer": quiet(driver.OpenProducer),
		"credit":        quiet(driver.Credit),
		"serve_replay":  quiet(driver.ServeReplay),
		"load_plan":     quiet(driver.LoadPlan),
		"unsubscribe":   quiet(driver.Unsubscribe),
		"close":         quiet(driver.Close),
		"stop":          serves(func(nothing) (any, error) { return nothing{}, driver.stop() }),
	}
	if driver.Publish != nil {
		all["publish"] = serves(driver.publish)
	}
	if driver.Subscribe != nil {
		all["subscribe"] = serves(func(r Subscribe) (any, error) { return driver.Subscribe(r) })
	}
	if driver.Settle != nil {
		all["settle"] = serves(driver.settle)
	}
	if driver.Checkpoint != nil {
		all["checkpoint"] = serves(func(r OfSubscription) (any, error) {
			marks, err := driver.Checkpoint(r)
			if marks == nil {
				marks = map[string]string{}
			}
			return checkpointAnswer{marks}, err
		})
	}
	if driver.Lag != nil {
		all["lag"] = serves(func(r OfSubscription) (any, error) { return driver.Lag(r) })
	}
	if driver.Query != nil {
		all["query"] = serves(func(r Query) (any, error) {
			state, err := driver.Query(r)
			return queryAnswer{state}, err
		})
	}
	if driver.Redrive != nil {
		all["redrive"] = serves(func(r Redrive) (any, error) {
			done, err := driver.Redrive(r)
			return redriveAnswer{done}, err
		})
	}
	if driver.Metrics != nil {
		all["metrics"] = serves(func(nothing) (any, error) { return driver.Metrics() })
	}
	return all
}

func (d Driver) hello(request Hello) (any, error) {
	if len(request.Protocol) != 2 {
		return nil, Refuse(BadRequest, "hello: protocol is no range")
	}
	chosen := min(request.Protocol[1], NewestProtocol)
	if chosen < max(request.Protocol[0], OldestProtocol) {
		return nil, Refuse(
			Unsupported, "this driver speaks protocol %d to %d", OldestProtocol, NewestProtocol,
		)
	}
	return helloAnswer{
		Protocol:     chosen,
		Identity:     d.Identity,
		Profiles:     orEmpty(d.Profiles),
		Capabilities: orEmpty(d.Capabilities),
		Clock:        clockKind,
		Nonce:        request.Nonce,
	}, nil
}

func (d Driver) publish(request Publish) (any, error) {
	results, err := d.Publish(request)
	if err == nil && len(results) != len(request.Records) {
		err = Refuse(
			Internal, "the driver has %d results for %d records", len(results), len(request.Records),
		)
	}
	return publishAnswer{results}, err
}

func (d Driver) settle(request Settle) (any, error) {
	results, err := d.Settle(request)
	if err == nil && len(results) != len(request.Verdicts) {
		err = Refuse(
			Internal, "the driver has %d results for %d verdicts", len(results), len(request.Verdicts),
		)
	}
	return settleAnswer{results}, err
}

func (d Driver) stop() error {
	if d.Stop == nil {
		return nil
	}
	return d.Stop()
}

func orEmpty(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

// answer returns the line of an answer: the fields of `body` behind the number.
func answer(number int64, body any) ([]byte, error) {
	fields, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	head, _ := json.Marshal(struct {
		Re int64 `json:"re"`
		OK bool  `json:"ok"`
	}{number, true})
	return joined(head, fields)
}

// event returns the line of an event.
func event(name string, body any) ([]byte, error) {
	fields, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	head, _ := json.Marshal(struct {
		Event string `json:"event"`
	}{name})
	return joined(head, fields)
}

// joined makes one object of two.
func joined(head, fields []byte) ([]byte, error) {
	line := head[:len(head)-1]
	if len(fields) > 2 {
		line = append(append(line, ','), fields[1:]...)
	} else {
		line = append(line, '}')
	}
	line = append(line, '\n')
	if len(line) > MaxLine {
		return nil, Refuse(Internal, "a frame of %d bytes is over the limit of %d", len(line), MaxLine)
	}
	return line, nil
}
