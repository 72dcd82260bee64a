-- property: zombie_effect
-- clauses: ORD-02, IDM-01
-- severity: fail
-- means: a frozen member went on working on a key that another had taken over
-- coverage
SELECT count(*) FROM pauses AS p
JOIN (SELECT scope, grp, subscription, min(seq) AS began FROM deliveries GROUP BY ALL) AS m
  ON m.scope = p.scope AND m.subscription = p.subscription AND m.began < p.paused
JOIN deliveries AS d
  ON d.scope = p.scope AND d.grp = m.grp AND d.subscription <> p.subscription
 AND d.seq > p.paused AND d.seq < p.resumed
-- violations
SELECT DISTINCT z.scope, z.delivered AS seq,
       'the member that was frozen handled ' || z.delivery || ' of ' || z.grp
       || ' after another had handled a later record of its key' AS says
FROM effects AS z
JOIN pauses AS p
  ON p.scope = z.scope AND p.subscription = z.subscription
 AND z.delivered_ns > p.resumed_ns + 2000000000
JOIN stored AS s ON s.scope = z.scope AND s.body_hash = z.body_hash
JOIN effects AS o
  ON o.scope = z.scope AND o.grp = z.grp AND o.topic = z.topic AND o.key = z.key
 AND o.subscription <> z.subscription AND o.confirmed < z.delivered
JOIN stored AS t ON t.scope = o.scope AND t.body_hash = o.body_hash AND t.place > s.place
WHERE z.replay IS NULL AND o.replay IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM deliveries AS b
    WHERE b.scope = z.scope AND b.grp = z.grp AND b.body_hash = z.body_hash AND b.seq < o.delivered)
