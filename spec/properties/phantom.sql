-- property: phantom
-- clauses: QOS-01
-- severity: fail
-- means: a handler was given a payload that nobody published: corrupted on the way, or made up
-- coverage
SELECT count(*) FROM deliveries
-- violations
SELECT d.scope, d.seq, 'delivery ' || d.delivery || ' carries a body that was never published' AS says
FROM deliveries AS d
ANTI JOIN known AS k ON k.body_hash = d.body_hash
-- A binding may speak for itself there: lag signals, its own requests.
WHERE d.lane IS NULL AND d.topic NOT LIKE 'ampy.%.metrics.%' AND d.topic NOT LIKE 'ampy.%.control.%'
