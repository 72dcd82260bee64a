// Command {{name}} lets ampy-bus-conformance operate the binding {{name}}: thin calls into it, with
// no expectations and nothing added. What the binding cannot do stays "unsupported".
package main

import "{{module}}/driverkit"

func main() { driverkit.Serve(build) }

// build returns the driver. A function that is not set answers "unsupported"; the suite's
// docs/driver-protocol.md says what each request means.
func build(link *driverkit.Link) driverkit.Driver {
	return driverkit.Driver{
		Identity: driverkit.Identity{
			Name:     "{{name}}",
			Version:  "0.0.0",
			Language: "go",
			Broker:   "{{broker}}", // which broker the suite provides
		},
		Profiles: []string{"core"}, // claim more as you write more: delivery, replay, metrics, ...

		// Open:         func(r driverkit.Open) error { ... connect to r.URL ... },
		// OpenProducer: func(r driverkit.OpenProducer) error { ... },
		// Publish:      func(r driverkit.Publish) ([]driverkit.PublishResult, error) { ... },
		// Subscribe:    func(r driverkit.Subscribe) (driverkit.Subscribed, error) { ... },
		// Credit, Settle, Close: see driverkit.Desk, which does most of it for a binding that
		// calls a handler: driverkit.NewDesk(link, r.Subscription, r.Credit).
	}
}
