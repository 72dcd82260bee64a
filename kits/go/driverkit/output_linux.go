package driverkit

import (
	"os"
	"syscall"
)

// takeOutput returns standard output and leaves standard error in its place, for all that writes
// to the descriptor: Go, C, children.
func takeOutput() (*os.File, error) {
	kept, err := syscall.Dup(1)
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(kept)
	if err := syscall.Dup3(2, 1, 0); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(kept), "protocol"), nil
}
