-- property: attempt_numbers
-- clauses: RTY-06
-- severity: fail
-- means: attempts at one record are not numbered upwards from 1 within a subscription
-- coverage
SELECT count(*) FROM deliveries AS d JOIN scopes AS s ON s.scope = d.scope AND NOT s.broker_killed
WHERE d.attempt > 1 AND d.message_id IS NOT NULL AND d.position IS NOT NULL
-- violations
SELECT scope, seq, 'attempt ' || attempt || ' of ' || delivery || ' follows attempt ' || coalesce(before, 0) AS says
FROM (
  SELECT d.scope, d.seq, d.delivery, d.attempt, lag(d.attempt) OVER (
    PARTITION BY d.scope, d.subscription, d.message_id, d.topic, d.position, d.replay ORDER BY d.seq) AS before
  FROM deliveries AS d
  LEFT JOIN retried AS r
    ON r.grp IS NOT DISTINCT FROM d.grp AND r.message_id = d.message_id
  WHERE d.message_id IS NOT NULL AND d.position IS NOT NULL
    AND (r.scope IS NOT NULL OR d.attempt < 1))
JOIN scopes AS s USING (scope)
-- A broker that was killed may count anew.
WHERE attempt < 1 OR (attempt <= before AND NOT s.broker_killed)
