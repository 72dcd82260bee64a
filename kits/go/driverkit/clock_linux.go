package driverkit

import (
	"syscall"
	"unsafe"
)

const (
	clockKind      = "monotonic"
	clockMonotonic = 1 // CLOCK_MONOTONIC, which the suite reads too
)

// Nanoseconds returns a stamp of the host's monotonic clock.
func Nanoseconds() (int64, error) {
	var now syscall.Timespec
	_, _, failed := syscall.Syscall(
		syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0,
	)
	if failed != 0 {
		return 0, failed
	}
	return now.Nano(), nil
}

func stamp() (any, error) {
	now, err := Nanoseconds()
	return clockAnswer{now}, err
}
