// Limits of every link and server. Each can be counted on by both sides, so they stand in one place.

/** The largest message that either side sends or takes; above it the call fails with RESOURCE_EXHAUSTED. */
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

/** Calls at once on one connection; further ones wait at the client. */
export const CONCURRENT_STREAMS_MAX = 1_000;

/** What the HTTP/2 layer may hold for one connection, in megabytes; above it new calls are refused. */
export const SESSION_MEMORY_MB_MAX = 256;

/** A connection without traffic for this long is probed ... */
export const KEEPALIVE_TIME_MS = 30_000;

/** ... and dropped when the probe is not answered. */
export const KEEPALIVE_TIMEOUT_MS = 10_000;

/** Texts in errors and log lines are cut here: they travel in HTTP/2 headers, which have small limits of their own. */
export const TEXT_CHARS_MAX = 512;
