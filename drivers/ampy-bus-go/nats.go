package main

import (
	"context"
	"errors"
	"strconv"

	"ampy-conform.invalid/kit/driverkit"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
	"github.com/nats-io/nats.go"
)

// natsBus drives natsbinding.
type natsBus struct{ library *natsbinding.Bus }

func newNATS(link *driverkit.Link) driverkit.Driver {
	d := newDriver(link, connectNATS)
	d.Identity = identity("nats", "github.com/nats-io/nats.go")
	// Section 8 and the README promise at-least-once delivery, retries, dead letters and
	// metrics; there is no function for replays, backpressure, blobs or state.
	d.Profiles = []string{"core", "delivery", "metrics", "nats"}
	d.Metrics = metrics
	return d
}

func connectNATS(request driverkit.Open) (bus, error) {
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
	library, err := natsbinding.Connect(config)
	if err != nil {
		return nil, refused(err)
	}
	if err := library.EnsureStream(); err != nil {
		library.Close()
		return nil, refused(err)
	}
	return &natsBus{library}, nil
}

func (b *natsBus) ready(context.Context, string) error { return nil }

func (b *natsBus) publish(
	ctx context.Context, envelope ampybus.Envelope, headers map[string]string,
) (*string, error) {
	ack, err := b.library.PublishEnvelope(ctx, envelope, headers)
	if err != nil {
		return nil, refused(err)
	}
	position := strconv.FormatUint(ack.Sequence, 10)
	return &position, nil
}

// subscribe pulls. Leaving ends the contexts of handlers without a verdict, as it would in any
// service; what the library does with their records then is the library's.
func (b *natsBus) subscribe(request driverkit.Subscribe, handlers *handlers) (func(), error) {
	cancel, err := b.library.SubscribePull(request.Pattern, request.Group, handlers.handle)
	if err != nil {
		return nil, refused(err)
	}
	return func() {
		cancel()
		handlers.desk.Close()
	}, nil
}

func (b *natsBus) close() error {
	b.library.Close()
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
