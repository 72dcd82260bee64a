//go:build !linux

package driverkit

import "os"

// takeOutput returns standard output and leaves standard error in its place, for what writes
// through os.Stdout.
func takeOutput() (*os.File, error) {
	kept := os.Stdout
	os.Stdout = os.Stderr
	return kept, nil
}
