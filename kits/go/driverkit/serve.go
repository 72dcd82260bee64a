package driverkit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// How long Stop may take when the suite is gone without having said so.
const leaving = 5 * time.Second

const longestMessage = 500

// Link is the way to the suite; a driver gets it when it is built, and sends its events there.
type Link struct {
	mutex  sync.Mutex
	output *bufio.Writer
}

// Serve runs a driver over standard input and output until it is stopped or left alone. What the
// binding prints goes to standard error from now on. `build` gets the link for the driver's events.
func Serve(build func(*Link) Driver) {
	output, err := takeOutput()
	if err != nil {
		fmt.Fprintln(os.Stderr, "the driver cannot take its standard output:", err)
		os.Exit(1)
	}
	serve(build, os.Stdin, output)
}

// Listen waits on a local TCP port for the one suite that attaches (tcp:127.0.0.1:PORT), so that
// the driver can run under a debugger.
func Listen(build func(*Link) Driver, port int) error {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "waiting for the suite: use tcp:%s\n", listener.Addr())
	connection, err := listener.Accept()
	listener.Close()
	if err != nil {
		return err
	}
	defer connection.Close()
	serve(build, connection, connection)
	return nil
}

func serve(build func(*Link) Driver, input io.Reader, output io.Writer) {
	link := &Link{output: bufio.NewWriterSize(output, 1<<16)}
	driver := build(link)
	loop := &loop{link: link, operations: operations(driver), lanes: lanes{}}
	if loop.run(input) {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := driver.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop:", err)
		}
	}()
	select {
	case <-done:
	case <-time.After(leaving):
	}
}

// Deliver sends a delivery; those of one subscription arrive in the order of the calls.
func (l *Link) Deliver(delivery Delivery) error { return l.event("deliver", delivery) }

// Abandon says that the binding gave up waiting for a verdict.
func (l *Link) Abandon(abandoned Abandoned) error { return l.event("abandoned", abandoned) }

// Assign says which partitions this member has now been given.
func (l *Link) Assign(partitions Partitions) error { return l.event("assigned", partitions) }

// Revoke says which partitions this member has lost.
func (l *Link) Revoke(partitions Partitions) error { return l.event("revoked", partitions) }

// Samples sends the stamps of a load plan.
func (l *Link) Samples(samples LoadSamples) error { return l.event("load_samples", samples) }

func (l *Link) event(name string, body any) error {
	line, err := event(name, body)
	if err != nil {
		return err
	}
	return l.send(line)
}

func (l *Link) send(line []byte) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if _, err := l.output.Write(line); err != nil {
		return err
	}
	return l.output.Flush()
}

func (l *Link) refuse(number int64, refused *Refusal) {
	message := strings.ToValidUTF8(refused.Message, "?")
	if len(message) > longestMessage {
		message = strings.ToValidUTF8(message[:longestMessage], "") + "..."
	}
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	line, err := json.Marshal(struct {
		Re    int64 `json:"re"`
		OK    bool  `json:"ok"`
		Error body  `json:"error"`
	}{number, false, body{refused.Code, message}})
	if err == nil {
		err = l.send(append(line, '\n'))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "an answer could not be sent:", err)
	}
}

// loop takes lines and runs operations.
type loop struct {
	link       *Link
	operations map[string]operation
	lanes      lanes
}

// run returns true after `stop`, false where the input ended.
func (l *loop) run(input io.Reader) bool {
	lines := bufio.NewReaderSize(input, 1<<16)
	stopped := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			line, err := readLine(lines)
			if errors.Is(err, errOverlong) {
				l.link.refuse(0, &Refusal{BadRequest, err.Error()})
				return
			}
			if err != nil {
				return
			}
			l.take(line, stopped)
		}
	}()
	select {
	case <-stopped:
		return true
	case <-ended:
	}
	select { // a suite may say `stop` and close the input at once
	case <-stopped:
		return true
	default:
		return false
	}
}

var errOverlong = fmt.Errorf("a line is over the limit of %d bytes", MaxLine)

// readLine returns the next line without its newline; what ends without one is no frame.
func readLine(lines *bufio.Reader) ([]byte, error) {
	var whole []byte
	for {
		part, err := lines.ReadSlice('\n')
		if len(whole)+len(part) > MaxLine {
			return nil, errOverlong
		}
		whole = append(whole, part...)
		switch {
		case err == nil:
			return whole[:len(whole)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func (l *loop) take(line []byte, stopped chan struct{}) {
	if err := check(line); err != nil {
		l.link.refuse(0, &Refusal{BadRequest, err.Error()})
		return
	}
	var request head
	if err := decode(line, &request); err != nil || request.ID < 1 {
		l.link.refuse(max(request.ID, 0), &Refusal{BadRequest, fmt.Sprintf("a request has no id or op: %v", err)})
		return
	}
	run := l.operations[request.Op]
	if run == nil {
		name := request.Op[:min(len(request.Op), 40)]
		l.link.refuse(request.ID, &Refusal{Unsupported, "this driver has no " + name})
		return
	}
	before, leave := l.lanes.enter(request.lane(), concurrent[request.Op])
	go func() {
		defer leave()
		for _, each := range before {
			<-each
		}
		l.answer(request, run, line)
		if request.Op == "stop" {
			close(stopped)
		}
	}()
}

// answer runs an operation; whatever becomes of it is one answer.
func (l *loop) answer(request head, run operation, line []byte) {
	defer func() {
		if mistake := recover(); mistake != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", mistake, debug.Stack())
			l.link.refuse(request.ID, &Refusal{Internal, fmt.Sprint(mistake)})
		}
	}()
	body, err := run(line)
	if err == nil {
		var reply []byte
		if reply, err = answer(request.ID, body); err == nil {
			if err = l.link.send(reply); err != nil {
				fmt.Fprintln(os.Stderr, "an answer could not be sent:", err)
			}
			return
		}
	}
	l.link.refuse(request.ID, refusal(err))
}
