package driverkit

// The frames of the driver protocol. A field without omitempty is one that the protocol requires;
// the kit has checked that it is there. docs/driver-protocol.md says what each one means.

// Versions of the protocol that this kit speaks.
const (
	OldestProtocol = 1
	NewestProtocol = 1
)

// MaxLine is how many bytes a line may have, its newline included.
const MaxLine = 8 << 20

// Identity says who is under test; Broker is memory, nats or kafka.
type Identity struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Language string `json:"language"`
	Broker   string `json:"broker"`
	Homepage string `json:"homepage,omitempty"`
	Source   string `json:"source,omitempty"`
	Client   string `json:"client,omitempty"`
}

// Hello is the handshake.
type Hello struct {
	Protocol []int    `json:"protocol"`
	Suite    string   `json:"suite"`
	Contract Contract `json:"contract"`
	Nonce    string   `json:"nonce"`
}

// Contract is what the binding is judged against.
type Contract struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
}

type helloAnswer struct {
	Protocol     int      `json:"protocol"`
	Identity     Identity `json:"identity"`
	Profiles     []string `json:"profiles"`
	Capabilities []string `json:"capabilities"`
	Clock        string   `json:"clock"`
	Nonce        string   `json:"nonce"`
}

type clockAnswer struct {
	Nanoseconds int64 `json:"t_ns"`
}

// Open asks for one connection of the binding to a broker. URL may hold credentials: never log it.
type Open struct {
	Bus       string `json:"bus"`
	URL       string `json:"url"`
	Env       string `json:"env"`
	StateDir  string `json:"state_dir"`
	Names     Names  `json:"names"`
	TLS       *TLS   `json:"tls,omitempty"`
	Tuning    Tuning `json:"tuning,omitempty"`
	BlobStore string `json:"blob_store,omitempty"`
}

// Names are the broker objects that the suite has made.
type Names struct {
	Stream    string `json:"stream,omitempty"`
	DLQStream string `json:"dlq_stream,omitempty"`
}

// TLS names the files of a secured connection.
type TLS struct {
	CA   string `json:"ca,omitempty"`
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
}

// Tuning is what the suite sets so that tests are fast; zero means: not told.
type Tuning struct {
	MaxAttempts      int `json:"max_attempts,omitempty"`
	BackoffBaseMS    int `json:"backoff_base_ms,omitempty"`
	BackoffMaxMS     int `json:"backoff_max_ms,omitempty"`
	PublishAttempts  int `json:"publish_attempts,omitempty"`
	PublishTimeoutMS int `json:"publish_timeout_ms,omitempty"`
	MaxInFlight      int `json:"max_in_flight,omitempty"`
	HandlerTimeoutMS int `json:"handler_timeout_ms,omitempty"`
	RedeliveryMS     int `json:"redelivery_ms,omitempty"`
	CompressOver     int `json:"compress_over,omitempty"`
	MaxRecordBytes   int `json:"max_record_bytes,omitempty"`
	LagHigh          int `json:"lag_high,omitempty"`
	LagLow           int `json:"lag_low,omitempty"`
}

// OpenProducer asks for a producer; a reopened one is a new producer.
type OpenProducer struct {
	Bus      string `json:"bus"`
	Producer string `json:"producer"`
	Name     string `json:"name"`
	Source   string `json:"source"`
	RunID    string `json:"run_id"`
}

// Publish carries records in call order; answer one result for each.
type Publish struct {
	Producer string   `json:"producer"`
	Records  []Record `json:"records"`
}

