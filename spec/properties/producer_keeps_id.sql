-- property: producer_keeps_id
-- clauses: RTY-04
-- severity: fail
-- means: a producer sent one record again under another id
-- coverage
SELECT count(*) FROM (
  SELECT w.scope, w.body_hash FROM resent AS w GROUP BY w.scope, w.body_hash)
-- violations
SELECT w.scope, max(w.seq) AS seq,
       'one publish was sent under ' || count(DISTINCT w.message_id) || ' ids' AS says
FROM resent AS w
ANTI JOIN twins AS u ON u.body_hash = w.body_hash
GROUP BY w.scope, w.body_hash
HAVING count(DISTINCT w.message_id) > 1
