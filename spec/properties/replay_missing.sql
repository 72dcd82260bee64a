-- property: replay_missing
-- clauses: RPL-01
-- severity: fail
-- means: a replay left out a record of its window that the group has never handled
-- coverage
SELECT count(*) FROM requests AS q JOIN replayed AS d ON d.scope = q.scope AND d.replay = q.request
-- violations
SELECT q.scope, s.seq,
       'the record at ' || s.position || ' is in the window of ' || q.request || ' and never came to ' || a.grp AS says
FROM requests AS q
JOIN (SELECT scope, replay, grp, max(TRY_CAST(position AS BIGINT)) AS reached
      FROM replayed GROUP BY ALL) AS a ON a.scope = q.scope AND a.replay = q.request
-- What a group was never given had no effect in it.
JOIN unhandled AS s
  ON s.scope = q.scope AND s.grp = a.grp AND s.place < a.reached AND s.produced_ns >= q.from_ns
 AND s.produced_ns < q.until_ns AND split_part(s.topic, '.', 2) = q.env
 AND split_part(s.topic, '.', 3) = q.domain AND split_part(s.topic, '.', 4) = 'v1'
JOIN (SELECT DISTINCT scope, grp, topic FROM deliveries) AS t
  ON t.scope = q.scope AND t.grp = a.grp AND t.topic = s.topic
ANTI JOIN deliveries AS d
  ON d.scope = s.scope AND d.grp = a.grp AND d.body_hash = s.body_hash
ANTI JOIN deliveries AS m
  ON m.scope = s.scope AND m.grp = a.grp AND m.message_id = s.message_id
ANTI JOIN corrupt AS c ON c.scope = s.scope AND c.body_hash = s.body_hash
ANTI JOIN effects AS e
  ON e.scope = s.scope AND e.grp = a.grp AND e.topic = s.topic AND e.dedupe_key = s.dedupe_key
ANTI JOIN publishes AS p
  ON p.scope = s.scope AND p.body_hash = s.body_hash AND p.outcome <> 'ok'
WHERE NOT q.narrow
