CREATE TABLE batches (id INTEGER PRIMARY KEY, status TEXT, error TEXT, updated_at TEXT);
CREATE TABLE links (id INTEGER PRIMARY KEY, status TEXT, batch_id INTEGER REFERENCES batches (id));
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5)
INSERT INTO batches SELECT i, iif(i = 5, 'completed', 'processing'), NULL, datetime('now', '-3 days') FROM n;
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 14)
INSERT INTO links SELECT i + 1, iif(i < 12, 'processing', 'completed'), 1 + i / 3 FROM n;
