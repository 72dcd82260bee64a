package driverkit

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"sort"
	"strings"
	"testing"
)

// The structs of this package say the same as the protocol's schema, field by field.

type schema struct {
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	Deadline   int               `json:"x-deadline-ms"`
}

type document struct {
	Defs    map[string]schema `json:"$defs"`
	MaxLine int               `json:"x-max-line-bytes"`
}

func read(t *testing.T, name string, target any) {
	t.Helper()
	text, err := os.ReadFile("../../../schemas/driver/" + name)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the schemas are not beside the kit")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, target); err != nil {
		t.Fatal(err)
	}
}

var shapes = map[string]any{
	"request.hello": Hello{}, "answer.hello": helloAnswer{},
	"request.clock": nothing{}, "answer.clock": clockAnswer{},
	"request.open": Open{}, "answer.open": nothing{},
	"request.open_producer": OpenProducer{}, "answer.open_producer": nothing{},
	"request.publish": Publish{}, "answer.publish": publishAnswer{},
	"request.subscribe": Subscribe{}, "answer.subscribe": Subscribed{},
	"request.credit": Credit{}, "answer.credit": nothing{},
	"request.settle": Settle{}, "answer.settle": settleAnswer{},
	"request.serve_replay": ServeReplay{}, "answer.serve_replay": nothing{},
	"request.checkpoint": OfSubscription{}, "answer.checkpoint": checkpointAnswer{},
	"request.lag": OfSubscription{}, "answer.lag": Lag{},
	"request.query": Query{}, "answer.query": queryAnswer{},
	"request.redrive": Redrive{}, "answer.redrive": redriveAnswer{},
	"request.metrics": nothing{}, "answer.metrics": Metrics{},
	"request.load_plan": LoadPlan{}, "answer.load_plan": nothing{},
	"request.unsubscribe": OfSubscription{}, "answer.unsubscribe": nothing{},
	"request.close": Close{}, "answer.close": nothing{},
	"request.stop": nothing{}, "answer.stop": nothing{},
	"event.deliver": Delivery{}, "event.abandoned": Abandoned{},
	"event.assigned": Partitions{}, "event.revoked": Partitions{},
	"event.load_samples": LoadSamples{},
}

func TestTheStructsAreTheSchema(t *testing.T) {
	var protocol document
	read(t, "protocol.json", &protocol)
	seen := 0
	for name, definition := range protocol.Defs {
		kind, _, dotted := strings.Cut(name, ".")
		if !dotted || (kind != "request" && kind != "answer" && kind != "event") {
			continue
		}
		shape, there := shapes[name]
		if !there {
			t.Errorf("there is no struct for %s", name)
			continue
		}
		seen++
		compare(t, protocol, name, definition, reflect.TypeOf(shape))
	}
	if seen != len(shapes) {
		t.Errorf("%d of %d structs are in the schema", seen, len(shapes))
	}
}

func compare(t *testing.T, protocol document, where string, definition schema, kind reflect.Type) {
	t.Helper()
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	if definition.Ref != "" {
		definition = protocol.Defs[strings.TrimPrefix(definition.Ref, "#/$defs/")]
	}
	if definition.Items != nil && kind.Kind() == reflect.Slice {
		compare(t, protocol, where+"[]", *definition.Items, kind.Elem())
		return
	}
	if definition.Properties == nil || kind.Kind() != reflect.Struct {
		return
	}
	required := map[string]bool{}
	for _, name := range definition.Required {
		required[name] = true
	}
	var wanted, found []string
	for name := range definition.Properties {
		switch name {
		case "id", "op", "re", "ok", "event": // the kit's own business
		default:
			wanted = append(wanted, mark(name, required[name]))
		}
	}
	for number := range kind.NumField() {
		field := kind.Field(number)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		found = append(found, mark(name, !strings.Contains(options, "omitempty")))
		compare(t, protocol, where+"."+name, definition.Properties[name], field.Type)
	}
	sort.Strings(wanted)
	sort.Strings(found)
	if !reflect.DeepEqual(wanted, found) {
		t.Errorf("%s: the schema says %v, the struct %v", where, wanted, found)
	}
}

func mark(name string, required bool) string {
	if required {
		return name + "!"
	}
	return name
}

func TestTheCodesAreThoseOfTheProtocol(t *testing.T) {
	var table struct {
		Errors map[string]struct{ Definite bool }
	}
	read(t, "errors.json", &table)
	codes := []string{
		InvalidTopic, InvalidRecord, Denied, TooLarge, Throttled, Unsupported, NotConnected, Expired,
		Revoked, BadRequest, Timeout, ConnectionLost, Internal,
	}
	if len(codes) != len(table.Errors) {
		t.Errorf("the kit has %d codes, the protocol %d", len(codes), len(table.Errors))
	}
	for _, code := range codes {
		if _, there := table.Errors[code]; !there {
			t.Errorf("the protocol has no code %s", code)
		}
	}
}

func TestTheLimitOfALineIsTheProtocols(t *testing.T) {
	var protocol map[string]any
	read(t, "protocol.json", &protocol)
	for name, value := range protocol {
		if strings.Contains(name, "line") && value != float64(MaxLine) {
			t.Errorf("%s is %v, the kit says %d", name, value, MaxLine)
		}
	}
}
