-- property: dlq_missing
-- clauses: DLQ-01, DLQ-02
-- severity: fail
-- means: a record that is broken, or whose attempts are used up, is no dead letter
-- coverage
SELECT count(*) FROM graves AS g JOIN scopes AS s USING (scope) WHERE s.audited AND s.waited
-- violations
SELECT s.scope, s.seq, 'the broken record at ' || s.position || ' is not in the DLQ' AS says
FROM stored AS s
JOIN corrupt AS c ON c.body_hash = s.body_hash
JOIN scopes AS a ON a.scope = s.scope AND a.audited AND a.waited AND NOT a.late_start
-- Somebody who takes its topic was through with it: a later record of its key took effect.
JOIN (
  SELECT scope, stream, topic, key, max(reached) AS reached FROM lanes
  GROUP BY scope, stream, topic, key) AS l
  ON l.scope = s.scope AND l.stream = s.stream AND l.topic = s.topic AND l.key = s.key
 AND l.reached > s.place
ANTI JOIN graves AS g ON g.body_hash = s.body_hash
UNION ALL
SELECT d.scope, max(d.seq) AS seq,
       'a record failed ' || count(*) || ' times in ' || d.grp || ' and is not in the DLQ' AS says
FROM deliveries AS d
JOIN scopes AS a ON a.scope = d.scope AND a.audited AND a.waited
LEFT JOIN repeated AS r
  ON r.grp IS NOT DISTINCT FROM d.grp AND r.body_hash = d.body_hash
ANTI JOIN effects AS e ON e.grp = d.grp AND e.body_hash = d.body_hash
ANTI JOIN excused AS o ON o.grp = d.grp AND o.body_hash = d.body_hash
ANTI JOIN graves AS g ON g.body_hash = d.body_hash
WHERE d.replay IS NULL AND NOT d.dead AND (r.scope IS NOT NULL OR a.max_attempts <= 1)
GROUP BY d.scope, d.grp, d.body_hash, a.max_attempts, a.horizon_ns
HAVING count(*) >= a.max_attempts AND max(d.t_ns) <= a.horizon_ns
