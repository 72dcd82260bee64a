-- property: resume_gap
-- clauses: QOS-04
-- severity: fail
-- means: a member that joined later began behind a record that its group had never settled
-- coverage
SELECT count(*) FROM (
  SELECT scope, grp FROM deliveries WHERE replay IS NULL AND NOT dead AND position IS NOT NULL
  GROUP BY scope, grp HAVING min(subscription) < max(subscription)) AS d
JOIN scopes AS s ON s.scope = d.scope AND s.audited AND s.waited AND NOT s.late_start
-- violations
WITH joined AS (
  SELECT d.scope, d.grp, d.subscription, s.stream, min(s.place) AS began, min(d.seq) AS seq
  FROM deliveries AS d
  SEMI JOIN (SELECT DISTINCT scope FROM owed) AS r ON r.scope = d.scope
  JOIN stored AS s ON s.scope = d.scope AND s.topic = d.topic AND s.position = d.position
  WHERE d.replay IS NULL
  GROUP BY d.scope, d.grp, d.subscription, s.stream),
later AS (
  SELECT j.scope, j.grp, j.stream, max(j.began) AS began
  FROM joined AS j
  JOIN joined AS o
    ON o.scope = j.scope AND o.grp = j.grp AND o.stream = j.stream AND o.seq < j.seq
  GROUP BY j.scope, j.grp, j.stream)
SELECT r.scope, r.seq,
       'a member of ' || r.grp || ' began at ' || l.began || ', the record at ' || r.position
       || ' was never settled' AS says
FROM owed AS r
JOIN later AS l
  ON l.scope = r.scope AND l.grp = r.grp AND l.stream = r.stream AND r.place < l.began
JOIN scopes AS s ON s.scope = r.scope AND s.audited AND s.waited
-- Without a later record of its lane handled it may only be late: see `undrained`.
WHERE NOT r.fresh AND r.place < r.reached
