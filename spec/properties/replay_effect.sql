-- property: replay_effect
-- clauses: RPL-04
-- severity: fail
-- means: a replay repeated an effect that the binding had recorded before
-- coverage
SELECT count(*) FROM effects AS e
JOIN (SELECT scope, max(seq) AS seq FROM requests GROUP BY scope) AS q
  ON q.scope = e.scope AND e.confirmed < q.seq
-- violations
SELECT b.scope, b.delivered AS seq,
       'the replay ' || b.replay || ' repeated the effect of ' || a.delivery || ' in ' || b.grp AS says
FROM effects AS b
JOIN effects AS a
  ON a.grp = b.grp AND a.topic = b.topic AND a.message_id = b.message_id
 AND a.confirmed < b.delivered
WHERE b.replay IS NOT NULL
  AND (b.subscription = a.subscription OR b.started_ns > a.confirmed_ns + 250000000)
