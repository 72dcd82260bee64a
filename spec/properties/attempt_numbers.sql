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
    PARTITION BY scope, subscription, message_id, position, replay ORDER BY seq) AS before
  FROM deliveries WHERE message_id IS NOT NULL AND position IS NOT NULL)
JOIN scopes AS s USING (scope)
-- A broker that was killed may count anew.
WHERE attempt < 1 OR (attempt <= before AND NOT s.broker_killed)
