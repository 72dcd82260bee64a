package driverkit

import "sync"

// Handles keeps what the suite's handles stand for; safe to use from any goroutine, empty at first.
type Handles[Value any] struct {
	mutex sync.Mutex
	all   map[string]Value
}

// Set keeps a value under a handle.
func (h *Handles[Value]) Set(name string, value Value) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.all == nil {
		h.all = map[string]Value{}
	}
	h.all[name] = value
}

// Get returns the value of a handle; the error of an unknown one is an answer.
func (h *Handles[Value]) Get(name string) (Value, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	found, there := h.all[name]
	if !there {
		return found, Refuse(BadRequest, "there is no handle %q", name)
	}
	return found, nil
}

// Remove forgets a handle and returns its value.
func (h *Handles[Value]) Remove(name string) (Value, error) {
	found, err := h.Get(name)
	h.mutex.Lock()
	defer h.mutex.Unlock()
	delete(h.all, name)
	return found, err
}

// Names returns the handles that are known now, in no order.
func (h *Handles[Value]) Names() []string {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	var names []string
	for name := range h.all {
		names = append(names, name)
	}
	return names
}
