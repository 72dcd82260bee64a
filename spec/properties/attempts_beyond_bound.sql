-- property: attempts_beyond_bound
-- clauses: RTY-06, RTY-08
-- severity: fail
-- means: a record was delivered to a group more often than the binding was told to try
-- coverage
SELECT count(*) FROM deliveries AS d JOIN scopes AS s USING (scope)
WHERE s.max_attempts IS NOT NULL AND d.attempt > 1 AND NOT s.broker_killed
-- violations
SELECT d.scope, max(d.seq) AS seq,
       'delivered ' || count(*) || ' times to ' || d.grp || ' where ' || s.max_attempts || ' were allowed' AS says
FROM deliveries AS d
-- A broker that was killed may have forgotten attempts; a copy and a replay begin anew.
JOIN scopes AS s ON s.scope = d.scope AND NOT s.broker_killed
LEFT JOIN retried AS r
  ON r.grp IS NOT DISTINCT FROM d.grp AND r.message_id = d.message_id
WHERE d.message_id IS NOT NULL AND NOT d.dead AND (r.scope IS NOT NULL OR s.max_attempts < 1)
GROUP BY d.scope, d.grp, d.message_id, d.topic, d.position, d.replay, s.max_attempts
HAVING count(*) > s.max_attempts