// Record is one logical record, from which the binding itself makes the envelope.
type Record struct {
	Topic         string            `json:"topic"`
	SchemaFQDN    string            `json:"schema_fqdn"`
	SchemaVersion string            `json:"schema_version,omitempty"`
	Payload       []byte            `json:"payload"`
	Key           map[string]string `json:"key"`
	DedupeKey     string            `json:"dedupe_key,omitempty"`
	Trace         *Trace            `json:"trace,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
}

// Trace is an active trace context, in hex.
type Trace struct {
	TraceID string `json:"trace_id"`
	SpanID  string `json:"span_id"`
}

// Outcomes of a record that was published, and of an acknowledgement.
const (
	OK   = "ok"   // it happened
	Fail = "fail" // it did not happen
	Info = "info" // unknown
)

// PublishResult is what became of one record. Nil pointers are left out.
type PublishResult struct {
	Outcome    string  `json:"outcome"`
	Code       string  `json:"code,omitempty"`
	Detail     string  `json:"detail,omitempty"`
	MessageID  string  `json:"message_id,omitempty"`
	Position   *string `json:"position,omitempty"`
	CalledNS   *int64  `json:"called_ns,omitempty"`
	ReturnedNS *int64  `json:"returned_ns,omitempty"`
}

type publishAnswer struct {
	Results []PublishResult `json:"results"`
}

// Subscribe asks to join a group; answer when the subscription is ready.
type Subscribe struct {
	Bus          string `json:"bus"`
	Subscription string `json:"subscription"`
	Pattern      string `json:"pattern"`
	Group        string `json:"group"`
	Member       string `json:"member"`
	Start        string `json:"start"`
	Credit       int    `json:"credit"`
}

// Subscribed names the broker's consumers, where there are such.
type Subscribed struct {
	Consumers []string `json:"consumers,omitempty"`
}

// Credit allows N more unsettled deliveries.
type Credit struct {
	Subscription string `json:"subscription"`
	N            int    `json:"n"`
}

// Settle carries the handler's verdicts; answer one result for each.
type Settle struct {
	Subscription string    `json:"subscription"`
	Verdicts     []Verdict `json:"verdicts"`
}

// What a handler says of a delivery.
const (
	Ack    = "ack"    // handled
	Failed = "fail"   // transient failure, try again
	Reject = "reject" // permanent failure
)

// Verdict is what the handler says of a delivery.
type Verdict struct {
	Delivery string `json:"delivery"`
	Verdict  string `json:"verdict"`
	Reason   string `json:"reason,omitempty"`
}

// SettleResult is what became of one verdict; Recorded once the seen-state is durable.
type SettleResult struct {
	Delivery string `json:"delivery"`
	Recorded bool   `json:"recorded,omitempty"`
	Ack      string `json:"ack"`
	Code     string `json:"code,omitempty"`
}

type settleAnswer struct {
	Results []SettleResult `json:"results"`
}

// ServeReplay asks that ReplayRequests be answered for a subscription.
type ServeReplay struct {
	Bus          string `json:"bus"`
	Subscription string `json:"subscription"`
}

// OfSubscription is a request that names a subscription and nothing else.
type OfSubscription struct {
	Subscription string `json:"subscription"`
}

type checkpointAnswer struct {
	Watermarks map[string]string `json:"watermarks"`
}

// Lag is how many records wait, and whether producers are told so now.
type Lag struct {
	Lag       int  `json:"lag"`
	Signalled bool `json:"signalled,omitempty"`
}

// Query asks for the state that a consumer holds of an entity.
type Query struct {
	Subscription string `json:"subscription"`
	Domain       string `json:"domain"`
	Key          string `json:"key"`
}

type queryAnswer struct {
	State map[string]any `json:"state"`
}

// Redrive asks that dead letters be sent back to the topics they came from (DLQ-13).
type Redrive struct {
	Bus     string `json:"bus"`
	Pattern string `json:"pattern"`
	Limit   int    `json:"limit"`
}

type redriveAnswer struct {
	Redriven int `json:"redriven"`
}

// Metrics is Prometheus text, or the URL where it is.
type Metrics struct {
	Text string `json:"text,omitempty"`
	URL  string `json:"url,omitempty"`
}

// LoadPlan is load that the driver sends, or acknowledges, and stamps by itself.
//
// It names a producer (with schedule, picks and templates) or a subscription (with expect).
// Times are nanoseconds after StartNS, which is on the host's monotonic clock.
type LoadPlan struct {
	Load         string   `json:"load"`
	Producer     string   `json:"producer,omitempty"`
	Subscription string   `json:"subscription,omitempty"`
	Marker       string   `json:"marker,omitempty"`
	First        int      `json:"first,omitempty"`
	StartNS      int64    `json:"start_ns,omitempty"`
	UntilNS      int64    `json:"until_ns,omitempty"`
	Schedule     []int64  `json:"schedule,omitempty"`
	Picks        []int    `json:"picks,omitempty"`
	Templates    []Record `json:"templates,omitempty"`
	InFlight     int      `json:"in_flight,omitempty"`
	Expect       int      `json:"expect,omitempty"`
}

// Close asks to close a bus with all that hangs on it.
type Close struct {
	Bus string `json:"bus"`
}

type nothing struct{}

// Delivery is an invocation of the handler, which is the suite.
type Delivery struct {
	Subscription string            `json:"subscription"`
	Delivery     string            `json:"delivery"`
	Topic        string            `json:"topic"`
	Headers      map[string]string `json:"headers"`
	Payload      []byte            `json:"payload"`
	Attempt      int               `json:"attempt"`
	Position     *string           `json:"position,omitempty"`
	Nanoseconds  int64             `json:"t_ns,omitempty"`
	Replay       string            `json:"replay,omitempty"`
}

// Abandoned says that the binding gave up waiting for a verdict.
type Abandoned struct {
	Subscription string `json:"subscription"`
	Delivery     string `json:"delivery"`
}

// Partitions were assigned or revoked.
type Partitions struct {
	Subscription string   `json:"subscription"`
	Partitions   []string `json:"partitions,omitempty"`
}

// LoadSamples are the stamps of a load plan.
type LoadSamples struct {
	Load        string  `json:"load"`
	Numbers     []int   `json:"numbers,omitempty"`
	CalledNS    []int64 `json:"called_ns,omitempty"`
	ReturnedNS  []int64 `json:"returned_ns,omitempty"`
	Outcomes    []int   `json:"outcomes,omitempty"`
	DeliveredNS []int64 `json:"delivered_ns,omitempty"`
	Repeats     int     `json:"repeats,omitempty"`
	Done        bool    `json:"done,omitempty"`
}
