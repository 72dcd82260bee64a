package driverkit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is for what must happen and does not; nothing waits this long where all is well.
const patience = 10 * time.Second

// suite is the other end of a driver.
type suite struct {
	t     *testing.T
	in    *io.PipeWriter
	lines chan map[string]any
	link  *Link
	ended chan struct{}
}

func start(t *testing.T, build func(*Link) Driver) *suite {
	t.Helper()
	input, in := io.Pipe()
	out, output := io.Pipe()
	s := &suite{t: t, in: in, lines: make(chan map[string]any, 64), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		serve(func(link *Link) Driver { s.link = link; return build(link) }, input, output)
		output.Close()
	}()
	go func() {
		defer close(s.lines)
		reader := bufio.NewScanner(out)
		reader.Buffer(nil, MaxLine)
		for reader.Scan() {
			frame := map[string]any{}
			if err := json.Unmarshal(reader.Bytes(), &frame); err != nil {
				t.Errorf("no frame: %.80q", reader.Text())
			}
			s.lines <- frame
		}
	}()
	t.Cleanup(func() { in.Close() })
	return s
}

func (s *suite) say(format string, arguments ...any) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.in, format+"\n", arguments...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *suite) hear() map[string]any {
	s.t.Helper()
	select {
	case frame, open := <-s.lines:
		if !open {
			s.t.Fatal("the driver ended")
		}
		return frame
	case <-time.After(patience):
		s.t.Fatal("the driver says nothing")
	}
	return nil
}

func (s *suite) refused(code, says string) {
	s.t.Helper()
	frame := s.hear()
	wrong, _ := frame["error"].(map[string]any)
	if frame["ok"] != false || wrong["code"] != code || !strings.Contains(fmt.Sprint(wrong["message"]), says) {
		s.t.Errorf("%v is no %s with %q", frame, code, says)
	}
}

const hello = `{"id":%d,"op":"hello","protocol":[%d,%d],"suite":"1",` +
	`"contract":{"name":"c","version":"1","digest":"d"},"nonce":"n1"}`

func plain(*Link) Driver {
	return Driver{
		Identity: Identity{Name: "x", Version: "1", Language: "go", Broker: "memory"},
		Profiles: []string{"core"},
	}
}

func TestTheHandshake(t *testing.T) {
	s := start(t, plain)
	s.say(hello, 1, 1, 9)
	answer := s.hear()
	for name, wanted := range map[string]any{"re": 1.0, "ok": true, "protocol": 1.0, "nonce": "n1"} {
		if answer[name] != wanted {
			t.Errorf("%s is %v", name, answer[name])
		}
	}
	if answer["capabilities"] == nil {
		t.Error("no capabilities are an empty list, not null")
	}
	s.say(hello, 2, 2, 3)
	s.refused(Unsupported, "speaks protocol 1 to 1")
}

func TestWhatIsNotWrittenIsUnsupported(t *testing.T) {
	s := start(t, plain)
	for number, op := range []string{"open", "publish", "settle", "metrics", "from_the_future"} {
		s.say(`{"id":%d,"op":%q}`, number+1, op)
		s.refused(Unsupported, "this driver has no "+op)
	}
}

func TestLinesThatAreNoRequests(t *testing.T) {
	s := start(t, func(*Link) Driver {
		driver := plain(nil)
		driver.Open = func(Open) error { return nil }
		driver.Publish = func(Publish) ([]PublishResult, error) { return nil, nil }
		return driver
	})
	for line, says := range map[string]string{
		`no json`:                            "not a JSON object",
		`[1]`:                                "not a JSON object",
		`{"id":1,"op":"clock"} {}`:           "more than one",
		`{"id":1,"id":1,"op":"clock"}`:       "a field twice",
		`{"id":1,"op":"x","a":[{"b":1,"b"]}`: "twice",
		`{"id":1,"op":"clock"`:               "not JSON",
		"{\"id\":1,\"op\":\"\xff\"}":         "not UTF-8",
		`{"id":0,"op":"clock"}`:              "no id or op",
		`{"id":1.5,"op":"clock"}`:            "no id or op",
		`{"op":"clock"}`:                     "no id or op",
		`{"id":1}`:                           "no id or op",
		`{"id":1,"op":"open","bus":"b"}`:     "url: is required",
		`{"id":1,"op":"publish","producer":"p","records":[{"topic":"t","schema_fqdn":"s","key":{}}]}`:                "records.[0].payload: is required",
		`{"id":1,"op":"publish","producer":7,"records":[]}`:                                                          "no id or op",
		`{"id":1,"op":"publish","producer":"p","records":[{"topic":"t","schema_fqdn":"s","key":{},"payload":"%%"}]}`: "base64",
	} {
		s.say("%s", line)
		s.refused(BadRequest, says)
	}
	s.say(`{"id":9,"op":"clock"}`) // it goes on
	if answer := s.hear(); answer["re"] != 9.0 {
		t.Error(answer)
	}
}

