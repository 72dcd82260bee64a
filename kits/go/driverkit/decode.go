package driverkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// head is what the loop has to know of a request before its operation reads the rest.
type head struct {
	ID           int64  `json:"id"`
	Op           string `json:"op"`
	Producer     string `json:"producer,omitempty"`
	Subscription string `json:"subscription,omitempty"`
	Bus          string `json:"bus,omitempty"`
}

// lane is the handle whose requests keep their order; a request without one has no lane.
func (h head) lane() string {
	switch {
	case h.Producer != "":
		return "producer " + h.Producer
	case h.Subscription != "":
		return "subscription " + h.Subscription
	case h.Bus != "":
		return "bus " + h.Bus
	}
	return ""
}

// check tells why a line is no frame: not UTF-8, not one JSON object, or a name given twice.
func check(line []byte) error {
	if !utf8.Valid(line) {
		return fmt.Errorf("a line is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	first, err := decoder.Token()
	if err != nil || first != json.Delim('{') {
		return fmt.Errorf("a line is not a JSON object")
	}
	if err := object(decoder); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("a line holds more than one JSON object")
	}
	return nil
}

func object(decoder *json.Decoder) error {
	names := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return fmt.Errorf("a line is not JSON")
		}
		name, _ := token.(string)
		if names[name] {
			return fmt.Errorf("a frame names a field twice")
		}
		names[name] = true
		if err := value(decoder); err != nil {
			return err
		}
	}
	return end(decoder)
}

func value(decoder *json.Decoder) error {
	token, err := decoder.Token()
	if err != nil {
		return fmt.Errorf("a line is not JSON")
	}
	switch token {
	case json.Delim('{'):
		return object(decoder)
	case json.Delim('['):
		for decoder.More() {
			if err := value(decoder); err != nil {
				return err
			}
		}
		return end(decoder)
	}
	return nil
}

func end(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return fmt.Errorf("a line is not JSON")
	}
	return nil
}

// decode reads a frame into a struct of frames.go and tells what is missing or of another type.
func decode(line []byte, target any) error {
	if err := json.Unmarshal(line, target); err != nil {
		if wrong, ok := err.(*json.UnmarshalTypeError); ok {
			return fmt.Errorf("%s: is not of type %s", wrong.Field, wrong.Type)
		}
		return err
	}
	return demand(line, reflect.TypeOf(target).Elem(), "")
}

// demand tells which field of a struct is missing in the JSON that was read into it.
func demand(raw []byte, kind reflect.Type, where string) error {
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch {
	case kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Struct:
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return err
		}
		for number, item := range items {
			if err := demand(item, kind.Elem(), fmt.Sprintf("%s[%d].", where, number)); err != nil {
				return err
			}
		}
	case kind.Kind() == reflect.Struct:
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return err
		}
		for number := range kind.NumField() {
			field := kind.Field(number)
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			found, there := fields[name]
			if !there || string(found) == "null" {
				if !strings.Contains(options, "omitempty") {
					return fmt.Errorf("%s%s: is required", where, name)
				}
				continue
			}
			if err := demand(found, field.Type, where+name+"."); err != nil {
				return err
			}
		}
	}
	return nil
}
