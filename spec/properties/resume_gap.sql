-- property: resume_gap
-- clauses: QOS-04
-- severity: fail
-- means: a member that joined later began behind a record that its group had never settled
-- coverage
SELECT count(*) FROM (
  SELECT DISTINCT scope, grp, subscription FROM deliveries) AS d
JOIN (SELECT scope, grp, count(DISTINCT subscription) AS members FROM deliveries GROUP BY ALL) AS m
  ON m.scope = d.scope AND m.grp = d.grp AND m.members > 1
JOIN scopes AS s ON s.scope = d.scope AND s.audited AND s.waited AND NOT s.late_start
-- violations
WITH joined AS (
  SELECT d.scope, d.grp, d.subscription, s.stream, min(s.place) AS began, min(d.seq) AS seq
  FROM deliveries AS d
  JOIN stored AS s ON s.scope = d.scope AND s.topic = d.topic AND s.position = d.position
  WHERE d.replay IS NULL GROUP BY ALL),
later AS (
  SELECT j.scope, j.grp, j.stream, max(j.began) AS began
  FROM joined AS j
  JOIN joined AS o
    ON o.scope = j.scope AND o.grp = j.grp AND o.stream = j.stream AND o.seq < j.seq
  GROUP BY ALL)
SELECT r.scope, r.seq,
       'a member of ' || r.grp || ' began at ' || l.began || ', the record at ' || r.position
       || ' was never settled' AS says
FROM due AS r
JOIN later AS l
  ON l.scope = r.scope AND l.grp = r.grp AND l.stream = r.stream AND r.place < l.began
JOIN scopes AS s ON s.scope = r.scope AND s.audited AND s.waited
-- Without a later record of its lane handled it may only be late: see `undrained`.
WHERE NOT r.settled AND NOT r.fresh AND r.place < r.reached
