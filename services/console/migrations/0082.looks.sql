-- Who looked at personal data, by person and by order: the page of it is asked for either.
CREATE INDEX ON access.unmaskings (tenant, actor, at DESC, id DESC);
CREATE INDEX ON access.unmaskings (tenant, order_id, at DESC, id DESC);
