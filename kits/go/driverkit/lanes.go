package driverkit

// lanes tell which requests wait for which: order where the protocol promises it, no waiting
// elsewhere. Only the loop's reading goroutine enters; leaving is closing a channel.
type lanes map[string]*lane

type lane struct {
	last   chan struct{}   // the last request that had the lane to itself
	beside []chan struct{} // those that came after it and run beside each other
}

// enter returns what a request has to wait for, and the function that ends it.
func (l lanes) enter(name string, concurrent bool) (before []chan struct{}, leave func()) {
	done := make(chan struct{})
	if name == "" {
		return nil, func() { close(done) }
	}
	found := l[name]
	if found == nil {
		found = &lane{}
		l[name] = found
	}
	if found.last != nil {
		before = append(before, found.last)
	}
	if concurrent {
		found.beside = append(unfinished(found.beside), done)
	} else {
		before = append(before, found.beside...)
		found.last, found.beside = done, nil
	}
	return before, func() { close(done) }
}

func unfinished(all []chan struct{}) []chan struct{} {
	kept := all[:0:0]
	for _, each := range all {
		select {
		case <-each:
		default:
			kept = append(kept, each)
		}
	}
	return kept
}
