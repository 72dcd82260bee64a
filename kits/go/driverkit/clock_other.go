//go:build !linux

package driverkit

// Go's monotonic clock has no absolute value that another process could compare with its own.
const clockKind = "none"

// Nanoseconds has no stamp to give on this system; the suite stamps instead.
func Nanoseconds() (int64, error) {
	return 0, Refuse(Unsupported, "there is no comparable clock on this system")
}

func stamp() (any, error) {
	_, err := Nanoseconds()
	return nil, err
}
