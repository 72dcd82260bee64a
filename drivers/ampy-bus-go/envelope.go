package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"ampy-conform.invalid/kit/driverkit"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/obs"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The library's functions for partition keys. It has none for the other domains, whose records the
// driver therefore cannot make: how a key is put together is what is being judged.
var keys = map[string]func(part map[string]string) string{
	"bars":  func(p map[string]string) string { return ampybus.PartitionKeyBars(p["mic"], p["symbol"]) },
	"ticks": func(p map[string]string) string { return ampybus.PartitionKeyTicks(p["mic"], p["symbol"]) },
	"news":  func(p map[string]string) string { return ampybus.PartitionKeyNewsID(p["id"]) },
	"fx":    func(p map[string]string) string { return ampybus.PartitionKeyFX(p["base"], p["quote"]) },
	"signals": func(p map[string]string) string {
		return ampybus.PartitionKeySignals(p["model_id"], p["symbol"], p["mic"], p["horizon"])
	},
	"orders": func(p map[string]string) string { return ampybus.PartitionKeyOrders(p["client_order_id"]) },
	"fills": func(p map[string]string) string {
		return ampybus.PartitionKeyFills(p["account_id"], p["client_order_id"])
	},
	"positions": func(p map[string]string) string {
		return ampybus.PartitionKeyPositions(p["account_id"], p["symbol"], p["mic"])
	},
	"metrics": func(p map[string]string) string {
		return ampybus.PartitionKeyMetrics(p["service"], p["metric_name"])
	},
}

// producer is what a service tells of itself with every record.
type producer struct{ name, source, runID string }

// envelope makes a record's envelope by the library's own functions, as its examples do.
func (p producer) envelope(record driverkit.Record, compressOver int) (ampybus.Envelope, error) {
	domain := domainOf(record.SchemaFQDN)
	key, known := keys[domain]
	if !known {
		return ampybus.Envelope{}, driverkit.Refuse(
			driverkit.Unsupported, "the library has no partition key for the domain %q", domain,
		)
	}
	headers := ampybus.NewHeaders(record.SchemaFQDN, p.name, p.source, key(record.Key))
	headers.RunID = p.runID
	headers.DedupeKey = record.DedupeKey
	if record.SchemaVersion != "" {
		headers.SchemaVersion = record.SchemaVersion
	}
	// EncodeProtobuf takes a message. One whose fields are all unknown is written as it was read,
	// so the payload's bytes go through the library unchanged.
	message := &emptypb.Empty{}
	message.ProtoReflect().SetUnknown(record.Payload)
	if compressOver == 0 {
		compressOver = ampybus.DefaultCompressThreshold
	}
	payload, encoding, err := ampybus.EncodeProtobuf(message, compressOver)
	if err != nil {
		return ampybus.Envelope{}, driverkit.Refuse(driverkit.InvalidRecord, "EncodeProtobuf: %v", err)
	}
	headers.ContentEncoding = encoding
	return ampybus.Envelope{Topic: record.Topic, Headers: headers, Payload: payload}, nil
}

// traced returns a context in which the record's trace is active, as a service's incoming call is.
func traced(ctx context.Context, record driverkit.Record) context.Context {
	if record.Trace == nil {
		return ctx
	}
	id, _ := trace.TraceIDFromHex(record.Trace.TraceID)
	span, _ := trace.SpanIDFromHex(record.Trace.SpanID)
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: span, TraceFlags: trace.FlagsSampled, Remote: true,
	}))
}

// handlers makes the suite the handler of a subscription, or the receiver of a load.
type handlers struct {
	desk     *driverkit.Desk
	receiver atomic.Pointer[driverkit.Receiver]
}

func newHandlers(link *driverkit.Link, subscription string, credit int) *handlers {
	return &handlers{desk: driverkit.NewDesk(link, subscription, credit)}
}

// handle is the function that the library calls for each record. Like the handlers of its
// examples it decodes the payload first, and gives up when its context ends.
func (h *handlers) handle(ctx context.Context, envelope ampybus.Envelope) error {
	body, err := ampybus.DecodePayload(envelope.Payload, envelope.Headers.ContentEncoding)
	if err != nil {
		return err
	}
	if receiver := h.receiver.Load(); receiver != nil {
		receiver.Delivered(body)
		return nil
	}
	ruling, err := h.desk.Handle(ctx, driverkit.Delivery{
		Topic:   envelope.Topic,
		Headers: shown(envelope.Headers),
		Payload: orEmpty(body),
		Attempt: 1, // the library calls no handler twice, and does not tell what the broker repeats
	})
	if err != nil {
		return err
	}
	// What the library does after the handler, and whether that succeeds, it tells nobody.
	ruling.Answer(driverkit.SettleResult{Ack: driverkit.Info})
	if ruling.Verdict == driverkit.Ack {
		return nil
	}
	return fmt.Errorf("%s", ruling.Reason)
}

// shown returns the headers that a handler gets, by the names that the library's own tags give.
func shown(headers ampybus.Headers) map[string]string {
	text, _ := json.Marshal(headers)
	fields := map[string]any{}
	_ = json.Unmarshal(text, &fields)
	found := map[string]string{}
	for name, value := range fields {
		if value != "" {
			found[name] = fmt.Sprint(value)
		}
	}
	if headers.ProducedAt.IsZero() {
		delete(found, "produced_at")
	}
	return found
}

// metrics returns the text that the library's StartMetricsServer serves.
func metrics() (driverkit.Metrics, error) {
	obs.EnsureRegistered()
	page := httptest.NewRecorder()
	promhttp.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return driverkit.Metrics{Text: page.Body.String()}, nil
}

// domainOf returns the domain of a payload's type, ampy.{domain}.{version}.{name}. Not that of the topic:
// whether a topic is checked is the library's matter.
func domainOf(schema string) string {
	tokens := strings.Split(schema, ".")
	if len(tokens) < 2 {
		return ""
	}
	return tokens[1]
}

// orEmpty keeps an empty payload from becoming null.
func orEmpty(body []byte) []byte {
	if body == nil {
		return []byte{}
	}
	return body
}
