package driverkit

import (
	"errors"
	"testing"
)

func TestHandles(t *testing.T) {
	var all Handles[int]
	if _, err := all.Get("a"); refusal(err).Code != BadRequest {
		t.Error("an unknown handle is no bad request")
	}
	all.Set("a", 7)
	if names := all.Names(); len(names) != 1 || names[0] != "a" {
		t.Error(names)
	}
	if found, err := all.Remove("a"); found != 7 || err != nil {
		t.Error(found, err)
	}
	var refused *Refusal
	if _, err := all.Remove("a"); !errors.As(err, &refused) {
		t.Error("a handle can be removed twice")
	}
}
