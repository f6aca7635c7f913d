"""Letters to people: an outbox in SQL that a worker sends over SMTP, so that nobody waits and none is lost."""
