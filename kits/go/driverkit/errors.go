package driverkit

import (
	"errors"
	"fmt"
)

// Codes of errors. Those up to BadRequest say that the operation did not happen; the others, and
// every code that is not listed here, leave it open.
const (
	InvalidTopic   = "invalid_topic"
	InvalidRecord  = "invalid_record"
	Denied         = "denied"
	TooLarge       = "too_large"
	Throttled      = "throttled"
	Unsupported    = "unsupported"
	NotConnected   = "not_connected"
	Expired        = "expired"
	Revoked        = "revoked"
	BadRequest     = "bad_request"
	Timeout        = "timeout"
	ConnectionLost = "connection_lost"
	Internal       = "internal"
)

// Refusal is an error with a code of the protocol.
type Refusal struct {
	Code    string
	Message string
}

func (r *Refusal) Error() string { return r.Message }

// Refuse returns the error that answers a request with this code.
func Refuse(code, format string, arguments ...any) error {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// Any error that is not a Refusal leaves open what happened.
func refusal(err error) *Refusal {
	var found *Refusal
	if errors.As(err, &found) {
		return found
	}
	return &Refusal{Code: Internal, Message: err.Error()}
}
