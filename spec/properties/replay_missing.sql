-- property: replay_missing
-- clauses: RPL-01
-- severity: fail
-- means: a replay left out a record of its window that the group has never handled
-- coverage
SELECT count(*) FROM requests AS q JOIN replayed AS d ON d.scope = q.scope AND d.replay = q.request
-- violations
WITH reached AS (
  -- A replay that was interrupted has left out only what comes before another record of its key.
  SELECT d.scope, d.replay, d.grp, t.stream, t.topic, t.key, max(t.place) AS reached
  FROM replayed AS d
  JOIN stored AS t ON t.scope = d.scope AND t.topic = d.topic AND t.position = d.position
  GROUP BY d.scope, d.replay, d.grp, t.stream, t.topic, t.key)
SELECT q.scope, s.seq,
       'the record at ' || s.position || ' is in the window of ' || q.request || ' and never came to ' || a.grp AS says
FROM requests AS q
JOIN reached AS a ON a.scope = q.scope AND a.replay = q.request
JOIN stored AS s
  ON s.scope = q.scope AND s.stream = a.stream AND s.topic = a.topic AND s.key = a.key
 AND s.place < a.reached AND s.produced_ns >= q.from_ns
 AND s.produced_ns < q.until_ns AND split_part(s.topic, '.', 2) = q.env
 AND split_part(s.topic, '.', 3) = q.domain AND split_part(s.topic, '.', 4) = 'v1'
-- A record that was handled was given.
JOIN unhandled AS u ON u.scope = s.scope AND u.grp = a.grp AND u.seq = s.seq
ANTI JOIN deliveries AS d ON d.grp = a.grp AND d.body_hash = s.body_hash
ANTI JOIN deliveries AS i ON i.grp = a.grp AND i.message_id = s.message_id
ANTI JOIN corrupt AS c ON c.body_hash = s.body_hash
ANTI JOIN effects AS e
  ON e.grp = a.grp AND e.topic = s.topic AND e.dedupe_key = s.dedupe_key
ANTI JOIN publishes AS p ON p.body_hash = s.body_hash AND p.outcome <> 'ok'
WHERE NOT q.narrow
