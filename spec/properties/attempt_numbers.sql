-- property: attempt_numbers
-- clauses: RTY-06
-- severity: fail
-- means: attempts at one record are not numbered upwards from 1 within a subscription
-- coverage
SELECT count(*) FROM deliveries WHERE attempt > 1
-- violations
SELECT scope, seq, 'attempt ' || attempt || ' of ' || delivery || ' follows attempt ' || coalesce(before, 0) AS says
FROM (
  SELECT *, lag(attempt) OVER (
    PARTITION BY scope, subscription, message_id, position ORDER BY seq) AS before
  FROM deliveries WHERE message_id IS NOT NULL AND position IS NOT NULL)
WHERE attempt < 1 OR attempt <= before
