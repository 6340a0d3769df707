PRAGMA journal_mode = WAL;
CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, updated_at TEXT);
INSERT INTO jobs VALUES
  ('77cfa3cd-5b0e', 'processing', strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', '-3 days')),
  ('b49d06f6-91aa', 'processing', strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', '-3 days')),
  ('c0ffee00-0001', 'processing', strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now')),
  ('c0ffee00-0002', 'completed', strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', '-3 days')),
  ('c0ffee00-0003', 'processing', 'an hour ago');