func TestALineMayBeAsLongAsTheProtocolSays(t *testing.T) {
	s := start(t, plain)
	head := `{"id":1,"op":"clock","more":"`
	s.say("%s", head+strings.Repeat("x", MaxLine-len(head)-3)+`"}`)
	if answer := s.hear(); answer["ok"] != true {
		t.Error(answer)
	}
	go fmt.Fprint(s.in, strings.Repeat("x", MaxLine+1<<16)) // the driver need not read to the end
	s.refused(BadRequest, "over the limit")
	<-s.ended
}

func TestMistakesOfTheAuthorAreAnswers(t *testing.T) {
	s := start(t, func(*Link) Driver {
		driver := plain(nil)
		driver.Open = func(Open) error { panic("oh") }
		driver.Close = func(Close) error { return fmt.Errorf("%s", strings.Repeat("x", 999)) }
		driver.Metrics = func() (Metrics, error) { return Metrics{}, Refuse(Denied, "not %d", 7) }
		driver.Publish = func(Publish) ([]PublishResult, error) { return nil, nil }
		driver.Checkpoint = func(OfSubscription) (map[string]string, error) { return nil, nil }
		return driver
	})
	s.say(`{"id":1,"op":"open","bus":"b","url":"u","env":"dev","state_dir":"s","names":{}}`)
	s.refused(Internal, "oh")
	s.say(`{"id":2,"op":"close","bus":"b"}`)
	s.refused(Internal, "xxx...")
	s.say(`{"id":3,"op":"metrics"}`)
	s.refused(Denied, "not 7")
	s.say(`{"id":4,"op":"publish","producer":"p","records":[{"topic":"t","schema_fqdn":"s","payload":"","key":{}}]}`)
	s.refused(Internal, "0 results for 1 records")
	s.say(`{"id":5,"op":"checkpoint","subscription":"s"}`)
	if answer := s.hear(); answer["watermarks"] == nil {
		t.Error("no watermarks are an empty object, not null")
	}
}

func TestTheOrderOfOneHandle(t *testing.T) {
	release := make(chan struct{})
	var mutex sync.Mutex
	var order []string
	note := func(what string) {
		mutex.Lock()
		defer mutex.Unlock()
		order = append(order, what)
	}
	s := start(t, func(*Link) Driver {
		driver := plain(nil)
		driver.Publish = func(p Publish) ([]PublishResult, error) {
			if len(p.Records) == 1 {
				<-release
			}
			note(fmt.Sprint(p.Producer, len(p.Records)))
			return make([]PublishResult, len(p.Records)), nil
		}
		driver.Settle = func(r Settle) ([]SettleResult, error) {
			if len(r.Verdicts) == 1 {
				<-release
			}
			return make([]SettleResult, len(r.Verdicts)), nil
		}
		driver.Unsubscribe = func(OfSubscription) error { return nil }
		return driver
	})
	record := `{"topic":"t","schema_fqdn":"s","payload":"","key":{}}`
	verdict := `{"delivery":"d","verdict":"ack"}`
	s.say(`{"id":1,"op":"publish","producer":"a","records":[%s]}`, record)
	s.say(`{"id":2,"op":"publish","producer":"a","records":[]}`)
	s.say(`{"id":3,"op":"publish","producer":"b","records":[]}`)
	s.say(`{"id":4,"op":"settle","subscription":"s","verdicts":[%s]}`, verdict)
	s.say(`{"id":5,"op":"settle","subscription":"s","verdicts":[]}`)
	s.say(`{"id":6,"op":"unsubscribe","subscription":"s"}`)
	first := []float64{s.hear()["re"].(float64), s.hear()["re"].(float64)}
	if first[0]+first[1] != 8 {
		t.Errorf("what waits for nothing came as %v, not 3 and 5", first)
	}
	close(release)
	seen := map[float64]int{}
	for position := range 4 {
		seen[s.hear()["re"].(float64)] = position
	}
	if seen[1] > seen[2] || seen[4] > seen[6] {
		t.Errorf("answers came at %v", seen)
	}
	if fmt.Sprint(order) != "[b0 a1 a0]" {
		t.Error(order)
	}
}

func TestStopAndTheEndOfTheInput(t *testing.T) {
	stops := make(chan bool, 2)
	build := func(*Link) Driver {
		driver := plain(nil)
		driver.Stop = func() error { stops <- true; return nil }
		return driver
	}
	s := start(t, build)
	s.say(`{"id":1,"op":"stop"}`)
	if answer := s.hear(); answer["ok"] != true {
		t.Error(answer)
	}
	<-s.ended
	s = start(t, build)
	s.in.Close()
	<-s.ended
	if len(stops) != 2 {
		t.Errorf("stop was called %d times", len(stops))
	}
}
